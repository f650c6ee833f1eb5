"""Archives as places that images are copied from: of every kind and age, by every name, and wrong ones refused."""

import bz2
import gzip
import json
import lzma
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from isal import igzip

from puller.contracts.images import ImageSource
from puller.errors import (
    ContentCorrupt,
    ContentMissing,
    DiffIDMismatch,
    DigestMismatch,
    InvalidArchive,
    InvalidConfig,
    InvalidReference,
    LayerError,
    PullerError,
    UnsafePath,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.model.reference import Reference
from puller.model.referrer import tag_of
from puller.ops.convert import convert
from puller.ops.copying.archived import open_archive_source
from puller.ops.copying.archivesource import ArchiveSource
from puller.ops.pulling.transfer import copy_blob
from puller.store.memory import MemoryStore
from testregistry import images
from testregistry.images import Symlink
from tests.archive.building import (
    BASE,
    OTHER,
    TOP,
    A,
    B,
    C,
    Part,
    config,
    docker,
    document,
    folder,
    hex_of,
    layout,
    packed,
    replaced,
    repositories,
    without,
)
from tests.ops.copying.archives import HERE, names, read, tags, whole
from tests.ops.loader import loader

LAYER = images.layer({"etc/motd": b"hello\n" * 3000})
IMAGE = images.image(LAYER)
ARM = images.image(LAYER, platform=("linux", "arm64"))
INDEX = images.index(IMAGE, ARM)
SIGNATURE = images.artifact(images.blob(b"signed"), subject=IMAGE)
ONE = docker([BASE, TOP])
OLD = [*folder(A, layer=BASE), *folder(B, A, TOP), *folder(C, A, OTHER), repositories({"app": {"1": B}})]


def skopeo(layers: Sequence[bytes], names: Sequence[str] = ("app:1",)) -> list[Part]:
    """As skopeo and podman write it: layers at the top under their diff IDs, links to them for old readers."""
    raw = config(layers)
    parts: list[Part] = [(f"{hex_of(raw)}.json", raw), *((f"{hex_of(layer)}.tar", layer) for layer in layers)]
    parts += [(f"{'e' * 63}{place}/layer.tar", Symlink(f"../{hex_of(one)}.tar")) for place, one in enumerate(layers)]
    listed = {
        "Config": f"{hex_of(raw)}.json", "RepoTags": list(names), "Layers": [f"{hex_of(one)}.tar" for one in layers]
    }  # fmt: skip
    return [*parts, ("manifest.json", document([listed]))]


def merged(*archives: list[Part]) -> list[Part]:
    """Several archives in one."""
    listed = [entry for parts in archives for entry in json.loads(dict(parts)["manifest.json"])]  # type: ignore[arg-type]  # bytes
    held = {name: content for parts in archives for name, content in parts}
    return [*(held | {"manifest.json": document(listed)}).items()]


def opened(tmp_path: Path, parts: list[Part] | bytes, form: str = "docker", **words: Any) -> Any:
    path = tmp_path / "a.tar"
    path.write_bytes(parts if isinstance(parts, bytes) else packed(parts))
    return open_archive_source(path, f"{form}-archive:a.tar", **words)


async def config_of(source: ArchiveSource, reference: Reference) -> dict[str, Any]:
    checked: ImageSource = source  # it is all that a source is
    root = await checked.resolve(reference)
    assert len(await whole(source, root)) >= 3
    digest = json.loads(await read(source, root))["config"]["digest"]
    raw = await read(source, Descriptor("", Digest.parse(digest)))
    found: dict[str, Any] = json.loads(raw)
    return found | {"digest": digest}


# --- every kind and age ---


@pytest.mark.parametrize("make", [docker, skopeo])
async def test_an_image_has_the_id_and_the_manifest_that_a_load_gives_it(tmp_path: Path, make: Any) -> None:
    async with loader(tmp_path) as s:
        (landed,) = await s.load(make([BASE, TOP]))
        stored = (await s.store.tags())["docker.io/library/app:1"]
    async with opened(tmp_path, make([BASE, TOP])) as source:
        assert await tags(source) == ["1"]
        root = await source.resolve(Reference.parse("app:1"))
        assert root == Descriptor(stored.media_type, stored.digest, stored.size)
        found = await config_of(source, HERE.with_tag("1"))
        assert found["digest"] == landed.image_id
        layers = json.loads(await read(source, root))["layers"]
        assert [layer["digest"] for layer in layers] == found["rootfs"]["diff_ids"]  # plain ones, as they are


async def test_an_image_before_docker_1_10_is_what_load_and_convert_make_of_it(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(OLD)
        converted = await convert("app:1", "docker", s.store, s.graph)
    async with opened(tmp_path, OLD) as source:
        assert await tags(source) == ["1"]
        root = await source.resolve(Reference.parse("app:1"))
        assert root == converted.manifest
        assert {hex_of(BASE), hex_of(TOP)} < {text.partition(":")[2] for text in await whole(source, root)}


async def test_a_manifest_of_ocis_is_what_convert_makes(tmp_path: Path) -> None:
    for name, parts in (("new", ONE), ("old", OLD)):
        async with loader(tmp_path / name) as s:
            await s.load(parts)
            converted = await convert("app:1", "oci", s.store, s.graph)
        async with opened(tmp_path, parts, made="oci") as source:
            root = await source.resolve(Reference.parse("app:1"))
            assert root == converted.manifest
            assert len(await whole(source, root)) == 4
            assert (await config_of(source, Reference.parse("app:1")))["digest"] == str(converted.image_id)


async def test_a_graph_image_that_was_saved_with_a_config_goes_by_that(tmp_path: Path) -> None:
    parts = [*folder(A, layer=BASE), *docker([BASE], id=A)]
    async with opened(tmp_path, parts) as source:
        assert (await config_of(source, HERE))["id"] == A


async def test_an_archive_of_docker_25_keeps_the_manifest_that_it_brings(tmp_path: Path) -> None:
    path = f"blobs/sha256/{IMAGE.config.digest.partition(':')[2]}"
    listed = {"Config": path, "RepoTags": ["app:1"], "Layers": [f"blobs/{LAYER.digest.replace(':', '/')}"]}
    parts = [*layout((IMAGE, "1")), ("manifest.json", document([listed]))]
    async with opened(tmp_path, parts) as source:
        root = await source.resolve(HERE.with_tag("1"))
        assert str(root.digest) == IMAGE.digest
        assert await whole(source, root) == {one.digest for one in IMAGE.content()}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, igzip.compress])
async def test_a_compressed_archive_is_read_too(tmp_path: Path, pack: Any) -> None:
    async with opened(tmp_path, pack(packed(ONE))) as source:
        assert await config_of(source, HERE)
        assert names(tmp_path) == ["a.tar"]
    async with opened(tmp_path, pack(packed(layout((INDEX, "1")))), "oci") as source:
        assert len(await whole(source, await source.resolve(HERE))) == 6


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
async def test_a_layer_packed_as_no_registry_knows_it_comes_unpacked(tmp_path: Path, pack: Any) -> None:
    async with opened(tmp_path, replaced(ONE, f"{hex_of(BASE)}/layer.tar", pack(BASE))) as source:
        root = await source.resolve(HERE)
        assert f"sha256:{hex_of(BASE)}" in await whole(source, root)
        wanted = Descriptor("", Digest.of(BASE), len(BASE))
        assert await read(source, wanted, 100) == BASE[100:]
    assert names(tmp_path) == ["a.tar"]


async def test_a_packed_layer_goes_as_it_is(tmp_path: Path) -> None:
    raw = gzip.compress(BASE)
    async with opened(tmp_path, replaced(ONE, f"{hex_of(BASE)}/layer.tar", raw)) as source:
        assert f"sha256:{hex_of(raw)}" in await whole(source, await source.resolve(HERE))


async def test_a_layout_is_taken_as_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path, layout((INDEX, "1"), (ARM, "example.org/arm:2")), "oci") as source:
        assert source.place == "oci-archive:a.tar"
        assert await tags(source) == ["1", "2"]
        for text, image in (("1", INDEX), ("2", ARM)):
            root = await source.resolve(HERE.with_tag(text))
            assert str(root.digest) == image.digest
            assert await whole(source, root) == {one.digest for one in image.content()}


async def test_what_a_layout_leaves_out_is_not_held(tmp_path: Path) -> None:
    parts = layout((INDEX, "1"), leave_out=[ARM.digest, ARM.config.digest])
    async with opened(tmp_path, parts, "oci") as source:
        children = [Descriptor.decode(one, what="child") for one in json.loads(INDEX.raw)["manifests"]]
        assert [await source.holds(child) for child in children] == [True, False]
        with pytest.raises(ContentMissing):
            await read(source, children[1])


# --- names ---


async def test_a_name_is_looked_for_as_a_whole_then_by_its_tag(tmp_path: Path) -> None:
    parts = merged(docker([BASE], ["app:1", "app:3"]), docker([TOP], ["example.org/app:1", "example.org/app:2"]))
    async with opened(tmp_path, parts) as source:
        assert sorted(await tags(source)) == ["1", "2", "3"]
        base, top = await source.resolve(Reference.parse("app:3")), await source.resolve(HERE.with_tag("2"))
        assert await source.resolve(Reference.parse("app:1")) == base
        assert await source.resolve(Reference.parse("example.org/app:1")) == top
        with pytest.raises(InvalidReference, match="several"):
            await source.resolve(HERE.with_tag("1"))
        with pytest.raises(InvalidReference, match="several"):
            await source.resolve(HERE)
        with pytest.raises(ContentMissing) as caught:
            await source.resolve(HERE.with_tag("4"))
        assert "example.org/app:2" in str(caught.value)
        for known in (base, top):
            assert await source.resolve(HERE.with_digest(known.digest)) == known
        with pytest.raises(ContentMissing):
            await source.resolve(HERE.with_digest(Digest.of(b"nothing")))


async def test_a_bare_name_is_latest_before_it_is_the_only_image(tmp_path: Path) -> None:
    async with opened(tmp_path, merged(docker([BASE], ["app:latest"]), docker([TOP], ["app:1"]))) as source:
        assert await source.resolve(Reference.parse("app")) == await source.resolve(HERE.with_tag("latest"))
    async with opened(tmp_path, docker([BASE], None)) as source:
        assert await tags(source) == []
        assert await source.resolve(Reference.parse("app"))


async def test_a_digest_in_a_layout_may_be_that_of_an_image_in_an_index(tmp_path: Path) -> None:
    async with opened(tmp_path, layout((INDEX, "1")), "oci") as source:
        found = await source.resolve(HERE.with_digest(Digest.parse(ARM.digest)))
        assert (found.media_type, found.size) == (ARM.media_type, len(ARM.raw))
        assert await source.resolve(HERE.with_digest(Digest.parse(INDEX.digest))) == await source.resolve(HERE)
        with pytest.raises(ContentMissing):
            await source.resolve(HERE.with_digest(Digest.of(b"nothing")))


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "a/b:..", "x" * 129, "a b", "nul\0", "a\nb", "a/B:1", "@"])
async def test_a5_what_is_no_name_names_nothing(tmp_path: Path, name: str) -> None:
    async with opened(tmp_path, layout((IMAGE, name)), "oci") as source:
        assert await tags(source) == []
        assert str((await source.resolve(HERE)).digest) == IMAGE.digest


async def test_one_image_under_several_names_is_one(tmp_path: Path) -> None:
    async with opened(tmp_path, merged(docker([BASE], ["app:1"]), docker([BASE], ["app:2"]))) as source:
        assert await tags(source) == ["1", "2"]
        assert await source.resolve(HERE) == await source.resolve(HERE.with_tag("2"))
    async with opened(tmp_path, layout((IMAGE, "1"), (IMAGE, "2")), "oci") as source:
        assert await tags(source) == ["1", "2"]
        assert await source.resolve(HERE) == await source.resolve(HERE.with_tag("2"))


# --- what refers to an image ---


@pytest.mark.parametrize("listed", [True, False])
async def test_referrers_are_those_of_the_layout_and_of_the_fallback_tag(tmp_path: Path, listed: bool) -> None:
    subject = Digest.parse(IMAGE.digest)
    roots: tuple[Any, str] = (images.index(SIGNATURE), tag_of(subject)) if listed else (SIGNATURE, "")
    async with opened(tmp_path, layout((IMAGE, "1"), roots), "oci") as source:
        if listed:
            assert str((await source.resolve(HERE)).digest) == IMAGE.digest  # the only one, but for that list
        (found,) = await source.referrers(subject)
        assert (str(found.digest), found.artifact_type) == (SIGNATURE.digest, SIGNATURE.artifact_type)


async def test_c20_a_list_of_referrers_that_is_none_lists_nothing(tmp_path: Path) -> None:
    subject = Digest.parse(IMAGE.digest)
    async with opened(tmp_path, layout((IMAGE, "1"), (ARM, tag_of(subject))), "oci") as source:
        assert not await source.referrers(subject)
    async with opened(tmp_path, ONE) as source:
        assert not await source.referrers(subject)


# --- what is wrong ---


BAD: tuple[tuple[list[Part], type[PullerError]], ...] = (
    (replaced(ONE, f"{hex_of(BASE)}/layer.tar", OTHER), DiffIDMismatch),
    (replaced(ONE, f"{hex_of(BASE)}/layer.tar", gzip.compress(BASE)[:-9]), LayerError),
    (without(ONE, f"{hex_of(BASE)}/layer.tar"), InvalidArchive),
    (replaced(ONE, f"{hex_of(BASE)}/layer.tar", Symlink("../../etc/passwd")), UnsafePath),
    (replaced(ONE, f"{hex_of(config([BASE, TOP]))}.json", config([TOP, BASE])), DigestMismatch),
    (replaced(ONE, f"{hex_of(config([BASE, TOP]))}.json", b"{}"), DigestMismatch),
)


@pytest.mark.parametrize(("parts", "kind"), BAD)
async def test_g6_what_is_not_what_it_is_called_is_refused(
    tmp_path: Path, parts: list[Part], kind: type[PullerError]
) -> None:
    async with opened(tmp_path, parts) as source:
        with pytest.raises(kind, match=r"docker-archive:a\.tar"):
            await source.resolve(HERE)


async def test_wrong_bytes_of_a_layout_do_not_pass_a_copy(tmp_path: Path) -> None:
    parts = replaced(layout((IMAGE, "1")), f"blobs/{LAYER.digest.replace(':', '/')}", bytes(LAYER.size))
    wanted = Descriptor.decode(json.loads(IMAGE.raw)["layers"][0], what="layer")
    async with opened(tmp_path, parts, "oci") as source:
        with pytest.raises(DigestMismatch):
            await copy_blob(source, MemoryStore(), wanted, report=unheard)


async def test_a_blob_of_another_size_is_not_opened(tmp_path: Path) -> None:
    parts = replaced(layout((IMAGE, "1")), f"blobs/{LAYER.digest.replace(':', '/')}", b"short")
    wanted = Descriptor.decode(json.loads(IMAGE.raw)["layers"][0], what="layer")
    async with opened(tmp_path, parts, "oci") as source:
        assert not await source.holds(wanted)
        with pytest.raises(ContentCorrupt):
            await read(source, wanted)


async def test_a_root_that_is_listed_and_not_there_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path, layout((IMAGE, "1"), leave_out=[IMAGE.digest]), "oci") as source:
        with pytest.raises(InvalidArchive, match="lacks a file"):
            await source.resolve(HERE)


async def test_an_archive_that_becomes_shorter_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path, layout((IMAGE, "1")), "oci") as source:
        with (tmp_path / "a.tar").open("r+b") as file:
            file.truncate(600)
        with pytest.raises(ContentCorrupt, match="shorter"):
            await read(source, Descriptor("", Digest.parse(LAYER.digest)))


def cycle() -> Iterator[tuple[list[Part], type[PullerError]]]:
    yield [*folder(A, B), *folder(B, A)], InvalidArchive
    yield [*folder(A, B)], ContentMissing
    yield [*folder(A), repositories({"app": {"1": B}})], InvalidArchive
    yield [*folder(A), repositories({"scratch": {"1": A}})], InvalidArchive
    yield [*folder(A), ("x/json", b"{}")], InvalidArchive


@pytest.mark.parametrize(("parts", "kind"), list(cycle()))
async def test_g3_g4_old_archives_whose_images_do_not_stand_on_one_another_are_refused(
    tmp_path: Path, parts: list[Part], kind: type[PullerError]
) -> None:
    with pytest.raises(kind, match=r"docker-archive:a\.tar"):
        async with opened(tmp_path, parts):
            pass


NONE: tuple[tuple[list[Part] | bytes, str], ...] = (
    (ONE, "oci"), (OLD, "oci"), (layout((IMAGE, "1")), "docker"), ([("a", b"hello")], "oci"), ([("a", b"")], "docker"),
)  # fmt: skip


@pytest.mark.parametrize(("parts", "form"), NONE)
async def test_an_archive_of_another_kind_is_a_wrong_word(tmp_path: Path, parts: list[Part], form: str) -> None:
    with pytest.raises(InvalidConfig, match="archive"):
        async with opened(tmp_path, parts, form):
            pass


@pytest.mark.parametrize("content", [b"", b"text" * 1000, packed(ONE)[:5000]])
async def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LayerError, match=r"oci-archive:a\.tar"):
        async with opened(tmp_path, content, "oci"):
            pass


async def test_only_files_are_read(tmp_path: Path) -> None:
    for name in (".", "none"):
        with pytest.raises(InvalidConfig):
            async with open_archive_source(tmp_path / name, "oci-archive:x"):
                pass


async def test_a_broken_index_is_the_fault_of_the_archive(tmp_path: Path) -> None:
    with pytest.raises(InvalidArchive):
        async with opened(tmp_path, replaced(layout((IMAGE, "1")), "index.json", b"{"), "oci"):
            pass
