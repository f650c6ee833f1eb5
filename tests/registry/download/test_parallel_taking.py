"""Large blobs in pieces: what they take of memory, tasks and connections, and how they leave."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

import anyio
import pytest

from puller.errors import ConnectionLost
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.download.width import RANGES
from puller.registry.pace import Pace
from puller.registry.repository import Repository
from testregistry import Request, TestRegistry, faults, images, serve
from tests.peak import forget_peak, peak
from tests.registry.download.pieces import BLOB, EAGER, PIECE, WANTED, eager, ranges
from tests.registry.scene import Time, content, described, fetched, fetched_from


async def test_no_more_than_the_window_is_asked_for_ahead_of_the_reader() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        taken = furthest = 0
        async with eager(registry.host) as repository, repository.fetch(WANTED) as body:
            async for chunk in body:
                taken += len(chunk)
                await asyncio.sleep(0.002)  # the pieces fill meanwhile
                asked = [last for _, last in ranges(registry.journal) if last is not None]
                furthest = max([furthest, *(last - taken for last in asked)])
        assert PIECE < furthest <= EAGER.window + PIECE  # a stream may have a piece left before the window


@pytest.mark.parametrize("read", [0, 1, 5])
async def test_r7_a_body_that_is_left_leaves_no_task_and_no_connection(read: int) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.stall(digest, after=50_000, ranged=True, times=None, skip=3))
        async with eager(registry.host) as repository:
            with anyio.fail_after(2):
                async with repository.fetch(WANTED) as body:
                    chunks = aiter(body)
                    for _ in range(read):
                        await anext(chunks)
            assert not [task for task in asyncio.all_tasks() if "Ahead" in repr(task.get_coro())]
            await all_answered(registry)


async def test_pieces_that_are_given_up_do_not_hold_their_connections() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)

        async def hold(request: Request) -> None:
            if request.status == 404:  # until the two pieces behind it are under way
                await until(lambda: sum(request.range is not None for request in registry.journal) >= 7)

        registry.on_answer.append(hold)
        registry.faults.append(
            faults.status(digest, 404, ranged=True, skip=4),
            faults.stall(digest, after=50_000, ranged=True, skip=5, times=2),
        )
        async with eager(registry.host) as repository, repository.fetch(WANTED) as body:
            received = bytearray()
            async for chunk in body:
                received += chunk
            await all_answered(registry)
        assert received == BLOB
        assert [request.bytes_sent for request in registry.journal].count(50_000) == 2


async def all_answered(registry: TestRegistry) -> None:
    """Wait until the registry has let go of all requests."""
    await until(lambda: all(request.finished is not None for request in registry.journal))


async def until(condition: Callable[[], bool]) -> None:
    """Look every millisecond, for two seconds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


@pytest.mark.parametrize("steps", range(1, 60, 7))
async def test_n31_a_pull_that_is_cancelled_anywhere_ends_at_once(steps: int) -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with eager(registry.host) as repository:
            with anyio.CancelScope() as scope, anyio.fail_after(5):
                async with anyio.create_task_group() as group:
                    group.start_soon(_count_down, steps, scope)
                    assert await fetched(repository, WANTED) == BLOB
            assert await fetched(repository, WANTED) == BLOB


async def _count_down(steps: int, scope: anyio.CancelScope) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)
    scope.cancel()


async def test_an_error_of_the_reader_comes_out_as_it_is() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with eager(registry.host) as repository:

            async def stumble() -> None:
                async with repository.fetch(WANTED) as body:
                    async for _ in body:
                        if body.origin.connections > 1:
                            raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await stumble()


async def test_an_error_of_the_line_names_who_served_it() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.drop(digest, ranged=True, times=None, skip=3))
        async with eager(registry.host, attempts=2) as repository:
            with pytest.raises(ConnectionLost) as caught:
                await fetched(repository, WANTED)
        assert caught.value.host == registry.host
        assert caught.value.phase == "fetch"


async def test_a_blob_that_was_wrong_in_pieces_is_fetched_again_in_one_stream() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        async with eager(registry.host) as repository:
            assert await fetched(repository, WANTED) == BLOB
            registry.journal.clear()
            assert await fetched(repository, WANTED) == BLOB
        assert registry.journal.ranges(digest) == [None]


async def test_every_byte_of_every_piece_counts_for_the_limit_of_the_rate() -> None:
    now, rate, blob = Time(), 10_000_000, content(12_000_000)
    async with serve() as registry:
        registry.add_blob("app", blob)
        world = now.world(real_clock=True)
        async with RegistryClient(ranges=EAGER, world=world, pace=Pace(limit_rate=rate)) as client:
            repository = client.repository(Reference.parse(registry.name("app")))
            begun = time.monotonic()
            received, origin = await fetched_from(repository, described(blob))
            passed = time.monotonic() - begun
    assert received == blob
    assert origin.connections > 1
    # Sleeping costs nothing here, so each wait holds all that those before it were to make good, less what has passed.
    assert -passed - 0.26 < max(now.slept) - len(blob) / rate < 0.26


async def test_blobs_at_the_same_time_share_the_connections() -> None:
    blobs = [content(3_000_000, seed) for seed in range(3)]
    flowing = most = 0
    async with serve() as registry:
        for blob in blobs:
            registry.faults.append(faults.pace(registry.add_blob("app", blob), rate=20e6, times=None))

        def begun(request: Request) -> None:
            nonlocal flowing, most
            flowing = sum(r.finished is None for r in registry.journal)
            most = max(most, flowing)

        registry.on_answer.append(begun)
        async with eager(registry.host, concurrency=8) as repository:
            assert await asyncio.gather(*(fetched(repository, described(blob)) for blob in blobs)) == blobs
    assert 3 < most <= 7


async def test_the_first_request_of_another_blob_does_not_wait_for_one_that_is_wide() -> None:
    small = content(1000)
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.add_blob("app", small)
        registry.faults.append(faults.stall(digest, after=50_000, ranged=True, times=None))
        async with eager(registry.host, concurrency=4) as repository:
            async with repository.fetch(WANTED) as body, anyio.create_task_group() as group:
                stalled = anyio.Event()

                async def read() -> None:
                    async for _ in body:
                        if body.origin.connections > 1:
                            stalled.set()

                group.start_soon(read)
                await stalled.wait()
                with anyio.fail_after(1):
                    assert await fetched(repository, described(small)) == small
                group.cancel_scope.cancel()


@pytest.mark.slow
async def test_r10_memory_is_a_window_and_a_stream_whatever_the_size() -> None:
    peaks = []
    always = replace(RANGES, hunger=0, gain=0, loss=0, enough=1e12)
    async with serve() as registry:
        for size, policy, connections in ((50 << 20, None, 1), (4_000 << 20, always, RANGES.most)):
            layer = images.generated_layer(size)
            registry.add("app", images.image(layer))
            wanted = Descriptor(OCTETS, Digest.parse(layer.digest), layer.size)
            forget_peak()
            async with eager(registry.host, ranges=policy, concurrency=12) as repository:
                assert await digest_of(repository, wanted) == (layer.digest, connections)
            peaks.append(peak())
    # Its pieces, and what the registry in this process holds for each connection more.
    assert peaks[1] - peaks[0] < 42 << 10  # KiB


async def digest_of(repository: Repository, wanted: Descriptor) -> tuple[str, int]:
    digest = hashlib.sha256()
    async with repository.fetch(wanted) as body:
        async for chunk in body:
            digest.update(chunk)
        return f"sha256:{digest.hexdigest()}", body.origin.connections
