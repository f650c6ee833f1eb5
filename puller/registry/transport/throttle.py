"""Throttle: so many bytes a second, of all transfers of a process together, down and up.

Bytes are paid for by waiting, in the order they come: transfers that take pieces of one size take turns. What is not
read is not sent: a line whose buffers are full is held back by TCP.
"""

import socket
from collections.abc import Awaitable, Callable

_TURNS = 8  # pieces a second when one transfer has it all: fine enough for a bar that moves and a line that lives
_LARGEST = 1 << 20
_SMALLEST = 1 << 10
_CREDIT = 0.25  # seconds; what was not used so long ago may be used now, so that a sleep too long costs nothing
_NARROW = 8 << 20  # bytes a second; above it the buffers of this program and the kernel are but moments


class Throttle:
    """`rate` is in bytes per second; `clock` and `sleep` in seconds."""

    def __init__(self, rate: int, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[object]]) -> None:
        self.rate = rate
        self._clock = clock
        self._sleep = sleep
        self._paid = clock() - _CREDIT  # the moment at which all that was taken so far is paid for

    @property
    def piece(self) -> int:
        """Most bytes to take at once."""
        return max(_SMALLEST, min(_LARGEST, self.rate // _TURNS))

    @property
    def is_narrow(self) -> bool:
        """Whether what buffers hold is many seconds' worth."""
        return self.rate < _NARROW

    async def take(self, size: int) -> None:
        """Wait until `size` bytes more are paid for. Whoever is cancelled has spent them all the same."""
        now = self._clock()
        self._paid = max(self._paid, now - _CREDIT) + size / self.rate
        if self._paid > now:
            await self._sleep(self._paid - now)

    def narrow(self, sock: socket.socket) -> None:
        """Keep the kernel from receiving, or taking to send, many seconds' worth at once."""
        if self.is_narrow:
            size = max(16 << 10, self.rate // 4)  # Linux doubles it for its own needs (socket(7))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
