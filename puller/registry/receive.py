"""Receive: the body of one answer in large chunks, watched for stalls and creeping.

What a broken line means for the whole is decided in `body`, not here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp

from puller.errors import ConnectionLost, RegistryError
from puller.registry.inlet import Inlet
from puller.registry.patience import Pace, Patience
from puller.registry.wire import translated
from puller.stream.sink import Chunk

CHUNK = 1 << 20  # a hop to a worker thread is paid for by a chunk of this size
TICK = 0.5  # seconds after which a slow line's bytes are passed on although they fill no chunk


async def chunks(
    response: aiohttp.ClientResponse, patience: Patience, clock: Callable[[], float]
) -> AsyncIterator[Chunk]:
    """The body in chunks of about CHUNK, each valid until the next; what came before a failure comes before it.

    Raises ConnectionLost when the line is cut, stalls or creeps. Close the response afterwards.
    """
    pace = Pace(patience, clock)
    tick = min(TICK, patience.stall)
    taken = Inlet.take_over(response, response.content_length or 0)
    if taken is None:
        async for piece in _from_stream(response, pace, tick):
            yield piece
        return
    first, inlet = taken
    if first:
        yield first
    async for chunk in _from_inlet(inlet, pace, tick):
        yield chunk
    inlet.give_back()


async def _from_inlet(inlet: Inlet, pace: Pace, tick: float) -> AsyncIterator[memoryview]:
    failure: RegistryError | None = None
    while failure is None:
        chunk = inlet.take()
        if chunk is None and inlet.ended:
            if inlet.missing:
                raise ConnectionLost("the line was cut", wanted=f"{inlet.missing} bytes more")
            return
        if chunk is None:
            pace.ask()
            before = inlet.missing
            await inlet.wait(tick)
            try:
                pace.receive(before - inlet.missing)
            except RegistryError as error:
                failure = error
            chunk = inlet.take(partial=True)
        if chunk is not None:
            yield chunk
    raise failure


async def _from_stream(response: aiohttp.ClientResponse, pace: Pace, tick: float) -> AsyncIterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    failure: RegistryError | None = None
    while failure is None:
        piece: bytes | None = None
        try:
            pace.ask()
            piece = await _piece(response, tick)
            pace.receive(len(piece or b""))
        except RegistryError as error:
            failure = error
        if piece:
            gathered.append(piece)
            size += len(piece)
        if size >= CHUNK or (not piece and gathered):
            yield b"".join(gathered)
            gathered, size = [], 0
        if piece == b"":
            return
    if gathered:
        yield b"".join(gathered)
    raise failure


async def _piece(response: aiohttp.ClientResponse, tick: float) -> bytes | None:
    """What has come by now: empty at the end of the body, None when nothing came for a tick."""
    with translated(response.url):
        try:
            async with asyncio.timeout(tick):
                return await response.content.readany()
        except TimeoutError as error:
            if isinstance(error, aiohttp.ServerTimeoutError):
                raise  # aiohttp's own deadline, not the tick
            return None


async def read_up_to(
    response: aiohttp.ClientResponse, limit: int, patience: Patience, clock: Callable[[], float]
) -> bytes:
    """The first `limit` bytes of a body, and one more if there are more: so a longer result is a body too long."""
    body = bytearray()
    async for piece in chunks(response, patience, clock):
        body += piece
        if len(body) > limit:
            break
    return bytes(body[: limit + 1])
