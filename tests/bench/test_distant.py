"""The relay that puts a registry at a distance."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from bench.distant import Way, relay

PIECES = [bytes([number]) * (number + 1) for number in range(50)]


@dataclass(slots=True)
class Hands:
    """A clock that goes when told to, and of calls for one time makes the last one first."""

    now: float = 100.0
    calls: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> None:
        self.calls.append((when, callback))

    def go(self, until: float) -> None:
        while due := [call for call in self.calls if call[0] <= until]:
            first = min(when for when, _ in due)
            call = [call for call in due if call[0] == first][-1]
            self.calls.remove(call)
            self.now = first
            call[1]()
        self.now = until


@dataclass(slots=True)
class Arrivals:
    """What has arrived, and when."""

    clock: Hands
    pieces: list[tuple[float, bytes]] = field(default_factory=list)

    def __call__(self, piece: bytes) -> None:
        self.pieces.append((self.clock.now, piece))


def test_each_piece_arrives_when_its_time_has_come_and_not_before() -> None:
    clock = Hands()
    arrived = Arrivals(clock)
    way = Way(clock, 0.25, arrived)

    way.send(b"first")
    clock.go(100.125)
    way.send(b"second")
    clock.go(100.249)
    assert arrived.pieces == []

    clock.go(101)
    assert arrived.pieces == [(100.25, b"first"), (100.375, b"second")]


def test_what_sets_off_at_one_time_arrives_in_its_order_and_the_end_last() -> None:
    clock = Hands()
    arrived = Arrivals(clock)
    way = Way(clock, 0.25, arrived)

    for piece in [*PIECES, b""]:
        way.send(piece)
    clock.go(101)

    assert [piece for _, piece in arrived.pieces] == [*PIECES, b""]


def test_what_is_sent_before_a_connection_stands_waits_for_its_handshake() -> None:
    clock = Hands()
    arrived = Arrivals(clock)
    way = Way(clock, 0.25, arrived, opens=100.5)

    way.send(b"at once")
    clock.go(100.625)
    way.send(b"later")
    clock.go(101)

    assert arrived.pieces == [(100.75, b"at once"), (100.875, b"later")]


@pytest.mark.parametrize("size", [1, 3_000_000], ids=["a byte", "more than any buffer"])
async def test_bytes_pass_whole_both_ways_and_take_a_handshake_and_a_round_trip(size: int) -> None:
    sent = [bytes([number]) * size for number in range(9)]
    clock = asyncio.get_running_loop()

    async with _echoing() as host, relay(host, 10) as place:
        began = clock.time()
        answers = await asyncio.gather(*(_ask(place, piece) for piece in sent))
        took = clock.time() - began

    assert answers == sent
    assert took >= 0.02


async def test_a_registry_that_is_not_there_ends_the_connection() -> None:
    async with _echoing() as gone:
        pass

    async with relay(gone, 10) as place:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await _ask(place, b"anyone?")


async def _ask(host: str, text: bytes) -> bytes:
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    try:
        writer.write(text)
        return await reader.readexactly(len(text))
    finally:
        writer.transport.abort()


@asynccontextmanager
async def _echoing() -> AsyncIterator[str]:
    """A server that sends back what it gets, until its last client has gone."""
    served: list[asyncio.Future[None]] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.get_running_loop().create_future()
        served.append(gone)
        with suppress(ConnectionError):
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        writer.transport.abort()
        gone.set_result(None)

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        await asyncio.gather(*served)
        await asyncio.sleep(0)
