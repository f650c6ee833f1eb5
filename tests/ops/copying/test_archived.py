"""Archives as places that images are copied to: what goes in comes out again, and what fails leaves no file."""

import json
import os
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
from puller.model.mediatype import SCHEMA1_SIGNED
from puller.model.reference import Reference
from puller.model.referrer import tag_of
from puller.ops.copying.archived import ArchiveTarget, open_archive_source, open_archive_target
from puller.ops.pulling.transfer import copy_blob
from puller.ops.saving.modernise import Form
from testregistry import images
from tests.ops.copying.archives import (
    HERE,
    Body,
    Shown,
    bring,
    described,
    index_of,
    members,
    names,
    tags,
    whole,
)

BASE = images.layer({"etc/motd": b"hello\n" * 3000})
TOP = images.layer({"srv/app": b"app\n"}, compression="zstd")
PLAIN = images.raw_layer(images.tar({"etc/motd": b"hello\n" * 3000}), compression="none")  # BASE as it unpacks
IMAGE = images.image(BASE, TOP)
OTHER = images.image(BASE, images.layer({"x": b"y"}), platform=("linux", "arm64"))
INDEX = images.index(IMAGE, OTHER)
SIGNATURE = images.artifact(images.blob(b"signed"), subject=IMAGE, annotations={"who": "me"})
FORMS: tuple[Form, ...] = ("oci", "docker")
BIG = 1 << 60

both = pytest.mark.parametrize("form", FORMS)


def place_of(form: Form) -> str:
    return f"{form}-archive:a.tar"


@asynccontextmanager
async def target_at(folder: Path, form: Form, **words: Any) -> AsyncIterator[ArchiveTarget]:
    async with open_archive_target(folder / "a.tar", place_of(form), form, **{"repository": HERE, **words}) as target:
        yield target


def ref_names(path: Path) -> list[str | None]:
    return [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in index_of(path)]


# --- what goes in comes out ---


async def test_an_index_goes_through_an_oci_archive_byte_for_byte(tmp_path: Path) -> None:
    async with target_at(tmp_path, "oci", repository=None) as target:
        await bring(Shown(INDEX), target, described(INDEX), "1", "latest")
        assert names(tmp_path) == []
    assert names(tmp_path) == ["a.tar"]
    assert ref_names(tmp_path / "a.tar") == ["1", "latest"]
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        assert await tags(source) == ["1", "latest"]
        root = await source.resolve(HERE.with_tag("1"))
        assert root == described(INDEX)
        assert await whole(source, root) == {one.digest for one in INDEX.content()}


async def test_an_image_goes_through_an_archive_of_dockers_with_its_id_and_plain_layers(tmp_path: Path) -> None:
    async with target_at(tmp_path, "docker") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
    async with open_archive_source(tmp_path / "a.tar", "docker-archive:a.tar") as source:
        found = await whole(source, await source.resolve(HERE.with_tag("1")))
        assert {IMAGE.config.digest, *(layer.diff_id for layer in IMAGE.layers)} < found


async def test_digests_of_sha512_go_through_an_oci_archive(tmp_path: Path) -> None:
    layer = images.layer({"a": b"b"}, algorithm="sha512")
    image = images.image(layer, algorithm="sha512")
    async with target_at(tmp_path, "oci") as target:
        await bring(Shown(image), target, described(image), "1")
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        root = await source.resolve(HERE.with_tag("1"))
        assert root.digest.algorithm == "sha512"
        assert len(await whole(source, root)) == 3


async def test_names_in_an_oci_archive_are_whole_where_the_repository_is_known(tmp_path: Path) -> None:
    async with target_at(tmp_path, "oci") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1", "example.org/other:2")
    annotations = [entry["annotations"] for entry in index_of(tmp_path / "a.tar")]
    assert annotations == [
        {"io.containerd.image.name": "localhost/here:1", "org.opencontainers.image.ref.name": "1"},
        {
            "io.containerd.image.name": "example.org/other:2",
            "org.opencontainers.image.ref.name": "example.org/other:2",
        },
    ]


async def test_an_archive_of_dockers_is_for_old_readers_too(tmp_path: Path) -> None:
    async with target_at(tmp_path, "docker", repository=Reference.parse("app")) as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
    held = members(tmp_path / "a.tar")
    (entry,) = json.loads(held["manifest.json"])
    assert entry["RepoTags"] == ["app:1"]
    assert [str(Digest.of(held[name])) for name in entry["Layers"]] == [layer.diff_id for layer in IMAGE.layers]
    assert str(Digest.of(held[entry["Config"]])) == IMAGE.config.digest
    top = json.loads(held["repositories"])["app"]["1"]
    base = json.loads(held[f"{top}/json"])["parent"]
    assert held[f"{top}/VERSION"] == b"1.0"
    # Links that Python has followed.
    assert [str(Digest.of(held[f"{folder}/layer.tar"])) for folder in (base, top)] == [
        layer.diff_id for layer in IMAGE.layers
    ]


@both
async def test_two_images_in_one_archive_share_what_they_have_in_common(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(OTHER), target, described(OTHER), "2")
    async with open_archive_source(tmp_path / "a.tar", place_of(form)) as source:
        assert sorted(await tags(source)) == ["1", "2"]
        for tag, image in (("1", IMAGE), ("2", OTHER)):
            assert image.config.digest in await whole(source, await source.resolve(HERE.with_tag(tag)))


async def test_one_layer_in_two_compressions_is_in_an_archive_of_dockers_once(tmp_path: Path) -> None:
    plain = images.image(PLAIN, config_extra={"author": "me"})
    assert PLAIN.diff_id == BASE.diff_id
    async with target_at(tmp_path, "docker") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(plain), target, described(plain), "2")
    held = members(tmp_path / "a.tar")
    assert sorted(name for name in held if name.endswith(".tar") and "/" not in name) == sorted(
        f"{layer.diff_id.removeprefix('sha256:')}.tar" for layer in IMAGE.layers
    )


@both
async def test_an_image_by_its_digest_has_no_name(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        await bring(Shown(IMAGE), target, described(IMAGE))
        assert await target.named("1") is None
    async with open_archive_source(tmp_path / "a.tar", place_of(form)) as source:
        assert await tags(source) == []
        assert IMAGE.config.digest in await whole(source, await source.resolve(HERE))


@both
async def test_a_name_moves_to_what_is_put_last(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        assert await target.named("1") == described(IMAGE).digest
        await bring(Shown(OTHER), target, described(OTHER), "1")
        assert await target.named("1") == described(OTHER).digest
        await target.tag(HERE.with_tag("2"), described(IMAGE))
    async with open_archive_source(tmp_path / "a.tar", place_of(form)) as source:
        for tag, image in (("1", OTHER), ("2", IMAGE)):
            assert image.config.digest in await whole(source, await source.resolve(HERE.with_tag(tag)))


@both
async def test_a_manifest_may_come_as_an_ingest(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        for child in _children(IMAGE):
            await copy_blob(Shown(IMAGE), target, child, report=unheard)
        await copy_blob(Shown(IMAGE), target, described(IMAGE), report=unheard)
        assert await copy_blob(Shown(IMAGE), target, described(IMAGE), report=unheard) is None
        await target.tag(HERE.with_tag("1"), described(IMAGE))
    async with open_archive_source(tmp_path / "a.tar", place_of(form)) as source:
        assert IMAGE.config.digest in await whole(source, await source.resolve(HERE.with_tag("1")))


def _children(image: Any) -> list[Descriptor]:
    document = json.loads(image.raw)
    return [Descriptor.decode(one, what="child") for one in (document["config"], *document["layers"])]


async def test_blobs_that_come_at_once_are_written_one_after_the_other(tmp_path: Path) -> None:
    layers = [images.layer({"f": os.urandom(50_000)}) for _ in range(5)]
    image = images.image(*layers)
    async with target_at(tmp_path, "oci") as target:
        async with anyio.create_task_group() as group:
            for child in _children(image):
                group.start_soon(_copy, image, target, child)
        await bring(Shown(image), target, described(image), "1")
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        assert len(await whole(source, described(image))) == 7


async def _copy(image: Any, target: ArchiveTarget, child: Descriptor) -> None:
    await copy_blob(Shown(image), target, child, report=unheard)


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
        assert not await target.exists(_children(IMAGE)[-1])
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
        for place, child in enumerate(_children(IMAGE)):
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


async def test_an_archive_of_dockers_wants_whole_names(tmp_path: Path) -> None:
    async with target_at(tmp_path, "docker", repository=None) as target:
        with pytest.raises(InvalidReference):
            await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(IMAGE), target, described(IMAGE), "app:1")
    (entry,) = json.loads(members(tmp_path / "a.tar")["manifest.json"])
    assert entry["RepoTags"] == ["app:1"]


# --- what refers to an image ---


async def test_referrers_are_listed_under_the_fallback_tag(tmp_path: Path) -> None:
    async with target_at(tmp_path, "oci") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(SIGNATURE), target, described(SIGNATURE))
    tag = tag_of(Digest.parse(IMAGE.digest))
    assert sorted(filter(None, ref_names(tmp_path / "a.tar"))) == ["1", tag]
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        (found,) = await source.referrers(Digest.parse(IMAGE.digest))
        assert found == described(SIGNATURE)
        assert (found.artifact_type, dict(found.annotations)) == (SIGNATURE.artifact_type, {"who": "me"})
        assert not await source.referrers(Digest.parse(OTHER.digest))
        assert SIGNATURE.digest in await whole(source, found)


async def test_a_list_that_was_put_is_added_to(tmp_path: Path) -> None:
    second = images.artifact(images.blob(b"more"), subject=IMAGE)
    listed = images.index(second)
    tag = tag_of(Digest.parse(IMAGE.digest))
    async with target_at(tmp_path, "oci") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(listed), target, described(listed), tag)
        await bring(Shown(SIGNATURE), target, described(SIGNATURE))
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        found = await source.referrers(Digest.parse(IMAGE.digest))
        assert {str(one.digest) for one in found} == {SIGNATURE.digest, second.digest}
    assert ref_names(tmp_path / "a.tar").count(tag) == 1


async def test_c20_a_fallback_tag_that_is_in_use_for_something_else_is_refused(tmp_path: Path) -> None:

    async def work() -> None:
        async with target_at(tmp_path, "oci") as target:
            await bring(Shown(IMAGE), target, described(IMAGE), tag_of(Digest.parse(IMAGE.digest)))
            await bring(Shown(SIGNATURE), target, described(SIGNATURE))

    with pytest.raises(InvalidReference):
        await work()
    assert names(tmp_path) == []
