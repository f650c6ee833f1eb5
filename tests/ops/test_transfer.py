"""copy_blob through a whole pull: wrong bytes are final, spliced bytes get one more try from zero."""

from pathlib import Path

import pytest

from puller.errors import ConnectionLost, DigestMismatch, SizeMismatch
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.registry.retry import RetryPolicy
from testregistry import faults, images
from testregistry.cdn import serve_cdn
from tests.ops.story import LARGE, blob_of, passed, story

IMAGE = images.image(LARGE)
MIDDLE = LARGE.size // 2


@pytest.mark.parametrize("at", [0, MIDDLE, -1], ids=["first", "middle", "last"])
async def test_n3_one_wrong_byte_is_final_and_leaves_neither_blob_nor_part(tmp_path: Path, at: int) -> None:
    async with story(tmp_path, faults=[faults.flip(LARGE.digest, at=at, times=None)]) as s:
        s.registry.add("app:1", IMAGE)
        error = await s.refused(DigestMismatch, LARGE.digest)
        assert s.registry.journal.gets(LARGE.digest) == 1
        assert (error.digest, error.phase) == (LARGE.digest, "layer")
        assert (error.host, error.attempts) == (s.registry.host, 1)
        assert (error.wanted, error.got != error.wanted) == (Digest.parse(LARGE.digest), True)


@pytest.mark.parametrize("at", [0, 5, -1], ids=["first", "middle", "last"])
@pytest.mark.parametrize("which", ["manifest", "config"])
async def test_n3_one_wrong_byte_in_a_document_is_final(tmp_path: Path, which: str, at: int) -> None:
    digest = IMAGE.digest if which == "manifest" else IMAGE.config.digest
    async with story(tmp_path, faults=[faults.flip(digest, at=at, times=None)]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused(DigestMismatch, digest)
        assert s.registry.journal.gets(digest) == 1
        assert LARGE.digest not in await s.blobs()


async def test_n3_a_wrong_byte_in_a_gzip_layer_is_called_by_its_name_and_not_bad_gzip(tmp_path: Path) -> None:
    layer = images.layer({"a": bytes(range(256)) * 4000})
    async with story(tmp_path, faults=[faults.flip(layer.digest, at=0)]) as s:
        s.registry.add("app:1", images.image(layer))
        await s.refused(DigestMismatch, layer.digest)


async def test_n4_wrong_bytes_after_a_resume_are_fetched_once_more_from_zero(tmp_path: Path) -> None:
    spoiled = [faults.cut(LARGE.digest, after=MIDDLE), faults.flip(LARGE.digest, at=-1, ranged=True)]
    async with story(tmp_path, faults=spoiled) as s:
        s.registry.add("app:1", IMAGE)
        blob = blob_of(await s.pull(), LARGE.digest)
        assert s.registry.journal.ranges(LARGE.digest) == [None, f"bytes={MIDDLE}-", None]
        assert passed(blob) == {"size", "digest", "diff_id", "tarsum"}
        assert await s.tags() == {"app:1": IMAGE.digest}


async def test_n4_wrong_bytes_again_after_the_retry_from_zero_are_final(tmp_path: Path) -> None:
    spoiled = [faults.cut(LARGE.digest, after=MIDDLE), faults.flip(LARGE.digest, at=-1, times=None)]
    async with story(tmp_path, faults=spoiled) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused(DigestMismatch, LARGE.digest)
        assert s.registry.journal.ranges(LARGE.digest) == [None, f"bytes={MIDDLE}-", None]


async def test_n4_a_part_that_rotted_on_disk_between_two_runs_costs_one_retry_from_zero(tmp_path: Path) -> None:
    once = RetryPolicy(attempts=1)
    async with story(tmp_path, faults=[faults.cut(LARGE.digest, after=MIDDLE)], retries=once) as s:
        s.registry.add("app:1", IMAGE)
        with pytest.raises(ConnectionLost):
            await s.pull()
        part = tmp_path / "store" / "ingest" / LARGE.digest.replace(":", "-") / "data"
        kept = part.read_bytes()
        part.write_bytes(bytes([kept[0] ^ 1]) + kept[1:])
        blob = blob_of(await s.pull(), LARGE.digest)
        assert s.registry.journal.ranges(LARGE.digest) == [None, f"bytes={len(kept)}-", None]
        assert passed(blob) == {"size", "digest", "diff_id", "tarsum"}


async def test_a_part_that_was_whole_already_is_committed_without_a_request(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        async with s.store.ingest(Descriptor(LARGE.media_type, Digest.parse(LARGE.digest), LARGE.size)) as ingest:
            assert ingest is not None
            await ingest.write(LARGE.raw)
        blob = blob_of(await s.pull(), LARGE.digest)
        assert s.registry.journal.gets(LARGE.digest) == 0
        assert (blob.outcome, blob.resumed, blob.fetched) == ("resumed", LARGE.size, 0)
        assert passed(blob) == {"size", "digest", "diff_id", "tarsum"}


@pytest.mark.parametrize("delta", [-1, 1])
async def test_a_body_of_another_length_than_promised_is_refused(tmp_path: Path, delta: int) -> None:
    raw = LARGE.raw[:delta] if delta < 0 else LARGE.raw + b"x"
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        s.registry.corrupt("app", LARGE.digest, raw)
        error = await s.refused(SizeMismatch, LARGE.digest)
        assert error.digest == LARGE.digest


async def test_an_error_in_the_bytes_names_the_host_that_served_them(tmp_path: Path) -> None:
    async with story(tmp_path) as s, serve_cdn(s.registry) as cdn:
        s.registry.faults.append(cdn.redirect(LARGE.digest))
        cdn.faults.append(faults.flip(LARGE.digest, at=-1, times=None))
        s.registry.add("app:1", IMAGE)
        error = await s.refused(DigestMismatch, LARGE.digest)
        assert error.host == cdn.host
