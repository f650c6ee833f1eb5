"""A layout of plain tags as a place to copy images to: what other tools see in it, and what keeps it whole."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from puller.errors import ContentUnknown, DigestMismatch, InvalidReference, StoreUnusable
from puller.model.reference import Reference
from puller.store.disk import DiskStore
from puller.store.plain import PlainLayout
from tests.contracts.sample import blob, blob_of, image, index
from tests.store.plainly import bring, entry, listed, put, referring, write_layout

APP = image(blob(5_000, 1), blob(7_000, 2), seed=1)
NEXT = image(blob(5_000, 1), blob(9_000, 3), seed=2)
SIGNATURE = referring(APP.manifest, blob_of(b"{}"))


@pytest.fixture
async def layout(tmp_path: Path) -> AsyncIterator[PlainLayout]:
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
        yield layout


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def tags(layout: PlainLayout) -> list[str]:
    return [tag async for tag in layout.tags()]


async def test_an_image_is_put_under_a_plain_tag(layout: PlainLayout, tmp_path: Path) -> None:
    await put(layout, APP, "1.0")
    assert listed(tmp_path / "images") == {"1.0": str(APP.manifest.digest)}
    assert await tags(layout) == ["1.0"]
    assert await layout.named("1.0") == APP.manifest.digest
    assert await layout.resolve(Reference.parse("any/where:1.0")) == APP.manifest.descriptor


async def test_others_see_nothing_but_what_a_layout_has(layout: PlainLayout, tmp_path: Path) -> None:
    await put(layout, APP, "1.0")
    assert names_in(tmp_path / "images") == [".puller", "blobs", "index.json", "oci-layout"]
    assert (tmp_path / "images" / ".puller").stat().st_mode & 0o777 == 0o700


async def test_its_directories_have_the_rights_of_this_users_files(layout: PlainLayout, tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.mkdir()
    await put(layout, APP, "1.0")
    for folder in (tmp_path / "images", tmp_path / "images" / "blobs", tmp_path / "images" / "blobs" / "sha256"):
        assert folder.stat().st_mode == usual.stat().st_mode


async def test_nothing_is_made_before_something_is_written(layout: PlainLayout, tmp_path: Path) -> None:
    assert await tags(layout) == []
    assert await layout.named("1.0") is None
    assert not await layout.exists(APP.manifest.descriptor)
    await layout.untag("1.0", APP.manifest.digest)
    assert (await layout.collect()).freed == ()
    assert not (tmp_path / "images").exists()


async def test_a_layout_of_another_tool_is_taken_over_as_it_is(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "images", entry(NEXT.manifest, "old") | {"novel": 1}, blobs=NEXT.blobs)
    async with await PlainLayout.at(folder, reserve=0) as layout:
        await put(layout, APP, "new")
    assert listed(folder) == {"old": str(NEXT.manifest.digest), "new": str(APP.manifest.digest)}
    assert json.loads((folder / "index.json").read_text())["manifests"][0]["novel"] == 1


async def test_a_store_of_this_program_keeps_its_own_places(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "images", reserve=0)
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
        await put(layout, APP, "1.0")
        assert not (tmp_path / "images" / ".puller").exists()
        assert await store.leased() >= APP.digests  # so that both see what the other needs


async def test_a_directory_of_images_is_no_store_whose_locks_would_be_others(
    layout: PlainLayout, tmp_path: Path
) -> None:
    await put(layout, APP, "1.0")
    with pytest.raises(StoreUnusable, match="by their tags"):
        await DiskStore.open(tmp_path / "images")
    assert ".puller" in names_in(tmp_path / "images")
    assert "locks" not in names_in(tmp_path / "images")


async def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    async with await PlainLayout.at(tmp_path) as layout:
        with pytest.raises(StoreUnusable):
            await bring(layout, APP.config)
    assert names_in(tmp_path) == ["notes.txt"]


async def test_a_manifest_by_its_digest_is_not_listed(layout: PlainLayout, tmp_path: Path) -> None:
    await put(layout, APP)
    assert listed(tmp_path / "images") == {}
    assert await layout.exists(APP.manifest.descriptor)


async def test_what_is_to_be_kept_by_its_digest_is_listed_once_without_a_name(
    layout: PlainLayout, tmp_path: Path
) -> None:
    await put(layout, APP)
    await layout.keep(APP.manifest.descriptor)
    await layout.keep(APP.manifest.descriptor)
    assert listed(tmp_path / "images") == {None: str(APP.manifest.digest)}
    assert await layout.resolve(Reference.parse("app@" + str(APP.manifest.digest))) == APP.manifest.descriptor


@pytest.mark.parametrize("missing", [APP.config, APP.layers[1]], ids=["config", "layer"])
async def test_a_manifest_without_its_blobs_is_refused(layout: PlainLayout, tmp_path: Path, missing: object) -> None:
    await bring(layout, *(one for one in (APP.config, *APP.layers) if one is not missing))
    with pytest.raises(ContentUnknown):
        await layout.put_manifest(APP.manifest.content, APP.manifest.descriptor, "1.0")
    assert listed(tmp_path / "images") == {}


async def test_an_index_without_its_images_is_refused(layout: PlainLayout) -> None:
    both = index(APP.manifest, NEXT.manifest)
    await put(layout, APP)
    with pytest.raises(ContentUnknown):
        await layout.put_manifest(both.content, both.descriptor, "1.0")


async def test_an_index_may_lack_what_was_left_out_by_choice(layout: PlainLayout) -> None:
    both = index(APP.manifest, NEXT.manifest)
    await put(layout, APP)
    await layout.leave_out(both.descriptor, [NEXT.manifest.digest])
    await layout.put_manifest(both.content, both.descriptor, "1.0")
    assert await layout.named("1.0") == both.digest
    assert (await layout.collect(grace=-1)).freed == ()
    assert await layout.exists(both.descriptor)
    assert not await layout.has_all(both.descriptor)
    await put(layout, NEXT)
    assert await layout.has_all(both.descriptor)


async def test_a_manifest_whose_blob_is_gone_does_not_exist(layout: PlainLayout, tmp_path: Path) -> None:
    await put(layout, APP, "1.0")
    (tmp_path / "images" / "blobs" / "sha256" / APP.layers[0].digest.hex).unlink()
    assert not await layout.exists(APP.manifest.descriptor)
    assert not await layout.has_all(APP.manifest.descriptor)
    await put(layout, APP, "1.0")
    assert await layout.exists(APP.manifest.descriptor)


@pytest.mark.parametrize("name", ["../up", "a/b", "", "sha256:" + "0" * 64, "-x", "a\nb"])
async def test_a5_what_is_no_tag_names_nothing(layout: PlainLayout, name: str) -> None:
    await bring(layout, APP.config, *APP.layers)
    with pytest.raises(InvalidReference):
        await layout.put_manifest(APP.manifest.content, APP.manifest.descriptor, name)


async def test_a_manifest_that_is_not_what_its_digest_says_is_refused(layout: PlainLayout, tmp_path: Path) -> None:
    await bring(layout, APP.config, *APP.layers)
    with pytest.raises(DigestMismatch):
        await layout.put_manifest(APP.manifest.content.replace(b":", b" "), APP.manifest.descriptor, "1.0")
    assert listed(tmp_path / "images") == {}


async def test_a_tag_goes_and_others_of_its_digest_stay(layout: PlainLayout) -> None:
    await put(layout, APP, "1.0")
    await put(layout, APP, "1")
    await layout.untag("1.0", APP.manifest.digest)
    await layout.untag("1.0", APP.manifest.digest)
    assert await tags(layout) == ["1"]
    assert await layout.exists(APP.manifest.descriptor)


async def test_a_tag_that_has_moved_is_not_taken_away(layout: PlainLayout) -> None:
    await put(layout, APP, "1.0")
    await put(layout, NEXT, "1.0")
    with pytest.raises(DigestMismatch):
        await layout.untag("1.0", APP.manifest.digest)
    assert await layout.named("1.0") == NEXT.manifest.digest


async def test_what_refers_to_an_image_is_listed_for_others(layout: PlainLayout, tmp_path: Path) -> None:
    second = referring(APP.manifest, blob_of(b"{}"), seed=2)
    await put(layout, APP, "1.0")
    await bring(layout, blob_of(b"{}"))
    for one in (SIGNATURE, second, SIGNATURE):
        await layout.put_manifest(one.content, one.descriptor, str(one.digest))
    assert [one.digest for one in await layout.referrers(APP.manifest.digest)] == [SIGNATURE.digest, second.digest]
    names = listed(tmp_path / "images")
    assert names.keys() == {"1.0", f"sha256-{APP.manifest.digest.hex}"}
    assert (await layout.referrers(APP.manifest.digest))[0].artifact_type == "application/x.signature"


async def test_c20_what_index_json_lists_is_found_by_its_subject(tmp_path: Path) -> None:
    blobs = (*APP.blobs, SIGNATURE, blob_of(b"{}"))
    folder = write_layout(tmp_path, entry(APP.manifest, "1.0"), entry(SIGNATURE), blobs=blobs)
    async with await PlainLayout.at(folder) as layout:
        assert [one.digest for one in await layout.referrers(APP.manifest.digest)] == [SIGNATURE.digest]
        assert await layout.referrers(NEXT.manifest.digest) == ()


async def test_many_who_refer_at_once_are_all_listed(layout: PlainLayout) -> None:
    await put(layout, APP, "1.0")
    await bring(layout, blob_of(b"{}"))
    many = [referring(APP.manifest, blob_of(b"{}"), seed=seed) for seed in range(12)]
    async with anyio.create_task_group() as group:
        for one in many:
            group.start_soon(layout.put_manifest, one.content, one.descriptor, str(one.digest))
    found = {one.digest for one in await layout.referrers(APP.manifest.digest)}
    assert found == {one.digest for one in many}


async def test_two_who_copy_into_one_directory_lose_no_tag(tmp_path: Path) -> None:
    images = [image(blob(500, number), seed=number) for number in range(12)]

    async def copy(numbers: range) -> None:
        async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
            for number in numbers:
                await put(layout, images[number], str(number))

    async with anyio.create_task_group() as group:
        group.start_soon(copy, range(6))
        group.start_soon(copy, range(6, 12))
    assert listed(tmp_path / "images") == {str(n): str(images[n].manifest.digest) for n in range(12)}


async def test_what_no_name_reaches_is_freed_after_its_time_of_grace(tmp_path: Path) -> None:
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
        await put(layout, APP, "1.0")
        await put(layout, NEXT, "2.0")
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
        await layout.untag("1.0", APP.manifest.digest)
        assert (await layout.collect(grace=3600)).freed == ()
        assert set((await layout.collect(grace=-1)).freed) == APP.digests - NEXT.digests
        assert await layout.exists(NEXT.manifest.descriptor)


async def test_r12_what_this_run_has_brought_is_not_freed_by_another(layout: PlainLayout, tmp_path: Path) -> None:
    await bring(layout, APP.config, *APP.layers)
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as other:
        assert (await other.collect(grace=-1)).freed == ()
    await layout.put_manifest(APP.manifest.content, APP.manifest.descriptor, "1.0")


async def test_who_refers_to_an_image_goes_with_it(tmp_path: Path) -> None:
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
        await put(layout, APP, "1.0")
        await bring(layout, blob_of(b"{}"))
        await layout.put_manifest(SIGNATURE.content, SIGNATURE.descriptor, str(SIGNATURE.digest))
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
        await layout.untag("1.0", APP.manifest.digest)
        assert {*APP.digests, SIGNATURE.digest} <= set((await layout.collect(grace=-1)).freed)
    assert listed(tmp_path / "images") == {}
    assert list((tmp_path / "images" / "blobs").rglob("*/*")) == []


async def test_a_list_of_referrers_whose_subject_never_was_here_stays(tmp_path: Path) -> None:
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
        await bring(layout, blob_of(b"{}"))
        await layout.put_manifest(SIGNATURE.content, SIGNATURE.descriptor, str(SIGNATURE.digest))
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
        assert SIGNATURE.digest not in (await layout.collect(grace=-1)).freed
        assert [one.digest for one in await layout.referrers(APP.manifest.digest)] == [SIGNATURE.digest]


async def test_the_sparse_index_of_another_tool_hinders_no_collection(tmp_path: Path) -> None:
    both = index(APP.manifest, NEXT.manifest)
    folder = write_layout(tmp_path, entry(both, "1.0"), blobs=(*APP.blobs, both, blob(100, 9)))
    async with await PlainLayout.at(folder, reserve=0) as layout:
        assert (await layout.collect(grace=-1)).freed == (blob(100, 9).digest,)


async def test_the_locks_of_a_run_are_swept_at_its_end(tmp_path: Path) -> None:
    async with await PlainLayout.at(tmp_path / "images", reserve=0) as layout:
        await put(layout, APP, "1.0")
        assert len(names_in(tmp_path / "images" / ".puller" / "locks")) > 3
    assert names_in(tmp_path / "images" / ".puller" / "locks") == ["probe"]
