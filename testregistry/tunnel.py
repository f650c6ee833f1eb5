"""What proxies of any kind do once both ends are known: carry bytes both ways, and remember some of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeAlias

_PIECE = 64 * 1024
_REMEMBERED = 1024 * 1024  # bytes of each proxy; heads are small, and come first

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Memory:
    """The first bytes that came past, in either direction."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def note(self, piece: bytes) -> None:
        """Keep as much of it as there is room for."""
        self._kept += piece[: max(0, _REMEMBERED - len(self._kept))]

    def saw(self, text: str) -> bool:
        """Tell whether this text came past in clear."""
        return text.encode() in self._kept


async def carry(near: Streams, far: Streams, memory: Memory, *, cut_after: int | None = None) -> None:
    """Carry bytes between client and server until one of them is done.

    `cut_after`: so many bytes towards the client, and both lines are cut.
    """
    out = asyncio.create_task(_pour(near[0], far[1], memory, None))
    back = asyncio.create_task(_pour(far[0], near[1], memory, cut_after))
    try:
        await asyncio.wait((out, back), return_when=asyncio.FIRST_COMPLETED)
        if back.done() and cut_after is None:
            with suppress(ConnectionError):
                near[1].close()  # not abort: what was written must arrive before the end does
                await near[1].wait_closed()
    finally:
        far[1].transport.abort()  # before any await: this may be cancelled once more
        for task in (out, back):
            task.cancel()
        await asyncio.gather(out, back, return_exceptions=True)


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter, memory: Memory, most: int | None) -> None:
    with suppress(ConnectionError):
        while piece := await source.read(_PIECE if most is None else min(_PIECE, most)):
            memory.note(piece)
            target.write(piece)
            await target.drain()
            if most is not None:
                most -= len(piece)
                if most <= 0:
                    return
