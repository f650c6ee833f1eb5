"""A network's distance before a registry on this machine: a relay, in a process of its own, holds back what passes.

`python -m bench.distant HOST:PORT MS`: prints where the relay listens; it ends with its standard input. Each direction
takes half of MS, and a connection a whole one before its first byte, as TCP's handshake does; bandwidth is not limited.
"""

import asyncio
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol
from weakref import WeakSet

from bench.registry import Registry

ROOT: Final = Path(__file__).resolve().parent.parent
# Of bytes that have arrived and are not taken: what refills while a sender that was stopped is heard again.
HELD: Final = 16 << 20


class Clock(Protocol):
    """What an event loop knows of time, in seconds."""

    def time(self) -> float:
        """Now."""

    def call_at(self, when: float, callback: Callable[[], None], /) -> object:
        """Call back at that time; of two calls for one time either may be first."""


class Way:
    """One direction: what is sent arrives whole, in order, `delay` seconds after, or after `opens` if that is later."""

    def __init__(self, clock: Clock, delay: float, arrive: Callable[[bytes], None], *, opens: float = 0.0) -> None:
        self._clock = clock
        self._delay = delay
        self._arrive = arrive
        self._opens = opens
        self._under_way: deque[bytes] = deque()

    def send(self, piece: bytes) -> None:
        """Let a piece set off; an empty one is the end."""
        self._under_way.append(piece)
        self._clock.call_at(max(self._clock.time(), self._opens) + self._delay, self._next)

    def _next(self) -> None:
        self._arrive(self._under_way.popleft())


class End(asyncio.Protocol):
    """One of a relayed connection's two ends: what it hears goes a `way`, what arrives for it is written.

    The end of one direction is that of both, as with HTTP. asyncio sets TCP_NODELAY by itself.
    """

    way: Way
    other: "End"
    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(HELD)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.way.send(data)

    def eof_received(self) -> bool:
        self.way.send(b"")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.way.send(b"")

    def pause_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.resume_reading()

    def arrive(self, piece: bytes) -> None:
        """Write a piece, or close at the end."""
        if self.transport is None or self.transport.is_closing():
            return
        if piece:
            self.transport.write(piece)
        else:
            self.transport.close()


@contextmanager
def distant(registry: Registry, distance: float) -> Iterator[Registry]:
    """For the length of the block the same registry, a round trip of `distance` milliseconds away; with 0 itself."""
    if not distance:
        yield registry
        return
    command = [sys.executable, "-m", "bench.distant", registry.host, str(distance)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield replace(registry, host=process.stdout.readline().strip())
        finally:
            process.stdin.close()


@asynccontextmanager
async def relay(host: str, distance: float) -> AsyncIterator[str]:
    """For the length of the block listen for what is meant for `host`, `distance` milliseconds away; yields where."""
    loop = asyncio.get_running_loop()
    address, _, port = host.rpartition(":")
    dialling: set[asyncio.Task[None]] = set()
    ends: WeakSet[asyncio.Transport] = WeakSet()

    async def dial(near: asyncio.Transport, far: End) -> None:
        try:
            transport, _ = await loop.create_connection(lambda: far, address, int(port))
        except OSError:
            near.abort()
        else:
            ends.add(transport)
            near.resume_reading()

    class Near(End):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert self.transport is not None
            ends.add(self.transport)
            self.transport.pause_reading()
            self.other = far = End()
            far.other = self
            round_trip = distance / 1000
            self.way = Way(loop, round_trip / 2, far.arrive, opens=loop.time() + round_trip)
            far.way = Way(loop, round_trip / 2, self.arrive)
            task = loop.create_task(dial(self.transport, far))
            dialling.add(task)
            task.add_done_callback(dialling.discard)

    server = await loop.create_server(Near, "127.0.0.1", 0, backlog=1024)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        await asyncio.gather(*dialling)
        for transport in ends:
            if not transport.is_closing():  # one that has closed has no loop to abort in
                transport.abort()
        await asyncio.sleep(0)


async def _serve(host: str, distance: float) -> None:
    async with relay(host, distance) as place:
        sys.stdout.write(f"{place}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], float(sys.argv[2])))
