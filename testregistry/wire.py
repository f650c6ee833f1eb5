"""Putting an answer on the wire byte for byte: framing, truthful or not, pace, and how the connection ends.

Heads are written by hand: a server library would mend what a scripted fault means to break.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from testregistry.answer import Answer, Delivery, Ending, Framing, Silence
from testregistry.body import Body, FileBody
from testregistry.journal import Request

Sleep: TypeAlias = Callable[[float], Awaitable[None]]

_BODYLESS = (204, 304)
_TICK = 0.05  # seconds between two pieces of a dripping body


class Reply(web.StreamResponse):
    """An answer on its way out; counts into the journal what was sent."""

    def __init__(self, answer: Answer, record: Request, sleep: Sleep) -> None:
        super().__init__(status=answer.status)
        self._answer = answer
        self._record = record
        self._sleep = sleep
        self._keeps = True

    @property
    def keep_alive(self) -> bool | None:
        return self._keeps

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Write head and body; whatever breaks off does so here."""
        try:
            await self._send(request)
        finally:
            self._record.finished = time.monotonic()
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write: `prepare` has sent it all."""

    async def _send(self, request: web.BaseRequest) -> None:
        answer, writer = self._answer, request.writer
        if answer.delivery.silence is Silence.HANG:
            await _for_ever()
        if answer.delivery.silence is Silence.DROP:
            self._keeps = False
            if answer.delivery.ending is Ending.RESET:
                await _reset(request.transport)
            return
        self._keeps = bool(request.keep_alive) and _is_whole(answer)
        await writer.write(_head(answer, request.method, keeps=self._keeps))
        await writer.drain()
        if request.method != "HEAD" and answer.status not in _BODYLESS:
            await self._send_body(request)
        if answer.delivery.cut_after is not None and answer.delivery.ending is Ending.RESET:
            await _reset(request.transport)

    async def _send_body(self, request: web.BaseRequest) -> None:
        answer, delivery, writer = self._answer, self._answer.delivery, request.writer
        if delivery.is_plain and delivery.framing is not Framing.CHUNKED and isinstance(answer.body, FileBody):
            await self._send_file(request, answer.body)
            return
        async for piece in _paced(answer.body, delivery, self._sleep):
            self._record.bytes_sent += len(piece)
            if delivery.framing is Framing.CHUNKED:
                # Where the line is cut inside the body, its last chunk announces more than comes.
                missing = self._record.bytes_sent == delivery.cut_after != answer.body.size
                piece = b"%x\r\n%b%b" % (len(piece) + missing, piece, b"" if missing else b"\r\n")
            await writer.write(piece)
            await writer.drain()
        if delivery.framing is Framing.CHUNKED and delivery.cut_after is None:
            await writer.write(b"0\r\n\r\n")

    async def _send_file(self, request: web.BaseRequest, body: FileBody) -> None:
        transport = request.transport
        if transport is None or body.size == 0:
            return
        with body.path.open("rb") as file:
            sent = await asyncio.get_running_loop().sendfile(transport, file, body.start, body.size)
        self._record.bytes_sent += sent


def _is_whole(answer: Answer) -> bool:
    delivery, size = answer.delivery, answer.body.size
    too_long = delivery.declared_length is not None and size is not None and delivery.declared_length > size
    return delivery.cut_after is None and delivery.framing is not Framing.CLOSE and not too_long


def _head(answer: Answer, method: str, *, keeps: bool) -> bytes:
    delivery = answer.delivery
    version = "1.0" if delivery.framing is Framing.CLOSE else "1.1"
    lines = [f"HTTP/{version} {answer.status} {_reason(answer)}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.status not in _BODYLESS:
        lines += _framing(answer, delivery, method)
    if not keeps:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def _reason(answer: Answer) -> str:
    if answer.reason is not None:
        return answer.reason
    try:
        return HTTPStatus(answer.status).phrase
    except ValueError:
        return "Unknown"


def _framing(answer: Answer, delivery: Delivery, method: str) -> list[str]:
    if answer.header("Content-Length") is not None:
        return []
    if delivery.framing is Framing.CHUNKED:
        return [] if method == "HEAD" else ["Transfer-Encoding: chunked"]
    if delivery.framing is Framing.CLOSE:
        return []
    declared = answer.body.size if delivery.declared_length is None else delivery.declared_length
    return [f"Content-Length: {declared}"]


async def _paced(body: Body, delivery: Delivery, sleep: Sleep) -> AsyncIterator[bytes]:
    """Yield the body's pieces up to the cut, with the stall and at the rate asked for."""
    sent, begun = 0, time.monotonic()
    if delivery.cut_after is not None:
        body = body.slice(0, delivery.cut_after)
    for chunk in body.chunks():
        for piece in _split(chunk, sent, delivery):
            if delivery.stall_after == sent:
                await _stall(delivery, sleep)
            yield piece
            sent += len(piece)
            if delivery.rate is not None:
                await sleep(len(piece) / delivery.rate)
            if delivery.pace is not None and (early := begun + sent / delivery.pace - time.monotonic()) > 0:
                await sleep(early)
    if delivery.stall_after is not None and delivery.stall_after >= sent:
        await _stall(delivery, sleep)


def _split(chunk: bytes, sent: int, delivery: Delivery) -> list[bytes]:
    """Break a chunk at the stall, and into small pieces when it shall drip."""
    if delivery.rate is not None:
        step = max(int(delivery.rate * _TICK), 1)
        return [chunk[at : at + step] for at in range(0, len(chunk), step)]
    at = None if delivery.stall_after is None else delivery.stall_after - sent
    return [chunk] if at is None or not 0 < at < len(chunk) else [chunk[:at], chunk[at:]]


async def _stall(delivery: Delivery, sleep: Sleep) -> None:
    if delivery.stall_seconds is None:
        await _for_ever()
    else:
        await sleep(delivery.stall_seconds)


async def _for_ever() -> None:
    """Wait until the client goes away or the registry stops: either cancels this handler."""
    await asyncio.Event().wait()


async def _reset(transport: asyncio.Transport | None) -> None:
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    for _ in range(1000):
        # A reset throws away what the kernel has not sent yet, so wait until the peer has it all.
        (pending,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
        if pending == 0 and transport.get_write_buffer_size() == 0:
            break
        await asyncio.sleep(0.001)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
