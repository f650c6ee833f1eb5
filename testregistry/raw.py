"""A server that answers with the very bytes it is given: malformed framing, and all that no HTTP library would send.

A script says what to do for each request, in order of arrival over all connections. An item of it is bytes to send, a
step (`Pause`, `Close`, `Reset`, `Hang`), or a tuple of both. After an item without `Close` the connection stays open
for the next request. A script that has run out closes connections without an answer.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from testregistry.conversing import conversing

_HEAD_LIMIT = 1024 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection (FIN)."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (RST)."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Do nothing more until the client goes."""


Step: TypeAlias = bytes | Pause | Close | Reset | Hang
Item: TypeAlias = Step | tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it came: its head, body, and which connection (from 0) brought it."""

    head: bytes = field(repr=False)  # may hold credentials
    body: bytes
    connection: int

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def path(self) -> str:
        """Path and query."""
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case."""
        match = re.search(rb"(?im)^" + re.escape(name.encode()) + rb":[ \t]*(.*?)\r?$", self.head)
        return None if match is None else match.group(1).decode("latin-1")


Script: TypeAlias = Sequence[Item] | Callable[[RawRequest], Item]


class RawServer:
    """What `serve_script` yields: where it listens, and the requests it has seen."""

    def __init__(self, script: Script, greeting: Item = ()) -> None:
        self.greeting = greeting
        self.requests: list[RawRequest] = []
        self.connections = 0
        self.url = ""
        self.host = ""
        self._script = script

    def item(self, request: RawRequest) -> Item:
        """Return what to do for a request that has just been noted."""
        if callable(self._script):
            return self._script(request)
        at = len(self.requests) - 1
        return self._script[at] if at < len(self._script) else Close()


def answer(
    status: str = "200 OK",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    length: bool = True,
) -> bytes:
    """Return a well-formed answer as bytes, to stand beside malformed ones; `length=False` leaves out its length."""
    pairs = [*headers, ("Content-Length", str(len(body)))] if length else list(headers)
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in pairs)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


@asynccontextmanager
async def serve_script(
    script: Script, *, greeting: Item = (), host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[RawServer]:
    """Run a script on a port, 0 for a free one; at the end every connection is dropped.

    `greeting` is done on each new connection before anything is read: `Close()` refuses a TLS handshake.
    """
    raw = RawServer(script, greeting)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _converse(raw, reader, writer)

    async with conversing(converse, host, port, limit=_HEAD_LIMIT) as raw.host:
        raw.url = f"http://{raw.host}"
        yield raw


async def _converse(raw: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = raw.connections
    raw.connections += 1
    if not await _do(raw.greeting, writer):
        return
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length.group(1))) if length else b""
        request = RawRequest(head, body, connection)
        raw.requests.append(request)
        if not await _do(raw.item(request), writer):
            return


async def _do(item: Item, writer: asyncio.StreamWriter) -> bool:
    """Do the steps of an item; False when one of them was the connection's last."""
    for step in item if isinstance(item, tuple) else (item,):
        if not await _take(step, writer):
            return False
    return True


async def _take(step: Step, writer: asyncio.StreamWriter) -> bool:
    """Do one step; False when it was the connection's last."""
    match step:
        case bytes():
            writer.write(step)
            await writer.drain()
        case Pause():
            await asyncio.sleep(step.seconds)
        case Hang():
            await asyncio.Event().wait()
        case Close():
            # Not abort: what was written must arrive before the end does.
            writer.close()
            await writer.wait_closed()
            return False
        case Reset():
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
    return True
