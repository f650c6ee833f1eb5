"""Basin: a connection taken over for a body that is to lie in one buffer, its reader's own.

The reader takes it in chunks that lie there already. What is too far ahead of it stays with the sender.
"""

import asyncio
from typing import Self

import aiohttp

from puller.registry.transport.diversion import BUFFER, Diversion, divertible

AHEAD = 3 * BUFFER  # bytes that may have come and were not taken, as with an Inlet


class Basin(Diversion):
    """An Intake that fills `into`, which has room for the body and one byte more."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        transport: asyncio.Transport,
        first: bytes,
        length: int,
        into: memoryview,
    ) -> None:
        super().__init__(response, transport, length - len(first))
        into[: len(first)] = first
        self._into: memoryview | None = into
        self._paused = False
        self._taken = 0
        self.received = len(first)

    @classmethod
    def take_over(cls, response: aiohttp.ClientResponse, length: int, into: memoryview) -> Self | None:
        """A basin for a body of `length` bytes of which nobody has read yet; None where aiohttp's stream must do."""
        transport = divertible(response, length) if length < len(into) else None
        if transport is None:
            return None
        basin = cls(response, transport, response.content.read_nowait(-1), length, into)
        basin._begin()
        return basin

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport writes next: always one byte more than is promised, to see whether more comes (N25)."""
        if self._into is None:
            return memoryview(self._excess)
        return self._into[self.received : self.received + self._missing + 1]

    def buffer_updated(self, nbytes: int) -> None:
        """The transport has written."""
        if self._into is None:
            return
        self._came(nbytes)
        if not self._missing:
            self._end()
        elif self.received - self._taken >= BUFFER:
            self._wake()
            if self.received - self._taken >= AHEAD:
                self._paused = True
                self._transport.pause_reading()

    def take(self, *, partial: bool = False) -> memoryview | None:
        """See Intake. What was taken stays where it is."""
        waiting = self.received - self._taken
        if self._into is None or not waiting or (waiting < BUFFER and not partial):
            return None
        chunk = self._into[self._taken : self.received]
        self._taken = self.received
        if self._paused and not self.ended:
            self._paused = False
            self._transport.resume_reading()
        return chunk

    async def wait(self, seconds: float) -> None:
        """See Intake."""
        if self.received - self._taken < BUFFER and not self.ended:
            await self._woken(seconds)

    def abandon(self) -> None:
        """See Intake. A connection that is being closed may still deliver."""
        self._into = None
