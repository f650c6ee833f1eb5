"""A SOCKS server for tests: version 5 (RFC 1928, and 1929 for user and password) and 4a, CONNECT only, with a journal.

The journal says whether a name or an address was asked for: who resolved it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from testregistry.conversing import conversing
from testregistry.tunnel import Memory, Streams, carry

GRANTED, FAILED, NOT_ALLOWED, UNREACHABLE, REFUSED = 0, 1, 2, 4, 5  # RFC 1928 section 6
_NO_LOGIN, _LOGIN, _NONE = 0, 2, 0xFF
_ADDRESS, _NAME, _ADDRESS6 = 1, 3, 4


@dataclass(frozen=True, slots=True)
class Asked:
    """One connection that was asked for; `host` is a name or an address, as it came."""

    host: str
    port: int
    is_name: bool
    user: str | None
    reply: int


class SocksServer:
    """What `serve_socks` yields.

    `hosts` says which address a name stands for; other names are looked up. `reply`, when set, is what every request
    gets instead of a connection. `hang`: nothing is ever answered; `cut`: the line is closed after the first bytes.
    """

    def __init__(self, users: Mapping[str, str], hosts: Mapping[str, str]) -> None:
        self.host = ""
        self.hosts = dict(hosts)
        self.reply: int | None = None
        self.hang = False
        self.cut = False
        self.requests: list[Asked] = []
        self.refused = 0  # handshakes that failed for want of a user or of the right password
        self._users = dict(users)
        self._memory = Memory()

    def saw(self, text: str) -> bool:
        """Tell whether this text came past in clear, once a connection was made."""
        return self._memory.saw(text)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        version = (await reader.readexactly(1))[0]
        if self.hang:
            await asyncio.Event().wait()
        if self.cut:
            return
        if version == 4:
            await self._four((reader, writer))
        elif version == 5:
            await self._five((reader, writer))

    async def _five(self, near: Streams) -> None:
        reader, writer = near
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = _LOGIN if self._users else _NO_LOGIN
        if wanted not in methods:
            self.refused += 1
            writer.write(bytes([5, _NONE]))
            await writer.drain()
            return
        writer.write(bytes([5, wanted]))
        user = None
        if wanted == _LOGIN:
            _, user, password = await reader.readexactly(1), await _counted(reader), await _counted(reader)
            is_known = self._users.get(user) == password
            writer.write(bytes([1, 0 if is_known else 1]))
            await writer.drain()
            if not is_known:
                self.refused += 1
                return
        _, command, _, kind = await reader.readexactly(4)
        host = await _host(reader, kind)
        port = int.from_bytes(await reader.readexactly(2), "big")
        far, code = await self._open(host, port) if command == 1 else (None, 7)
        self.requests.append(Asked(host, port, kind == _NAME, user, code))
        writer.write(bytes([5, code, 0, _ADDRESS, 0, 0, 0, 0, 0, 0]))
        await writer.drain()
        if far is not None:
            await carry(near, far, self._memory)

    async def _four(self, near: Streams) -> None:
        reader, writer = near
        await reader.readexactly(1)
        port = int.from_bytes(await reader.readexactly(2), "big")
        raw = await reader.readexactly(4)
        user = (await reader.readuntil(b"\0"))[:-1].decode()
        # 4a: an address of 0.0.0.x stands for the name that follows.
        is_name = raw[:3] == b"\0\0\0" and raw[3] != 0
        host = (await reader.readuntil(b"\0"))[:-1].decode() if is_name else str(ipaddress.IPv4Address(raw))
        far, code = await self._open(host, port)
        self.requests.append(Asked(host, port, is_name, user, code))
        writer.write(bytes([0, 0x5A if code == GRANTED else 0x5B, 0, 0, 0, 0, 0, 0]))
        await writer.drain()
        if far is not None:
            await carry(near, far, self._memory)

    async def _open(self, host: str, port: int) -> tuple[Streams | None, int]:
        if self.reply is not None:
            return None, self.reply
        try:
            return await asyncio.open_connection(self.hosts.get(host, host), port), GRANTED
        except ConnectionRefusedError:
            return None, REFUSED
        except OSError:
            return None, UNREACHABLE


@asynccontextmanager
async def serve_socks(
    *,
    users: Mapping[str, str] | None = None,
    hosts: Mapping[str, str] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[SocksServer]:
    """Run a SOCKS server; with `users` it wants one of them with the password."""
    server = SocksServer(users or {}, hosts or {})
    async with conversing(server.converse, host, port) as bound:
        server.host = bound
        yield server


async def _counted(reader: asyncio.StreamReader) -> str:
    return (await reader.readexactly((await reader.readexactly(1))[0])).decode()


async def _host(reader: asyncio.StreamReader, kind: int) -> str:
    if kind == _NAME:
        return await _counted(reader)
    return str(ipaddress.ip_address(await reader.readexactly(16 if kind == _ADDRESS6 else 4)))
