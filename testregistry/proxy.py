"""A forward proxy for tests: CONNECT and the absolute form (RFC 9110 9.3.6, RFC 9112 3.2.2), a journal, and faults.

It keeps what it was asked and the first bytes that came past, to show what a client lets a proxy see. A request in
absolute form gets a connection of its own, closed after the answer.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from testregistry.conversing import conversing
from testregistry.tunnel import Memory, Streams, carry

# RFC 9110 7.6.1 and 11.7: for the next hop only. Which of them a proxy strips is what these tests are about.
_HOP_BY_HOP = frozenset({"connection", "proxy-connection", "proxy-authorization", "proxy-authenticate", "keep-alive"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came. `target` is `host:port` for CONNECT, else the URL; `connection` counts from 0."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)  # by lower-case name; may hold credentials
    connection: int
    status: int


@dataclass(slots=True)
class Fault:
    """Strikes requests whose target begins with `target`, `times` times (None: always).

    `status` is answered instead of what should be; `hang`: nothing ever comes; `cut_after`: the line is cut after so
    many bytes towards the client, 0 for before any answer.
    """

    target: str = ""
    status: int | None = None
    hang: bool = False
    cut_after: int | None = None
    times: int | None = 1


class ForwardProxy:
    """What `serve_proxy` yields. `hosts` says which address a name stands for; other names are looked up.

    `certificates` are those that clients have shown, one for each connection over TLS, None for none.
    """

    def __init__(self, users: Mapping[str, str], hosts: Mapping[str, str], faults: Sequence[Fault]) -> None:
        self.host = ""
        self.url = ""
        self.hosts = dict(hosts)
        self.faults = list(faults)
        self.requests: list[Asked] = []
        self.connections = 0
        self.certificates: list[object] = []
        self._users = dict(users)
        self._memory = Memory()

    def saw(self, text: str) -> bool:
        """Tell whether this text came past in clear, or in a header."""
        return self._memory.saw(text)

    def targets(self, method: str | None = None) -> list[str]:
        """Return what was asked for, in order, refused requests left out."""
        return [asked.target for asked in self.requests if method in (None, asked.method) and asked.status == 200]

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        connection = self.connections
        self.connections += 1
        if writer.get_extra_info("ssl_object") is not None:
            self.certificates.append(writer.get_extra_info("peercert"))
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self._memory.note(head)
            method, target, headers, lines = _parsed(head)
            fault = self._struck(target)
            status = self._judged(headers, fault)
            self.requests.append(Asked(method, target, headers, connection, status))
            if fault is not None and fault.hang:
                await asyncio.Event().wait()
            if fault is not None and fault.cut_after == 0:
                return
            if status != 200:
                await _refuse(writer, status)
                continue
            await self._forward((reader, writer), method, target, lines, fault)
            return

    def _judged(self, headers: Mapping[str, str], fault: Fault | None) -> int:
        logins = [_basic(login) for login in self._users.items()]
        if logins and headers.get("proxy-authorization") not in logins:
            return 407
        return 200 if fault is None or fault.status is None else fault.status

    def _struck(self, target: str) -> Fault | None:
        for fault in self.faults:
            if target.startswith(fault.target) and fault.times != 0:
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    async def _forward(self, near: Streams, method: str, target: str, lines: list[str], fault: Fault | None) -> None:
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host = parts.hostname or ""
        try:
            far = await asyncio.open_connection(self.hosts.get(host, host), parts.port or 80)
        except OSError:
            await _refuse(near[1], 502)
            return
        if method == "CONNECT":
            near[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = target.partition(parts.netloc)[2] or "/"
            kept = [line for line in lines if line.partition(":")[0].lower() not in _HOP_BY_HOP]
            head = "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close"]) + "\r\n\r\n"
            far[1].write(head.encode("latin-1"))
        cut_after = None if fault is None else fault.cut_after
        await carry(near, far, self._memory, cut_after=cut_after)


@asynccontextmanager
async def serve_proxy(
    *,
    users: Mapping[str, str] | None = None,
    hosts: Mapping[str, str] | None = None,
    faults: Sequence[Fault] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[ForwardProxy]:
    """Run a proxy; with `users` it wants one of them, by Basic; with `tls` it is spoken to over TLS itself."""
    proxy = ForwardProxy(users or {}, hosts or {}, faults)
    async with conversing(proxy.converse, host, port, tls) as bound:
        proxy.host, proxy.url = bound, f"{'https' if tls else 'http'}://{bound}"
        yield proxy


def _parsed(head: bytes) -> tuple[str, str, dict[str, str], list[str]]:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return method, target, {name.lower(): value.strip() for name, _, value in pairs}, lines


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode("ascii")


async def _refuse(writer: asyncio.StreamWriter, status: int) -> None:
    challenge = 'Proxy-Authenticate: Basic realm="proxy"\r\n' if status == 407 else ""
    reason = HTTPStatus(status).phrase
    writer.write(f"HTTP/1.1 {status} {reason}\r\n{challenge}Content-Length: 0\r\n\r\n".encode())
    await writer.drain()
