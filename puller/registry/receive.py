"""Receive: the body of one answer, gathered into large chunks and watched for stalls and creeping.

What a broken line means for the whole is decided in `body`, not here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp

from puller.registry.patience import Pace, Patience
from puller.registry.wire import translated

CHUNK = 1 << 20  # a hop to a worker thread is paid for by a chunk of this size


async def pieces(
    response: aiohttp.ClientResponse, patience: Patience, clock: Callable[[], float]
) -> AsyncIterator[bytes]:
    """The body as it comes. Raises ConnectionLost when it is cut, stalls or creeps."""
    pace = Pace(patience, clock)
    while True:
        pace.ask()
        with translated(response.url):
            async with asyncio.timeout(patience.stall):
                piece = await response.content.readany()
        if not piece:
            return
        pace.receive(len(piece))
        yield piece


async def chunks(
    response: aiohttp.ClientResponse, patience: Patience, clock: Callable[[], float]
) -> AsyncIterator[bytes]:
    """The body in chunks of about CHUNK; what came before a failure is yielded before it is raised."""
    gathered: list[bytes] = []
    size = 0
    try:
        async for piece in pieces(response, patience, clock):
            gathered.append(piece)
            size += len(piece)
            if size >= CHUNK:
                yield b"".join(gathered)
                gathered, size = [], 0
    except Exception:
        if gathered:
            yield b"".join(gathered)
        raise
    if gathered:
        yield b"".join(gathered)


async def read_up_to(
    response: aiohttp.ClientResponse, limit: int, patience: Patience, clock: Callable[[], float]
) -> bytes:
    """The first `limit` bytes of a body, and one more if there are more: so a longer result is a body too long."""
    body = bytearray()
    async for piece in pieces(response, patience, clock):
        body += piece
        if len(body) > limit:
            response.close()
            break
    return bytes(body[: limit + 1])
