"""Chosen platforms: what becomes of their index, and what is said of it."""

import json
from pathlib import Path

import pytest

from puller.errors import ContentMissing, ContentUnknown, Unsupported
from puller.model.digest import Digest
from testregistry import images
from tests.ops.copying.scene import ARM, INDEX, blob, manifest, scene, tags
from tests.ops.story import BASE, IMAGE, TOP

LINUX = ("linux/arm64",)


async def test_a_rewritten_index_has_its_own_digest_which_is_said(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        carried = await s.copy(platforms=LINUX, index="rewritten")
        raw = manifest(s.b, "copy", "1")
        assert raw is not None
        document = json.loads(raw)
        assert document == {**json.loads(INDEX.raw), "manifests": json.loads(INDEX.raw)["manifests"][1:]}
        assert (carried.root, tags(s.b)["1"]) == (str(Digest.of(raw)), str(Digest.of(raw)))
        assert carried.warnings == (
            f"the index {INDEX.digest} was rewritten for linux/arm64: it is {carried.root} now",
        )
        assert blob(s.b, "copy", TOP.digest) is None


async def test_a_rewritten_index_is_the_same_the_second_time(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        first = await s.copy(platforms=LINUX, index="rewritten")
        s.again()
        second = await s.copy(platforms=LINUX, index="rewritten")
        assert (second.root, second.brought) == (first.root, 0)


async def test_an_index_of_which_all_is_chosen_stays_as_it_is(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        carried = await s.copy(platforms=("linux/amd64", "linux/arm64"), index="rewritten")
        assert (carried.root, carried.warnings) == (INDEX.digest, ())


async def test_a_single_image_goes_in_the_place_of_its_index(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        carried = await s.copy(platforms=LINUX, index="single")
        assert manifest(s.b, "copy", "1") == ARM.raw
        assert (carried.root, carried.brought) == (ARM.digest, 3)
        assert INDEX.digest in carried.warnings[0]
        assert manifest(s.b, "copy", INDEX.digest) is None


@pytest.mark.parametrize("kind", ["directory", "store"])
async def test_a_sparse_index_stays_as_it_is_and_its_place_knows_what_is_not_there(tmp_path: Path, kind: str) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        place = getattr(s, kind)
        carried = await s.copy("app:1", place, platforms=LINUX)
        assert carried.root == INDEX.digest
        assert "only linux/arm64 was brought: 1 of its entries" in carried.warnings[0]
        assert s.a.journal.gets(TOP.digest) == 0
        assert str(await (await s.places.target(place)).named("1")) == INDEX.digest


@pytest.mark.parametrize("kind", ["directory", "store"])
async def test_what_a_sparse_index_lacked_comes_when_it_is_wanted(tmp_path: Path, kind: str) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        place = getattr(s, kind)
        await s.copy("app:1", place, platforms=LINUX)
        await s.copy("app:1", place)
        s.again()
        assert (await s.copy("any:1", source=place)).brought == 7


async def test_of_a_sparse_index_the_images_that_are_there_are_copied_on(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        await s.copy("app:1", s.directory, platforms=LINUX)
        s.again()
        with pytest.raises(ContentMissing, match="an image of the index is not at the source"):
            await s.copy("any:1", source=s.directory)
        assert tags(s.b) == {}
        carried = await s.copy("any:1", source=s.directory, platforms=LINUX, index="rewritten")
        assert set(json.loads(manifest(s.b, "copy", "1") or b"")["manifests"][0]["digest"]) == set(ARM.digest)
        assert carried.brought == 4


async def test_a_registry_that_takes_no_sparse_index_is_told_of_with_what_helps(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        with pytest.raises(ContentUnknown) as caught:
            await s.copy(platforms=LINUX)
        assert "--rewrite-index" in caught.value.hint
        assert tags(s.b) == {}


async def test_an_image_without_an_index_goes_whatever_platform_is_chosen(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        for index in ("sparse", "rewritten", "single"):
            assert (await s.copy(platforms=LINUX, index=index)).root == IMAGE.digest


async def test_an_index_within_an_index_is_brought_whole_or_gone_through_for_one(tmp_path: Path) -> None:
    outer = images.index(INDEX)
    async with scene(tmp_path) as s:
        s.a.add("app:1", outer)
        assert (await s.copy()).root == outer.digest
        assert manifest(s.b, "copy", INDEX.digest) == INDEX.raw
        assert (await s.copy(platforms=LINUX, index="single")).root == ARM.digest


async def test_an_index_nested_too_deep_is_refused(tmp_path: Path) -> None:
    nested: images.Index = INDEX
    for _ in range(5):
        nested = images.index(nested)
    async with scene(tmp_path) as s:
        s.a.add("app:1", nested)
        with pytest.raises(Unsupported, match="index within index"):
            await s.copy()
        assert s.b.journal.count() == 0


async def test_one_image_twice_in_an_index_comes_once(tmp_path: Path) -> None:
    twice = images.index(ARM, ARM)
    async with scene(tmp_path) as s:
        s.a.add("app:1", twice)
        carried = await s.copy()
        assert (carried.brought, s.a.journal.gets(BASE.digest)) == (4, 1)


async def test_what_refers_to_an_index_that_is_not_brought_stays_behind_and_that_is_said(tmp_path: Path) -> None:
    of_index = images.artifact(images.blob(b"of the index"), subject=INDEX)
    of_image = images.artifact(images.blob(b"of the image"), subject=ARM)
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        for thing in (of_index, of_image):
            s.a.add("app", thing)
        for index in ("rewritten", "single"):
            carried = await s.copy(platforms=LINUX, index=index, referrers=True)
            assert carried.warnings[0].endswith("; what refers to the index stayed behind")
        assert manifest(s.b, "copy", of_image.digest) == of_image.raw
        assert manifest(s.b, "copy", of_index.digest) is None


async def test_a_single_image_of_another_platform_is_brought_and_said_to_be_one(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", ARM)
        carried = await s.copy(platforms=("linux/riscv64", "linux/amd64"))
        said = "the image is for linux/arm64, not for linux/riscv64, linux/amd64, and there is no other"
        assert (carried.root, carried.warnings) == (ARM.digest, (said,))
        # Its config tells, and is fetched once.
        assert s.a.journal.count("GET", kind="blob") == 1 + len(ARM.layers)
        assert (await s.copy("app:1", None, "2", platforms=("linux/arm64",))).warnings == ()
        s.again()
        assert (await s.copy(platforms=("linux/amd64",))).warnings == (said.replace("riscv64, linux/", ""),)


async def test_a_single_image_whose_config_cannot_be_read_is_brought_all_the_same(tmp_path: Path) -> None:
    huge = images.image(BASE, config_extra={"config": {"Labels": {"much": "x" * (5 << 20)}}})
    async with scene(tmp_path) as s:
        s.a.add("app:huge", huge)
        s.a.add("app:lacking", ARM)
        s.b.add("copy:other", ARM)
        s.a.storage.drop_blob("app", ARM.config.digest)
        assert (await s.copy("app:huge", platforms=("linux/arm64",))).root == huge.digest
        assert (await s.copy("app:lacking", platforms=("linux/amd64",))).root == ARM.digest
