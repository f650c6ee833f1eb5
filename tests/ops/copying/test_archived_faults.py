"""Archives as places that images are copied to: what fails leaves no file, and no name stands for what is not there."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from puller.contracts.images import Housekeeper
from puller.errors import (
    ContentUnknown,
    DiffIDMismatch,
    DigestMismatch,
    InvalidConfig,
    InvalidReference,
    NoSpace,
    SizeMismatch,
    Unsupported,
    VerificationError,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.model.mediatype import DOCKER_FOREIGN_LAYER, SCHEMA1_SIGNED
from puller.ops.copying.archived import open_archive_source
from puller.ops.pulling.transfer import copy_blob
from puller.ops.saving.modernise import Form
from testregistry import images
from tests.ops.copying.archives import (
    BASE,
    BIG,
    HERE,
    IMAGE,
    INDEX,
    OTHER,
    SIGNATURE,
    TOP,
    Body,
    Shown,
    both,
    bring,
    children,
    described,
    index_of,
    members,
    names,
    place_of,
    ref_names,
    target_at,
    whole,
)

# --- what fails leaves no file ---


@both
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("blob", [BASE.digest, TOP.digest, IMAGE.config.digest])
async def test_wrong_bytes_leave_no_file(tmp_path: Path, form: Form, blob: str, cut: bool) -> None:
    with pytest.raises(SizeMismatch if cut else DigestMismatch):
        async with target_at(tmp_path, form) as target:
            await bring(Shown(IMAGE, wrong=blob, cut=cut), target, described(IMAGE), "1")
    assert names(tmp_path) == []


@both
async def test_a_blob_that_came_wrong_is_cut_off_and_may_come_again(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        for wrong in (BASE.digest, TOP.digest):
            with pytest.raises(VerificationError):
                await bring(Shown(IMAGE, wrong=wrong), target, described(IMAGE), "1")
        assert not await target.exists(children(IMAGE)[-1])
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
    held = members(tmp_path / "a.tar")
    assert len({name for name in held if name.startswith("blobs/sha256/") or name.count("/") == 0}) == len(
        [name for name in held if name.startswith("blobs/sha256/") or name.count("/") == 0]
    )
    async with open_archive_source(tmp_path / "a.tar", place_of(form)) as source:
        assert IMAGE.config.digest in await whole(source, await source.resolve(HERE.with_tag("1")))


@both
async def test_r7_a_cancelled_copy_leaves_no_file(tmp_path: Path, form: Form) -> None:
    began = anyio.Event()

    class Slow(Shown):
        @asynccontextmanager
        async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
            async with super().fetch(wanted, offset=offset) as body:
                if str(wanted.digest) == TOP.digest:
                    began.set()
                    await anyio.sleep_forever()
                yield body

    async def work() -> None:
        async with target_at(tmp_path, form) as target:
            await bring(Slow(IMAGE), target, described(IMAGE), "1")

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await began.wait()
        group.cancel_scope.cancel()
    assert names(tmp_path) == []


@both
async def test_what_is_not_finished_by_the_block_leaves_no_file(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form):
        pass
    assert names(tmp_path) == []

    async def work() -> None:
        async with target_at(tmp_path, form) as target:
            await bring(Shown(IMAGE), target, described(IMAGE), "1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert names(tmp_path) == []


@both
async def test_r11_a_full_disk_leaves_no_file(tmp_path: Path, form: Form) -> None:
    with pytest.raises(NoSpace):
        async with target_at(tmp_path, form, reserve=BIG) as target:
            await bring(Shown(IMAGE), target, described(IMAGE), "1")
    assert names(tmp_path) == []


@both
async def test_a_file_that_is_there_is_replaced_only_if_that_is_wanted(tmp_path: Path, form: Form) -> None:
    (tmp_path / "a.tar").write_bytes(b"old")
    with pytest.raises(InvalidConfig, match="there already"):
        async with target_at(tmp_path, form):
            pass
    assert (tmp_path / "a.tar").read_bytes() == b"old"
    async with target_at(tmp_path, form, overwrite=True) as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        assert (tmp_path / "a.tar").read_bytes() == b"old"
    assert names(tmp_path) == ["a.tar"]
    assert members(tmp_path / "a.tar")


# --- what a name needs ---


@both
@pytest.mark.parametrize("missing", [0, 1, 2])
async def test_a_manifest_is_put_only_when_all_it_names_is_there(tmp_path: Path, form: Form, missing: int) -> None:
    async with target_at(tmp_path, form) as target:
        for place, child in enumerate(children(IMAGE)):
            if place != missing:
                await copy_blob(Shown(IMAGE), target, child, report=unheard)
        for name in ("1", str(described(IMAGE).digest)):
            with pytest.raises(ContentUnknown):
                await target.put_manifest(IMAGE.raw, described(IMAGE), name)
        assert await target.named("1") is None
    assert names(tmp_path) == []


@both
async def test_only_what_is_there_can_be_tagged(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        with pytest.raises(ContentUnknown):
            await target.tag(HERE.with_tag("1"), described(IMAGE))


@both
async def test_a_manifest_is_held_to_its_digest_and_size(tmp_path: Path, form: Form) -> None:
    wanted = described(IMAGE)
    async with target_at(tmp_path, form) as target:
        with pytest.raises(DigestMismatch):
            await target.put_manifest(IMAGE.raw + b" ", wanted, "1")
        with pytest.raises(SizeMismatch):
            await target.put_manifest(IMAGE.raw, Descriptor(wanted.media_type, wanted.digest, 7), "1")


@both
async def test_manifests_of_schema_1_are_refused(tmp_path: Path, form: Form) -> None:
    raw = b'{"schemaVersion":1}'
    async with target_at(tmp_path, form) as target:
        with pytest.raises(Unsupported, match="schema 1"):
            await target.put_manifest(raw, Descriptor(SCHEMA1_SIGNED, Digest.of(raw), len(raw)), "1")


async def test_an_index_may_lack_what_was_left_out_by_choice(tmp_path: Path) -> None:
    async with target_at(tmp_path, "oci") as target:
        assert isinstance(target, Housekeeper)
        await bring(Shown(INDEX), target, described(IMAGE))
        with pytest.raises(ContentUnknown):
            await target.put_manifest(INDEX.raw, described(INDEX), "1")
        await target.leave_out(described(INDEX), [described(OTHER).digest])
        await target.put_manifest(INDEX.raw, described(INDEX), "1")
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        found = await whole(source, await source.resolve(HERE.with_tag("1")))
        assert found == {INDEX.digest, *(one.digest for one in IMAGE.content())}
    assert ref_names(tmp_path / "a.tar") == ["1"]


async def test_what_is_kept_is_listed_though_an_index_names_it(tmp_path: Path) -> None:
    async with target_at(tmp_path, "oci") as target:
        assert isinstance(target, Housekeeper)
        with pytest.raises(ContentUnknown):
            await target.keep(described(IMAGE))
        await bring(Shown(INDEX), target, described(INDEX), "1")
        await target.keep(described(IMAGE))
    listed = {entry["digest"] for entry in index_of(tmp_path / "a.tar")}
    assert listed == {INDEX.digest, IMAGE.digest}


async def test_g6_an_archive_of_dockers_holds_layers_to_the_diff_ids_of_the_config(tmp_path: Path) -> None:
    image = images.image(images.blob_layer(_raw(BASE), TOP.diff_id))
    with pytest.raises(DiffIDMismatch):
        async with target_at(tmp_path, "docker") as target:
            await bring(Shown(image), target, described(image), "1")
    assert names(tmp_path) == []


def _raw(layer: Any) -> bytes:
    return b"".join(layer.body.chunks())


async def test_an_archive_of_dockers_takes_images_with_layers_and_nothing_else(tmp_path: Path) -> None:
    async with target_at(tmp_path, "docker") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        for other in (images.image(), images.image(BASE, TOP, subject=IMAGE)):
            with pytest.raises(Unsupported):
                await bring(Shown(other), target, described(other), "2")
        with pytest.raises(Unsupported):
            await bring(Shown(SIGNATURE), target, described(SIGNATURE))
        with pytest.raises(Unsupported, match="index"):
            await target.put_manifest(INDEX.raw, described(INDEX), "2")
        with pytest.raises(Unsupported):
            async with target.ingest(Descriptor("text/html", Digest.of(b""), BIG)):
                pass


async def test_an_archive_of_dockers_wants_layers_that_lie_elsewhere_too(tmp_path: Path) -> None:
    elsewhere = {
        "mediaType": DOCKER_FOREIGN_LAYER, "digest": BASE.digest, "size": BASE.size, "urls": ["https://example.org/x"]
    }  # fmt: skip
    image = images.image(BASE, manifest_extra={"layers": [elsewhere]})
    async with target_at(tmp_path, "docker") as target:
        await copy_blob(Shown(image), target, children(image)[0], report=unheard)
        with pytest.raises(Unsupported, match="elsewhere"):
            await target.put_manifest(image.raw, described(image), "1")
    async with target_at(tmp_path, "oci") as target:
        await copy_blob(Shown(image), target, children(image)[0], report=unheard)
        await target.put_manifest(image.raw, described(image), "1")
    assert names(tmp_path) == ["a.tar"]


async def test_an_archive_of_dockers_wants_whole_names(tmp_path: Path) -> None:
    async with target_at(tmp_path, "docker", repository=None) as target:
        with pytest.raises(InvalidReference):
            await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(IMAGE), target, described(IMAGE), "app:1")
    (entry,) = json.loads(members(tmp_path / "a.tar")["manifest.json"])
    assert entry["RepoTags"] == ["app:1"]
