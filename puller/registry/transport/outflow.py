"""Outflow: the body of a request while it is being made, piece by piece, by one task for another that sends it.

Nothing is held but one piece: who makes waits until who sends asks for more.
"""

from collections.abc import AsyncIterator

import anyio

from puller.stream.sink import Chunk

PIECE = 256 << 10  # bytes; a line so slow that one does not go out in time has stalled (RELIABILITY R7)


class Outflow:
    """Sent once, by iterating."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[bytes](0)
        self.taken = 0

    async def give(self, chunk: Chunk) -> bool:
        """Have all of `chunk` sent; False: nobody takes any more of it. It may be used again afterwards."""
        view = memoryview(chunk)
        try:
            for start in range(0, len(view), PIECE):
                await self._send.send(bytes(view[start : start + PIECE]))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        return True

    def end(self) -> None:
        """That was all."""
        self._send.close()

    def refuse(self) -> None:
        """Nobody sends it any more: `give` says so from now on."""
        self._send.close()
        self._receive.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._receive:
            self.taken += len(piece)
            yield piece
