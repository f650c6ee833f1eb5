"""Pushing images of today: byte for byte, what is there left alone, the name last."""

from pathlib import Path

import pytest

from puller.errors import (
    ContentMissing,
    ContentUnknown,
    InvalidReference,
    PullerError,
    Unauthorized,
    Unsupported,
)
from puller.model.event import Delivered, Pushed, PushFailed
from puller.ops.push import tags_of
from testregistry import faults, images
from tests.ops.old_world import OLD, old_story
from tests.ops.pushing import blob, outcomes, pushed, raw_manifest, uploads
from tests.ops.story import BASE, ELSEWHERE, IMAGE, LARGE, TOP

ARM = images.image(BASE, platform=("linux", "arm64"))
INDEX = images.index(IMAGE, ARM)


async def test_an_image_arrives_byte_for_byte_under_another_name(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        report = await pushed(s, name="other:2")
        assert (report.digest, report.reference) == (IMAGE.digest, s.story.registry.name("other:2"))
        assert raw_manifest(s.story.registry, "other:2") == IMAGE.raw
        assert blob(s.story.registry, "other", BASE.digest) == BASE.raw
        assert blob(s.story.registry, "other", IMAGE.config.digest) == IMAGE.config.raw


async def test_blobs_of_another_repository_of_the_registry_are_mounted(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        report = await pushed(s, name="other:2")
        assert outcomes(report) == [
            ("config", "mounted"), ("layer 1", "mounted"), ("layer 2", "mounted"), ("manifest", "pushed"),
        ]  # fmt: skip
        assert report.sent == IMAGE.size


async def test_a_second_push_sends_and_hashes_nothing(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        await pushed(s, name="other:2")
        s.story.registry.journal.clear()
        report = await pushed(s, name="other:2")
        assert {request.method for request in s.story.registry.journal} == {"HEAD"}
        assert (report.sent, report.hashed) == (0, 0)
        assert {outcome for _, outcome in outcomes(report)} == {"exists"}


async def test_manifests_follow_their_blobs_and_the_name_comes_last(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", INDEX)
        await s.story.pull(platforms=None)
        await pushed(s, name="other:2")
        puts = [r.path.rpartition("/")[2] for r in s.story.registry.journal.find("PUT", kind="manifest")]
        assert puts == [IMAGE.digest, ARM.digest, "2"]
        last_blob = max(i for i, r in enumerate(s.story.registry.journal) if r.kind == "upload")
        first_put = min(i for i, r in enumerate(s.story.registry.journal) if r.method == "PUT" and r.kind == "manifest")
        assert last_blob < first_put
        assert raw_manifest(s.story.registry, "other:2") == INDEX.raw


async def test_an_index_with_absent_platforms_is_refused_and_nothing_named(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", INDEX)
        await s.story.pull()
        with pytest.raises(ContentMissing, match="not here, nor in the registry") as caught:
            await pushed(s, name="other:2")
        assert "--sparse" in caught.value.hint
        assert s.story.registry.journal.count("PUT") == 0


async def test_an_absent_platform_that_the_registry_has_is_no_loss(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", INDEX)
        await s.story.pull()
        s.story.registry.add("other", ARM)
        await pushed(s, name="other:2")
        assert raw_manifest(s.story.registry, "other:2") == INDEX.raw


async def test_a_sparse_index_is_left_to_the_registry_to_take(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", INDEX)
        await s.story.pull()
        with pytest.raises(ContentUnknown, match="lacks blobs that the manifest names"):
            await pushed(s, name="other:2", sparse=True)
        assert s.story.registry.journal.count("PUT", kind="manifest", status=201) == 1


async def test_a_blob_that_is_gone_is_no_loss_where_the_registry_has_it(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        report = await s.story.pull()
        await s.story.store.delete(next(d for d in [d async for d in s.story.store.digests()] if str(d) == TOP.digest))
        assert outcomes(await pushed(s)) == [
            ("config", "exists"), ("layer 1", "exists"), ("layer 2", "exists"), ("manifest", "exists"),
        ]  # fmt: skip
        with pytest.raises(ContentMissing, match="not in the store, nor in the registry"):
            await pushed(s, name="other:2")
        assert report.digest == IMAGE.digest


async def test_an_image_goes_by_its_own_digest(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        report = await pushed(s, name=f"other@{IMAGE.digest}")
        assert report.digest == IMAGE.digest
        assert not s.story.registry.storage.repository("other").tags
        with pytest.raises(InvalidReference, match="its own digest"):
            await pushed(s, name=f"other@{ARM.digest}")


async def test_an_image_is_found_by_its_id_and_then_wants_a_name(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        short = f"/{IMAGE.config.digest.removeprefix('sha256:')[:12]}"
        assert (await pushed(s, short, "other:2")).digest == IMAGE.digest
        with pytest.raises(InvalidReference, match="needs a name"):
            await pushed(s, short)


async def test_a_form_is_for_images_of_a_graph(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        with pytest.raises(Unsupported, match="goes as it is"):
            await pushed(s, form="oci")


async def test_a_schema_1_manifest_without_a_graph_goes_as_it_is(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.story.pull()
        report = await pushed(s, name="other:2")
        assert report.digest == OLD.digest
        assert raw_manifest(s.story.registry, "other:2") == OLD.raw


async def test_an_artifact_is_pushed_like_any_other_content(tmp_path: Path) -> None:
    thing = images.artifact(images.blob(b"a signature"))
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", thing)
        await s.story.pull()
        await pushed(s, name="other:2")
        assert raw_manifest(s.story.registry, "other:2") == thing.raw


async def test_a_layer_that_lies_elsewhere_is_not_pushed(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", ELSEWHERE)
        await s.story.pull()
        report = await pushed(s, name="other:2")
        assert [role for role, _ in outcomes(report)] == ["config", "layer 1", "manifest"]


async def test_what_was_sent_is_told_as_it_goes_and_in_the_report(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        s.story.events.clear()
        report = await pushed(s, name="other:2")
        told = [event.blob for event in s.story.events if isinstance(event, Delivered)]
        assert tuple(told) == report.blobs
        assert isinstance(s.story.events[-1], Pushed)
        assert report.encode()["totals"] == {"sent": IMAGE.size, "hashed": 0}


async def test_a_push_that_fails_is_told_with_what_is_there(tmp_path: Path) -> None:
    async with old_story(tmp_path, faults=[faults.status(403, method="PUT", kind="manifest", times=None)]) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        with pytest.raises(Unauthorized):
            await pushed(s, name="other:2")
        last = s.story.events[-1]
        assert isinstance(last, PushFailed)
        assert last.report.error is not None
        assert ("config", "mounted") in outcomes(last.report)


async def test_a_line_that_breaks_costs_a_retry_and_no_more(tmp_path: Path) -> None:
    image = images.image(LARGE)
    async with old_story(tmp_path, faults=[faults.cut_upload(after=1_500_000)]) as s:
        s.story.registry.add("app:1", image)
        await s.story.pull()
        s.story.registry.faults.append(faults.status(405, method="POST", path="mount=", times=None))
        await pushed(s, name="other:2")
        assert blob(s.story.registry, "other", LARGE.digest) == b"".join(LARGE.body.chunks())
        assert s.story.naps != []


async def test_a_blob_that_has_gone_bad_in_the_store_never_arrives(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        s.story.registry.faults.append(faults.status(405, method="POST", path="mount=", times=None))
        algorithm, _, digits = BASE.digest.partition(":")
        path = s.story.store.layout.root / "blobs" / algorithm / digits
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(PullerError) as caught:
            await pushed(s, name="other:2")
        assert caught.value.digest == BASE.digest
        assert s.story.registry.storage.blob("other", BASE.digest) is None
        assert "2" not in s.story.registry.storage.repository("other").tags


# --- names ---------------------------------------------------------------------------------------------------------


async def test_push_untagged_a_repository_without_images_does_not_exist(tmp_path: Path) -> None:
    """TestPushUntagged."""
    async with old_story(tmp_path) as s:
        with pytest.raises(ContentMissing, match="there is no image of this name or ID"):
            await pushed(s, "app")
        with pytest.raises(ContentMissing, match=r"there is no image in the repository .*/app"):
            await tags_of(s.story.reference("app"), s.graph)
        assert uploads(s.story.registry) == 0


async def test_push_bad_tag_a_tag_that_is_not_there_does_not_exist(tmp_path: Path) -> None:
    """TestPushBadTag."""
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        with pytest.raises(ContentMissing, match="The repository has other tags"):
            await pushed(s, "app:latest")


async def test_all_tags_of_a_repository_are_known(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        for tag in ("t2", "t1"):
            s.story.registry.add(f"app:{tag}", IMAGE)
            await s.story.pull(f"app:{tag}")
        s.story.registry.add("other:t3", IMAGE)
        await s.story.pull("other:t3")
        assert [reference.tag for reference in await tags_of(s.story.reference("app"), s.graph)] == ["t1", "t2"]
