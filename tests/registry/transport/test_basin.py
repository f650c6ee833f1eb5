"""Basins: pieces large enough to go straight off the socket into their own buffers, over plain sockets and TLS."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from puller.model.event import Event
from puller.model.exchange import Answered
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.repository import Repository
from puller.registry.transport.basin import AHEAD, Basin
from puller.registry.transport.diversion import SMALLEST
from testregistry import Answer, Request, faults, serve
from testregistry.answer import Delivery, Framing
from testregistry.body import BytesBody
from testregistry.certificates import Authority
from tests.registry.download.pieces import EAGER, eager
from tests.registry.scene import Time, content, described, fetched, fetched_from, opened

pytestmark = pytest.mark.slow  # tens of megabytes each: together too long for `make check`

PIECE = AHEAD + SMALLEST + 1000
LARGE = replace(EAGER, piece=PIECE, window=4 * PIECE, least=PIECE)
BLOB = content(8 * PIECE + 12_345)
WANTED = described(BLOB)


def large(host: str, *, attempts: int = 5) -> AbstractAsyncContextManager[Repository]:
    """The repository `app`, by pieces that have basins."""
    return eager(host, ranges=LARGE, attempts=attempts)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("offset", [0, 777])
async def test_the_bytes_are_the_same(tmp_path: Path, tls: bool, offset: int) -> None:
    authority = Authority(tmp_path)
    async with serve(tls=authority.server() if tls else None) as registry:
        registry.add_blob("app", BLOB)
        world, ca_file = Time().world(real_clock=True), authority.file if tls else None
        async with opened(registry.name("app"), ca_file=ca_file, world=world, ranges=LARGE) as repository:
            received, origin = await fetched_from(repository, WANTED, offset)
        assert received == BLOB[offset:]
        assert origin.connections == EAGER.most


@pytest.mark.parametrize("fault", [faults.cut, faults.reset])
@pytest.mark.parametrize("after", [0, 1, 1 << 20, SMALLEST + 7, PIECE - 1])
async def test_n1_n2_a_basin_that_breaks_keeps_what_it_has(fault: Callable[..., faults.Fault], after: int) -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(fault(digest, after=after, ranged=True, skip=1))
        async with large(registry.host) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert [at % PIECE for at in origin.resumed_at] == [after]


async def test_n1_a_piece_that_gains_a_good_part_each_time_is_asked_for_as_often_as_it_takes() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.cut(digest, after=1_200_000, ranged=True, times=None))
        async with large(registry.host, attempts=2) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert origin.connections > 1


async def test_what_a_connection_brings_after_it_was_left_goes_nowhere() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{registry.url}/v2/app/blobs/{WANTED.digest}") as response:
                buffer = bytearray(len(BLOB) + 1)
                basin = Basin.take_over(response, len(BLOB), memoryview(buffer))
                assert basin is not None
                await basin.wait(1)
                assert basin.take() is not None
                basin.abandon()
                before = bytes(buffer)
                await basin.wait(0.05)
    assert bytes(buffer) == before


async def test_n25_what_comes_beyond_a_piece_is_none_of_the_next_one() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.answer(digest, longer, ranged=True, times=2, skip=1))
        async with large(registry.host) as repository:
            received, origin = await fetched_from(repository, WANTED)
        assert received == BLOB
        assert (origin.attempts, origin.resumed_at) == (1, ())


def longer(request: Request) -> Answer:
    """The right piece and more after it, under the right length."""
    first, _, last = (request.range or "").removeprefix("bytes=").partition("-")
    stop = min(int(last) + 1, len(BLOB))
    raw = BLOB[int(first) : stop] + b"HTTP/1.1 200 OK\r\n" * 1000
    headers = (("Content-Range", f"bytes {first}-{stop - 1}/{len(BLOB)}"),)
    return Answer(206, headers, BytesBody(raw), delivery=Delivery(declared_length=stop - int(first)))


async def test_n20_a_piece_in_chunks_that_is_longer_than_asked_for_is_not_taken() -> None:
    def endless(request: Request) -> Answer:
        return replace(longer(request), delivery=Delivery(framing=Framing.CHUNKED))

    async with serve() as registry:
        digest = registry.add_blob("app", BLOB)
        registry.faults.append(faults.answer(digest, endless, ranged=True, times=2, skip=1))
        async with large(registry.host) as repository:
            assert await fetched(repository, WANTED) == BLOB


async def test_connections_are_used_again_for_the_pieces_that_follow() -> None:
    events: list[Event] = []
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        world = Time().world(real_clock=True)
        async with RegistryClient(ranges=LARGE, world=world, debug=True, report=events.append) as client:
            repository = client.repository(Reference.parse(registry.name("app")))
            assert await fetched(repository, WANTED) == BLOB
    lines = [event.line for event in events if isinstance(event, Answered) and event.line is not None]
    assert len(lines) >= 8
    # One for the stream, which is cut off where the pieces begin, and those of the pieces.
    assert sum(line.is_new for line in lines) <= 1 + EAGER.most
