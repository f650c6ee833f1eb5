"""What every target promises of unfinished writes: one suite, run on memory and on disk."""

from contextlib import suppress

import anyio
import pytest

from puller.errors import (
    DiffIDMismatch,
    DigestMismatch,
    InvalidCompression,
    PullerError,
    SizeMismatch,
    VerificationError,
)
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.store.audit import Auditable
from tests.contracts.sample import Blob, Seen, blob, blob_of, pour, put, stored


class IngestSuite:
    """Inherit, and give `store`."""

    async def begin(self, store: Auditable, wanted: Blob, length: int) -> None:
        """Leave a part of `length` bytes behind, as a lost line does."""
        with pytest.raises(ConnectionError):
            await pour(store, wanted.descriptor, wanted.content[:length], then=ConnectionError())

    async def offset(self, store: Auditable, wanted: Blob) -> int:
        """How much of an unfinished blob the store has kept."""
        async with store.ingest(wanted.descriptor) as ingest:
            assert ingest is not None
            return ingest.offset

    async def test_nothing_exists_before_commit_and_everything_after(self, store: Auditable) -> None:
        wanted = blob(5_000)
        async with store.ingest(wanted.descriptor) as ingest:
            assert ingest is not None
            await ingest.write(wanted.content[:2_000])
            await ingest.write(wanted.content[2_000:])
            assert not await store.exists(wanted.descriptor)
            assert await stored(store) == []
            assert await ingest.commit() == wanted.descriptor
        assert await store.exists(wanted.descriptor)
        assert await store.read(wanted.descriptor, limit=5_000) == wanted.content

    async def test_a_blob_that_is_here_needs_no_ingest(self, store: Auditable) -> None:
        wanted = blob(100)
        await put(store, wanted)
        async with store.ingest(wanted.descriptor) as ingest:
            assert ingest is None

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    @pytest.mark.parametrize("size", [0, 1, 3_000_000])
    async def test_any_size_and_algorithm_can_be_kept(self, store: Auditable, size: int, algorithm: str) -> None:
        wanted = blob_of(blob(size).content, algorithm=algorithm)
        await put(store, wanted)
        assert await store.read(wanted.descriptor, limit=size) == wanted.content
        assert await stored(store) == [wanted.digest]

    async def test_a_chunk_may_be_reused_once_write_has_returned(self, store: Auditable) -> None:
        wanted = blob(9)
        buffer = bytearray(3)
        async with store.ingest(wanted.descriptor) as ingest:
            assert ingest is not None
            for start in (0, 3, 6):
                buffer[:] = wanted.content[start : start + 3]
                await ingest.write(memoryview(buffer))
            await ingest.commit()
        assert await store.read(wanted.descriptor, limit=9) == wanted.content

    async def test_content_of_unknown_size_is_committed_with_its_true_size(self, store: Auditable) -> None:
        wanted = blob(700)
        async with store.ingest(Descriptor(mediatype.OCTETS, wanted.digest)) as ingest:
            assert ingest is not None
            await ingest.write(wanted.content)
            assert (await ingest.commit()).size == 700

    async def test_r6_a_short_part_is_resumed_and_every_watcher_sees_all_of_it(self, store: Auditable) -> None:
        wanted, watcher = blob(9_500), Seen()
        await self.begin(store, wanted, 4_000)
        async with store.ingest(wanted.descriptor, watcher) as ingest:
            assert ingest is not None
            assert ingest.offset == 4_000
            await ingest.write(wanted.content[4_000:])
            await ingest.commit()
        assert watcher.content == wanted.content
        assert watcher.finished == 1

    async def test_r6_a_part_survives_any_number_of_interruptions(self, store: Auditable) -> None:
        wanted = blob(5_000)
        for length in (1_000, 1, 2_500):
            held = await self.offset(store, wanted)
            piece = wanted.content[held : held + length]
            with pytest.raises(ConnectionError):
                await pour(store, wanted.descriptor, piece, then=ConnectionError())
        assert await self.offset(store, wanted) == 3_501

    async def test_a_part_that_was_whole_needs_only_its_commit(self, store: Auditable) -> None:
        wanted = blob(5_000)
        await self.begin(store, wanted, 5_000)
        async with store.ingest(wanted.descriptor) as ingest:
            assert ingest is not None
            assert ingest.offset == 5_000
            await ingest.commit()
        assert await store.exists(wanted.descriptor)

    async def test_r7_cancelling_keeps_the_part_and_commits_nothing(self, store: Auditable) -> None:
        wanted = blob(5_000)
        with anyio.CancelScope() as scope:
            async with store.ingest(wanted.descriptor) as ingest:
                assert ingest is not None
                await ingest.write(wanted.content[:3_000])
                scope.cancel()
                await ingest.write(wanted.content[3_000:])
        assert scope.cancelled_caught
        assert await stored(store) == []
        assert await self.offset(store, wanted) in (3_000, 5_000)

    @pytest.mark.parametrize("position", [0, 2_500, 4_999])
    async def test_n3_a_wrong_byte_is_refused_and_leaves_nothing(self, store: Auditable, position: int) -> None:
        wanted = blob(5_000)
        wrong = bytearray(wanted.content)
        wrong[position] ^= 1
        with pytest.raises(DigestMismatch):
            await pour(store, wanted.descriptor, wrong)
        assert await stored(store) == []
        assert await self.offset(store, wanted) == 0

    async def test_n4_wrong_bytes_after_a_resume_drop_the_part(self, store: Auditable) -> None:
        wanted = blob(5_000)
        await self.begin(store, wanted, 4_000)
        with pytest.raises(DigestMismatch):
            await pour(store, wanted.descriptor, bytes(1_000))
        assert await self.offset(store, wanted) == 0

    async def test_a_body_that_is_too_long_is_refused_at_the_first_byte_too_many(self, store: Auditable) -> None:
        wanted = blob(5_000)
        with pytest.raises(SizeMismatch):
            await pour(store, wanted.descriptor, wanted.content, b"!", then=AssertionError("it was taken"))
        assert await stored(store) == []
        assert await self.offset(store, wanted) == 0

    async def test_n19_a_body_that_is_too_short_cannot_be_committed(self, store: Auditable) -> None:
        wanted = blob(5_000)
        with pytest.raises(SizeMismatch):
            await pour(store, wanted.descriptor, wanted.content[:4_999])
        assert await stored(store) == []

    @pytest.mark.parametrize(
        "watcher",
        [Seen(at_write=InvalidCompression("no gzip")), Seen(at_finish=DiffIDMismatch("another layer"))],
        ids=["while it flows", "at the end"],
    )
    async def test_r3_a_watcher_can_refuse_what_has_the_right_digest(self, store: Auditable, watcher: Seen) -> None:
        wanted = blob(5_000)
        with pytest.raises(PullerError):
            await pour(store, wanted.descriptor, wanted.content, watchers=[watcher])
        assert await stored(store) == []
        assert await self.offset(store, wanted) == 0

    async def test_the_digest_is_judged_before_the_watchers_speak(self, store: Auditable) -> None:
        wanted, watcher = blob(50), Seen(at_finish=InvalidCompression("no gzip"))
        with pytest.raises(DigestMismatch):
            await pour(store, wanted.descriptor, bytes(50), watchers=[watcher])

    @pytest.mark.parametrize("grouped", [False, True])
    async def test_a_verification_error_from_elsewhere_drops_the_part(self, store: Auditable, grouped: bool) -> None:
        wanted, error = blob(5_000), DigestMismatch("the header says another digest")
        with pytest.raises((VerificationError, ExceptionGroup)):
            await pour(
                store,
                wanted.descriptor,
                wanted.content[:100],
                then=ExceptionGroup("tasks", [error]) if grouped else error,
            )
        assert await self.offset(store, wanted) == 0

    async def test_n30_of_fifty_tasks_one_writes_and_the_others_find_it(self, store: Auditable) -> None:
        wanted = blob(100_000)
        writers = 0

        async def want() -> None:
            nonlocal writers
            async with store.ingest(wanted.descriptor) as ingest:
                if ingest is not None:
                    writers += 1
                    await ingest.write(wanted.content[:60_000])
                    await anyio.sleep(0.01)
                    await ingest.write(wanted.content[60_000:])
                    await ingest.commit()
            assert await store.exists(wanted.descriptor)

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(want)
        assert writers == 1

    async def test_n32_when_the_writer_gives_up_the_next_goes_on_where_it_stopped(self, store: Auditable) -> None:
        wanted = blob(5_000)
        offsets: list[int] = []

        async def finish() -> None:
            async with store.ingest(wanted.descriptor) as ingest:
                assert ingest is not None
                offsets.append(ingest.offset)
                await ingest.write(wanted.content[ingest.offset :])
                await ingest.commit()

        async with anyio.create_task_group() as group:
            with suppress(ConnectionError):
                async with store.ingest(wanted.descriptor) as ingest:
                    assert ingest is not None
                    group.start_soon(finish)
                    await ingest.write(wanted.content[:2_000])
                    raise ConnectionError
        assert offsets == [2_000]
        assert await store.exists(wanted.descriptor)
