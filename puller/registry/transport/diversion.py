"""Diversion: a connection taken over once the head of an answer is read, so that its body needs no parser.

A body whose length is known is so many bytes off the socket. After the last one the connection goes back to aiohttp,
which makes a new parser for every request. Where the bytes go is for the subclass to say.
"""

import asyncio

import aiohttp
from aiohttp.client_proto import ResponseHandler

from puller.errors import ConnectionLost

BUFFER = 1 << 20
SMALLEST = 2 << 20  # bodies below gain nothing


class Diversion(asyncio.BufferedProtocol):
    """An Intake of exactly `length` bytes: the rest of one body, of which nobody has read yet."""

    def __init__(self, response: aiohttp.ClientResponse, transport: asyncio.Transport, length: int) -> None:
        self._response = response
        self._transport = transport
        self._aside = transport.get_protocol()
        self._missing = length
        self._waiter: asyncio.Future[None] | None = None
        self._excess = bytearray(1)
        self._clean = True
        self.received = 0
        self.ended = False

    def eof_received(self) -> bool:
        """The sender is done; the transport closes."""
        self._clean = False
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone. aiohttp must know, or it waits for it when it closes."""
        self._clean = False
        self._end()
        self._aside.connection_lost(exc)

    def finish(self) -> None:
        """See Intake. Returns the connection to aiohttp's pool if the body came and nothing but the body."""
        if self._missing:
            raise ConnectionLost("the line was cut", wanted=f"{self._missing} bytes more")
        if not self._clean or self._transport.is_closing():
            self._response.close()
            return
        self._transport.set_protocol(self._aside)
        self._response.content.feed_eof()

    def _begin(self) -> None:
        """Take the connection, and end aiohttp's wait for the next byte: it would see none, and drop a connection that
        is alive. Every request on the connection sets the wait anew; here `patience` watches.
        """
        self._transport.set_protocol(self)
        if isinstance(self._aside, ResponseHandler):
            self._aside.read_timeout = None
            self._aside.start_timeout()

    def _came(self, nbytes: int) -> int:
        """Count bytes that the transport has written; how many of them belong to the body (N25)."""
        wanted = min(nbytes, self._missing)
        if wanted < nbytes:
            self._clean = False
            self._transport.pause_reading()
        self._missing -= wanted
        self.received += wanted
        self._response.content.total_bytes += wanted  # whoever listens to the response counts by it
        return wanted

    def _end(self) -> None:
        self.ended = True
        self._wake()

    async def _woken(self, seconds: float) -> None:
        """Until there is something to take, or the time is over."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def divertible(response: aiohttp.ClientResponse, length: int) -> asyncio.Transport | None:
    """The connection of an answer with a body of `length` bytes; None where aiohttp's stream must do.

    Whoever asks takes it before the next await, so that nothing comes in between.
    """
    connection = response.connection
    transport = connection.transport if connection is not None else None
    # Once told to pause, aiohttp's parser holds bytes back. It is told when two MiB are waiting, so while less than one
    # has come, all of the body is either in its stream or still in the socket.
    if transport is None or transport.is_closing() or response.content.total_bytes >= BUFFER or length < SMALLEST:
        return None
    return transport
