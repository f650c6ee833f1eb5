"""The SOCKS server of the tests, byte by byte as RFC 1928 and 1929 have it."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from testregistry import TestRegistry, serve
from testregistry.socks import Asked, SocksServer, serve_socks

PING = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HELLO, WITH_LOGIN = b"\x05\x01\x00", b"\x05\x02\x00\x02"
BOUND = b"\x00\x01\x00\x00\x00\x00\x00\x00"


@asynccontextmanager
async def standing(users: dict[str, str] | None = None) -> AsyncIterator[tuple[TestRegistry, SocksServer, bytes]]:
    """A registry, the server before it, and the registry's port."""
    async with serve() as registry, serve_socks(users=users, hosts={"registry.test": "127.0.0.1"}) as socks:
        yield registry, socks, int(registry.host.rpartition(":")[2]).to_bytes(2, "big")


async def said(socks: SocksServer, *pieces: bytes) -> bytes:
    """All that comes back when this is sent, a piece at a time, and the end of it waited for."""
    host, port = socks.host.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            return await reader.read(-1)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("asked", "host", "is_name"),
    [
        (b"\x01\x7f\x00\x00\x01", "127.0.0.1", False),
        (b"\x03\x0dregistry.test", "registry.test", True),
        (b"\x04" + bytes(10) + b"\xff\xff\x7f\x00\x00\x01", "::ffff:7f00:1", False),
    ],
    ids=["IPv4", "name", "IPv6"],
)
async def test_an_address_or_a_name_is_connected_to(asked: bytes, host: str, is_name: bool) -> None:
    async with standing() as (registry, socks, port):
        heard = await said(socks, HELLO, b"\x05\x01\x00" + asked + port, PING)
        assert heard.startswith(b"\x05\x00" + b"\x05\x00" + BOUND + b"HTTP/1.1 200 OK\r\n")
        (seen,) = socks.requests
        assert seen.is_name is is_name
        assert seen.host == (host if is_name else str(ipaddress.ip_address(host)))
        assert len(registry.journal) == 1


async def test_version_4a_connects_by_name() -> None:
    async with standing() as (_, socks, port):
        heard = await said(socks, b"\x04\x01" + port + b"\x00\x00\x00\x01ann\x00registry.test\x00", PING)
        assert heard.startswith(b"\x00\x5a" + bytes(6) + b"HTTP/1.1 200 OK\r\n")
        assert socks.requests == [Asked("registry.test", int.from_bytes(port, "big"), True, "ann", 0)]


async def test_a_user_with_the_right_password_is_let_in() -> None:
    async with standing({"bob": "secret"}) as (_, socks, port):
        heard = await said(
            socks, WITH_LOGIN, b"\x01\x03bob\x06secret", b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port, PING
        )
        assert heard.startswith(b"\x05\x02" + b"\x01\x00" + b"\x05\x00" + BOUND + b"HTTP/1.1 200")
        assert socks.requests[0].user == "bob"


async def test_a_wrong_password_and_none_at_all_are_turned_away() -> None:
    async with standing({"bob": "secret"}) as (_, socks, _port):
        assert await said(socks, WITH_LOGIN, b"\x01\x03bob\x05wrong") == b"\x05\x02\x01\x01"
        assert await said(socks, HELLO) == b"\x05\xff"
        assert socks.refused == 2
        assert socks.requests == []


async def test_what_cannot_be_reached_is_told_and_a_reply_may_be_set() -> None:
    async with serve_socks() as socks:
        asked = b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x09"
        assert await said(socks, HELLO, asked) == b"\x05\x00" + b"\x05\x05" + BOUND
        socks.reply = 2
        assert await said(socks, HELLO, asked) == b"\x05\x00" + b"\x05\x02" + BOUND
        socks.cut = True
        assert await said(socks, HELLO) == b""
