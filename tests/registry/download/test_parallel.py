"""Large blobs in pieces over several connections: what is asked, what is held, and what happens when it goes wrong."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import anyio
import pytest

from puller.errors import ConnectionLost, NotFound, PullerError, RateLimited
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.registry.download.width import RANGES, RangePolicy
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from testregistry import Answer, Bearer, Journal, Request, faults, images, serve
from testregistry.cdn import serve_cdn
from tests.peak import forget_peak, peak
from tests.registry.scene import QUICK, Time, content, described, fetched, fetched_from, opened

PIECE = 100_000
# Pieces as soon as a server has answered, whatever they bring.
EAGER = replace(
    RANGES,
    most=4,
    window=4 * PIECE,
    piece=PIECE,
    least=PIECE,
    hunger=0,
    gain=0,
    loss=0,
    enough=1e12,
    epoch=0,
    longest=0,
)
BLOB = content(3_000_000)
WANTED = described(BLOB)


def eager(
    host: str,
    *,
    now: Time | None = None,
    ranges: RangePolicy | None = EAGER,
    patience: Patience | None = None,
    attempts: int = 5,
    concurrency: int = 6,
) -> AbstractAsyncContextManager[Repository]:
    """The repository `app`, by a clock that runs and waits that cost nothing."""
    return opened(
        f"{host}/app",
        world=(now or Time()).world(real_clock=True),
        ranges=ranges,
        patience=patience,
        retries=RetryPolicy(attempts=attempts),
        concurrency=concurrency,
    )


def ranges(journal: Journal) -> list[tuple[int, int | None]]:
    """First byte and the byte after the last, None for the end, of every request for a blob that was answered."""
    found = []
    for request in journal:
        if request.kind in ("blob", "other") and request.range is not None:
            first, _, last = request.range.removeprefix("bytes=").partition("-")
            found.append((int(first), int(last) + 1 if last else None))
    return found


def are_pieces(found: list[tuple[int, int | None]]) -> bool:
    """Whole pieces in their places, each once, to the end of the blob."""
    starts = [first for first, _ in found]
    return starts == list(range(starts[0], len(BLOB), PIECE)) and all(
        last == min(first + PIECE, len(BLOB)) for first, last in found
    )


async def test_a_large_blob_comes_in_pieces_each_asked_for_once() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with eager(registry.host) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert origin.connections == 4
        assert (origin.attempts, origin.resumed_at) == (1, ())
        assert registry.journal.requests[0].range is None
        assert are_pieces(sorted(ranges(registry.journal)))


@pytest.mark.parametrize("offset", [1, 250_000, 2_700_000, 2_999_999])
async def test_r6_from_an_offset_nothing_before_it_is_asked_for(offset: int) -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with eager(registry.host) as repository:
            assert await fetched(repository, WANTED, offset) == BLOB[offset:]
        assert min(ranges(registry.journal)) == (offset, None)


@pytest.mark.parametrize(
    "policy",
    [None, replace(EAGER, least=3_000_001), replace(EAGER, most=1)],
    ids=["off", "small", "one connection"],
)
async def test_otherwise_it_is_one_stream(policy: RangePolicy | None) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        async with eager(registry.host, ranges=policy) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert origin.connections == 1
        assert registry.journal.ranges(digest) == [None]


async def test_documents_are_never_fetched_in_pieces() -> None:
    async with serve() as registry:
        raw = b'{"schemaVersion":2,"layers":[],"annotations":{"a":"%s"}}' % (b"x" * 3_000_000)
        kind = "application/vnd.oci.image.manifest.v1+json"
        digest = registry.add_manifest("app", raw, kind)
        async with eager(registry.host) as repository:
            assert await fetched(repository, described(raw, kind)) == raw
        assert registry.journal.ranges(digest) == [None]


async def test_a_server_that_says_it_has_no_ranges_is_not_asked_for_any() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.headers(digest, remove=["Accept-Ranges"], add={"Accept-Ranges": "none"}))
        async with eager(registry.host) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert registry.journal.ranges(digest) == [None]


@pytest.mark.parametrize("wrong", ["first", "total", "star", "two-headers", "multipart", "missing"])
async def test_n16_a_piece_that_is_another_one_leads_back_to_one_stream(wrong: faults.WrongRange) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.wrong_range(digest, wrong, times=None, path=""))
        async with eager(registry.host) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert len(registry.journal.ranges(digest)) <= 6
        assert registry.journal.bytes_sent(digest) <= 3 * len(BLOB)


async def test_n15_a_server_that_ignores_ranges_is_asked_in_one_stream_and_the_next_blob_too() -> None:
    other = content(3_000_000, seed=1)
    async with serve() as registry:
        digests = [registry.add_blob("app", blob) for blob in (BLOB, other)]
        registry.faults.append(faults.ignore_range(times=None))
        async with eager(registry.host) as repository:
            assert await fetched(repository, WANTED) == BLOB
            assert await fetched(repository, described(other)) == other
        assert registry.journal.ranges(digests[1]) == [None]


async def test_a_part_of_another_version_is_not_taken() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(
            faults.headers(digest, remove=["ETag"], add={"ETag": '"other"'}, ranged=True, times=1, skip=2)
        )
        async with eager(registry.host) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert ranges(registry.journal)[-1][1] is None  # the rest came in one stream
        assert all(r.headers["If-Range"] == f'"{digest}"' for r in registry.journal.find("GET") if r.range is not None)
        assert origin.connections > 1


@pytest.mark.parametrize("status", [429, 503])
async def test_n7_a_host_that_throttles_is_asked_in_one_stream_from_then_on(status: int) -> None:
    now = Time()
    other = content(3_000_000, seed=1)
    async with serve() as registry:
        digests = [registry.add_blob("app", blob) for blob in (BLOB, other)]
        registry.faults.append(faults.status(digests[0], status, headers={"Retry-After": "7"}, ranged=True, skip=3))
        async with eager(registry.host, now=now) as repository:
            assert await fetched(repository, WANTED) == BLOB
            assert await fetched(repository, described(other)) == other
        assert now.slept == [7.5]
        # What was under way by then has come as a piece, and the rest in one stream; the next blob was never more.
        pieces = ranges(registry.journal)
        assert len(pieces) <= 12
        assert pieces[-1][1] is None
        assert registry.journal.ranges(digests[1]) == [None]


async def test_n1_a_piece_that_breaks_is_asked_for_again_alone_from_where_it_broke() -> None:
    now = Time()
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.cut(digest, after=40_000, path="", ranged=True, skip=2))
        async with eager(registry.host, now=now) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        (broken,) = origin.resumed_at
        assert broken % PIECE == 40_000
        assert origin.attempts == 2
        assert now.slept == [0.5]
        starts = [first for first, _ in ranges(registry.journal)]
        assert len(starts) == len(set(starts))


@pytest.mark.parametrize("kind", [faults.cut, faults.reset])
async def test_n1_n2_lines_that_break_all_the_time_still_bring_it_all(kind: Callable[..., faults.Fault]) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(kind(digest, after=60_000, times=30))
        async with eager(registry.host, attempts=99) as repository:
            assert await fetched(repository, WANTED) == BLOB


async def test_n5_a_piece_that_stalls_is_asked_for_again() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.stall(digest, after=40_000, ranged=True, skip=2))
        async with eager(registry.host, patience=QUICK) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert [at % PIECE for at in origin.resumed_at] == [40_000]


async def test_a_piece_that_is_gone_is_an_error_as_it_is_of_one_stream() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.status(digest, 404, ranged=True, times=None, skip=5))
        async with eager(registry.host) as repository:
            with pytest.raises(NotFound):
                await fetched(repository, WANTED)


async def test_n8_pieces_that_fail_for_good_are_left_to_one_stream() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)

        def refuse(request: Request) -> Answer:
            return Answer(500)

        registry.faults.append(faults.answer(digest, refuse, path="", ranged=True, times=4, skip=1))
        async with eager(registry.host, attempts=2) as repository:
            assert await fetched(repository, WANTED) == BLOB


async def test_n7_a_server_that_only_throttles_is_given_up_as_it_is_of_one_stream() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.status(digest, 429, ranged=True, times=None, skip=3))
        async with eager(registry.host, attempts=2) as repository:
            with pytest.raises(RateLimited):
                await fetched(repository, WANTED)


# Where it comes from --------------------------------------------------------------------------------------------------


async def test_n13_the_signed_url_is_asked_again_and_the_registry_once() -> None:
    async with serve(auth=Bearer()) as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))
        async with eager(registry.host) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert origin.redirect == cdn.host
        assert are_pieces(sorted(ranges(cdn.journal)))
        assert registry.journal.count("GET", kind="blob", digest=digest) == 2  # without a token, and with one
        assert len({request.query for request in cdn.journal}) == 1
        assert all("Authorization" not in request.headers for request in cdn.journal)


async def test_n13_a_url_that_dies_under_way_is_replaced_once_for_all_pieces() -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))

        def expire(request: Request) -> None:
            if len(cdn.journal) == 8:
                cdn.expire()

        cdn.service.on_request.append(expire)
        async with eager(registry.host) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert origin.attempts == 1
        assert registry.journal.count("GET", kind="blob") == 2
        assert {request.status for request in cdn.journal} == {200, 206, 403}
        assert sum(request.status == 403 for request in cdn.journal) <= EAGER.most


@pytest.mark.parametrize("status", [400, 401, 404, 410, 302])
async def test_n13_whatever_the_dead_url_answers_leads_back_to_the_registry(status: int) -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))
        cdn.faults.append(faults.status(digest, status, headers={"Location": "http://127.0.0.1:9/"}, skip=6))
        async with eager(registry.host) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert registry.journal.count("GET", kind="blob") == 2


async def test_n13_urls_that_always_die_at_once_end_in_one_stream() -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))
        cdn.faults.append(faults.status(digest, 403, ranged=True, times=None))
        async with eager(registry.host) as repository:
            assert await fetched(repository, WANTED) == BLOB
        # Refused as pieces and as a rest, at last it was asked for as a whole.
        assert [request.range for request in cdn.journal if request.status == 200] == [None, None]


# What it takes --------------------------------------------------------------------------------------------------------


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
        registry.faults.append(faults.pace(digest, rate=1e6, times=None))
        async with eager(registry.host) as repository:
            before = asyncio.all_tasks()
            async with repository.fetch(WANTED) as body:
                chunks = aiter(body)
                for _ in range(read):
                    await anext(chunks)
            ours = {task for task in asyncio.all_tasks() - before if "testregistry" not in repr(task.get_coro())}
            assert not [task for task in ours if "puller" in repr(task.get_coro())]


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
@pytest.mark.parametrize("size", [4_000 << 20])
async def test_r10_memory_is_a_window_and_a_stream_whatever_the_size(size: int) -> None:
    peaks = []
    policy = replace(RANGES, hunger=0, gain=0, loss=0, enough=1e12)
    async with serve() as registry:
        for length in (50 << 20, size):
            layer = images.generated_layer(length)
            registry.add("app", images.image(layer))
            wanted = Descriptor(OCTETS, Digest.parse(layer.digest), layer.size)
            forget_peak()
            async with eager(registry.host, ranges=policy) as repository:
                assert await digest_of(repository, wanted) == (layer.digest, 8 if length == size else 1)
            peaks.append(peak())
    assert peaks[1] - peaks[0] < 42 << 10  # KiB: 32 MiB of pieces, and as much again as one stream's buffers


async def digest_of(repository: Repository, wanted: Descriptor) -> tuple[str, int]:
    digest = hashlib.sha256()
    async with repository.fetch(wanted) as body:
        async for chunk in body:
            digest.update(chunk)
        return f"sha256:{digest.hexdigest()}", body.origin.connections


async def test_nothing_of_a_signed_url_is_in_an_error() -> None:
    async with serve() as registry, serve_cdn(registry) as cdn:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect(digest))
        cdn.faults.append(faults.drop(digest, ranged=True, times=None, skip=3))
        async with eager(registry.host, attempts=1) as repository:
            with pytest.raises(PullerError) as caught:
                await fetched(repository, WANTED)
    assert "sig=" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
