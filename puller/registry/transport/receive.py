"""Receive: the body of one answer in large chunks, watched for stalls and creeping.

What a broken line means for the whole is decided in `body`, not here.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import aiohttp

from puller.errors import ConnectionLost, RegistryError
from puller.registry.transport.basin import Basin
from puller.registry.transport.inlet import Inlet
from puller.registry.transport.patience import Pace, Patience
from puller.registry.transport.throttle import Throttle
from puller.registry.transport.wire import translated
from puller.stream.sink import Chunk

CHUNK = 1 << 20  # a hop to a worker thread is paid for by a chunk of this size
TICK = 0.5  # seconds after which a slow line's bytes are passed on although they fill no chunk


class Intake(Protocol):
    """Where bytes come in: straight from the socket, or from aiohttp's stream."""

    @property
    def received(self) -> int:
        """Bytes that have come so far."""
        ...

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        ...

    async def wait(self, seconds: float) -> None:
        """Until a chunk is full, or nothing more will come, or the time is over. Raises RegistryError."""
        ...

    def take(self, *, partial: bool = False) -> Chunk | None:
        """A full chunk, or with `partial` what there is; None for nothing. It is good until the next call."""
        ...

    def finish(self) -> None:
        """All is taken and nothing more comes. Raises ConnectionLost if more was promised."""
        ...

    def abandon(self) -> None:
        """Nobody takes any more: a buffer that is not its own is not written to again."""
        ...


class Reception:
    """Reads the body of `response`; whoever opened the response closes it.

    `into`: where a body whose length is known shall lie; it has room for one byte more. Chunks may lie there already.
    `throttle` is waited for before a chunk is given: the server is not to blame for that.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        patience: Patience,
        clock: Callable[[], float],
        throttle: Throttle | None = None,
        *,
        into: memoryview | None = None,
    ) -> None:
        self._throttle = throttle
        self._intake = _intake(response, into, throttle)
        self._pace = Pace(patience, clock)
        self._tick = min(TICK, patience.stall)
        self._failure: RegistryError | None = None

    async def next(self) -> Chunk | None:
        """The next chunk, good until the one after it, or None at the end.

        Raises ConnectionLost when the line was cut, stalls or creeps, but only after all that came before.
        """
        while True:
            chunk = self._intake.take(partial=self._intake.ended)
            if chunk is None and self._failure is None and not self._intake.ended:
                await self._wait()
                chunk = self._intake.take(partial=True)
            if chunk is not None:
                if self._throttle is not None:
                    await self._throttle.take(len(chunk))
                return chunk
            if self._failure is not None:
                raise self._failure
            if self._intake.ended:
                self._intake.finish()
                return None

    def abandon(self) -> None:
        """Write to `into` no more, whatever the connection still brings."""
        self._intake.abandon()

    async def _wait(self) -> None:
        self._pace.ask()
        before = self._intake.received
        try:
            await self._intake.wait(self._tick)
            self._pace.receive(self._intake.received - before)
        except RegistryError as error:
            self._failure = error


def _intake(response: aiohttp.ClientResponse, into: memoryview | None, throttle: Throttle | None) -> Intake:
    length = response.content_length or 0
    if throttle is not None and throttle.is_narrow:
        return Stream(response, throttle.piece)  # what is read ahead is what the limit was to hold back
    if into is None:
        return Inlet.take_over(response, length) or Stream(response)
    return Basin.take_over(response, length, into) or Stream(response)


class Stream:
    """An intake that gathers what aiohttp's parser lets through: bodies that are small, or of unknown length."""

    def __init__(self, response: aiohttp.ClientResponse, chunk: int = CHUNK) -> None:
        self._response = response
        self._chunk = chunk
        self._pieces: list[bytes] = []
        self._size = 0
        self.received = 0
        self.ended = False

    async def wait(self, seconds: float) -> None:
        """See Intake."""
        with translated(self._response.url):
            try:
                async with asyncio.timeout(seconds):
                    while self._size < self._chunk and not self.ended:
                        self._add(await self._response.content.readany())
            except TimeoutError as error:
                if isinstance(error, aiohttp.ServerTimeoutError):
                    raise  # aiohttp's own deadline, not this one
            except RuntimeError as error:
                # After malformed framing in mid-body aiohttp closes without telling the stream; the next read says so.
                raise ConnectionLost("the body is malformed or was cut") from error

    def take(self, *, partial: bool = False) -> bytes | None:
        """See Intake."""
        if self._size < self._chunk and not (partial and self._pieces):
            return None
        chunk = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return chunk

    def finish(self) -> None:
        """See Intake. A body that was cut has raised before, unless its length was never told."""

    def abandon(self) -> None:
        """See Intake: its bytes are its own."""

    def _add(self, piece: bytes) -> None:
        if not piece:
            self.ended = True
            return
        self._pieces.append(piece)
        self._size += len(piece)
        self.received += len(piece)


async def read_up_to(reception: Reception, limit: int) -> bytes:
    """The first `limit` bytes of a body, and one more if there are more: so a longer result is a body too long."""
    body = bytearray()
    while len(body) <= limit and (chunk := await reception.next()) is not None:
        body += chunk
    return bytes(body[: limit + 1])
