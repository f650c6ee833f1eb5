"""Large blobs in pieces over several connections: what is asked for, and what happens when it goes wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from puller.errors import NotFound, RateLimited
from puller.registry.download.width import RangePolicy
from testregistry import Answer, Request, faults, serve
from tests.registry.download.pieces import BLOB, EAGER, PIECE, WANTED, are_pieces, eager, ranges
from tests.registry.scene import QUICK, Time, content, described, fetched, fetched_from


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
