"""Second pulls: what is here is not fetched again, what was proved is not proved again, what broke is mended."""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from puller.errors import NotFound
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.ops.pulling.plan import Depth
from puller.store.disk import DiskStore
from testregistry import faults, images
from tests.ops.story import BASE, IMAGE, LARGE, TOP, blob_of, passed, story

pytestmark = pytest.mark.slow  # many small tests: for `make test`


async def test_a_second_pull_fetches_nothing(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        s.registry.journal.clear()
        report = await s.pull()
        assert s.registry.journal.count("GET") == 0
        assert {blob.outcome for blob in report.blobs} == {"reused"}
        assert (report.fetched, report.reused > 0) == (0, True)


async def test_a_pinned_reference_wholly_in_the_store_makes_no_request(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        s.registry.journal.clear()
        report = await s.pull(f"app@{IMAGE.digest}")
        assert len(s.registry.journal) == 0
        assert report.digest == IMAGE.digest


async def test_a_pinned_index_wholly_in_the_store_makes_no_request(tmp_path: Path) -> None:
    index = images.index(IMAGE, images.image(TOP, platform=("linux", "arm64")))
    async with story(tmp_path) as s:
        s.registry.add("app", index)
        await s.pull(f"app@{index.digest}")
        s.registry.journal.clear()
        await s.pull(f"app@{index.digest}")
        assert len(s.registry.journal) == 0


async def test_a_pinned_reference_with_one_layer_missing_fetches_that_layer_alone(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        await s.store.delete(Digest.parse(TOP.digest))
        s.registry.journal.clear()
        await s.pull(f"app@{IMAGE.digest}")
        assert [(r.method, r.digest) for r in s.registry.journal] == [("GET", TOP.digest)]


async def test_a_layer_that_two_tags_share_is_fetched_once(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(BASE))
        s.registry.add("app:2", IMAGE)
        await s.pull("app:1")
        report = await s.pull("app:2")
        assert s.registry.journal.gets(BASE.digest) == 1
        assert blob_of(report, BASE.digest).outcome == "reused"


async def test_a_layer_that_two_repositories_share_is_fetched_once(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("one:1", images.image(BASE))
        s.registry.add("two:1", IMAGE)
        await s.pull("one:1")
        await s.pull("two:1")
        assert s.registry.journal.gets(BASE.digest) == 1


async def test_what_was_proved_is_kept_and_told_again_without_reading_the_layer(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        first = blob_of(await s.pull(), BASE.digest)
        path = tmp_path / "store" / "blobs" / BASE.digest.replace(":", "/")
        path.chmod(0o600)
        path.write_bytes(bytes(BASE.size))  # the same size: only reading it would notice
        second = blob_of(await s.pull(), BASE.digest)
        notes = [check.note for check in second.checks]
        assert [replace(check, note="") for check in second.checks] == list(first.checks)
        assert notes == ["", "proved earlier", "proved earlier", "proved earlier"]


async def test_a_full_pull_after_digest_only_reads_the_store_and_fetches_nothing(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(depth=Depth.DIGEST_ONLY)
        s.registry.journal.clear()
        report = await s.pull()
        assert s.registry.journal.count("GET") == 0
        assert passed(blob_of(report, BASE.digest)) == {"size", "digest", "diff_id", "tarsum"}
        assert str((await s.store.facts(Digest.parse(BASE.digest))).diff_id) == BASE.diff_id


async def test_a_layer_that_rotted_under_digest_only_is_fetched_anew_by_a_full_pull(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(depth=Depth.DIGEST_ONLY)
        path = tmp_path / "store" / "blobs" / BASE.digest.replace(":", "/")
        path.chmod(0o600)
        path.write_bytes(bytes(BASE.size))
        report = await s.pull()
        assert blob_of(report, BASE.digest).outcome == "fetched"
        assert path.read_bytes() == BASE.raw


async def test_l7_a_truncated_blob_is_noticed_by_its_size_and_fetched_anew(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        path = tmp_path / "store" / "blobs" / BASE.digest.replace(":", "/")
        path.chmod(0o600)
        path.write_bytes(BASE.raw[:-1])
        report = await s.pull()
        assert blob_of(report, BASE.digest).outcome == "fetched"
        assert path.read_bytes() == BASE.raw


async def test_l7_a_deleted_blob_is_fetched_anew(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        path = tmp_path / "store" / "blobs" / IMAGE.config.digest.replace(":", "/")
        path.unlink()
        await s.pull()
        assert path.read_bytes() == IMAGE.config.raw


async def test_l7_a_flipped_manifest_is_noticed_and_fetched_anew(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        path = tmp_path / "store" / "blobs" / IMAGE.digest.replace(":", "/")
        path.chmod(0o600)
        path.write_bytes(b" " + IMAGE.raw[1:])
        await s.pull()
        assert path.read_bytes() == IMAGE.raw


async def test_l7_a_flipped_manifest_of_a_pinned_reference_is_fetched_anew(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(f"app@{IMAGE.digest}")
        path = tmp_path / "store" / "blobs" / IMAGE.digest.replace(":", "/")
        path.chmod(0o600)
        path.write_bytes(b" " + IMAGE.raw[1:])
        await s.pull(f"app@{IMAGE.digest}")
        assert path.read_bytes() == IMAGE.raw


async def test_what_was_received_before_a_failure_is_resumed_by_the_next_pull(tmp_path: Path) -> None:
    image = images.image(LARGE)
    at = 2 << 20
    cut = [faults.cut(LARGE.digest, after=at), faults.status(LARGE.digest, 404, method="GET", skip=1)]
    async with story(tmp_path, faults=cut) as s:
        s.registry.add("app:1", image)
        with pytest.raises(NotFound):
            await s.pull()
        kept = s.parts()
        report = await s.pull()
        blob = blob_of(report, LARGE.digest)
        assert kept == {LARGE.digest}
        assert (blob.outcome, blob.fetched + blob.resumed) == ("resumed", LARGE.size)
        assert s.registry.journal.ranges(LARGE.digest)[-1] == f"bytes={blob.resumed}-"
        assert passed(blob) == {"size", "digest", "diff_id", "tarsum"}


async def test_l7_many_pulls_that_meet_one_damaged_blob_at_once_all_end_well(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(depth=Depth.DIGEST_ONLY)
        for digest in (IMAGE.digest, IMAGE.config.digest, BASE.digest):
            path = tmp_path / "store" / "blobs" / digest.replace(":", "/")
            path.chmod(0o600)
            path.write_bytes(bytes(path.stat().st_size))
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(s.pull)
        assert path.read_bytes() == BASE.raw


def laid_down(store: DiskStore, digest: str, content: bytes) -> Path:
    """A blob as another tool would put it there: nobody here has hashed it."""
    path = store.layout.blob(Digest.parse(digest))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("depth", Depth)
async def test_bytes_that_another_tool_put_there_are_hashed_before_they_are_called_right(
    tmp_path: Path, depth: Depth
) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        path = laid_down(s.store, BASE.digest, bytes(BASE.size))
        report = await s.pull(depth=depth)
        assert blob_of(report, BASE.digest).outcome == "fetched"
        assert path.read_bytes() == BASE.raw


async def test_a_blob_of_an_artifact_that_another_tool_put_there_is_hashed(tmp_path: Path) -> None:
    blob = images.blob(b"weights", "application/octet-stream")
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.artifact(blob))
        path = laid_down(s.store, blob.digest, b"WEIGHTS")
        report = await s.pull()
        assert blob_of(report, blob.digest).outcome == "fetched"
        assert path.read_bytes() == b"weights"


async def test_right_bytes_of_another_tool_are_hashed_once_and_then_known(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        laid_down(s.store, BASE.digest, BASE.raw)
        first = blob_of(await s.pull(depth=Depth.DIGEST_ONLY), BASE.digest)
        second = blob_of(await s.pull(depth=Depth.DIGEST_ONLY), BASE.digest)
        assert [blob.outcome for blob in (first, second)] == ["reused", "reused"]
        assert [check.note for blob in (first, second) for check in blob.checks if check.name == "digest"] == [
            "",
            "proved earlier",
        ]


@pytest.mark.parametrize("depth", Depth)
async def test_what_a_pull_has_hashed_is_recorded_at_every_depth(tmp_path: Path, depth: Depth) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(depth=depth)
        assert [(await s.store.facts(Digest.parse(blob.digest))).verified for blob in (BASE, TOP)] == [True, True]


async def test_lost_facts_are_found_again_by_reading(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        known = await s.store.facts(Digest.parse(BASE.digest))
        s.store.layout.fact(Digest.parse(BASE.digest)).unlink()
        assert await s.store.facts(Digest.parse(BASE.digest)) == Facts()
        checks = blob_of(await s.pull(), BASE.digest).checks
        assert {check.note for check in checks} == {""}
        assert await s.store.facts(Digest.parse(BASE.digest)) == known
