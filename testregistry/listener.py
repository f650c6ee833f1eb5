"""A listening socket with a handler behind it, for the length of a block: registry, token server, canary, blob host."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web

Serve: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener is reached."""

    host: str
    url: str


@asynccontextmanager
async def listening(handler: Serve, host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[Address]:
    """Listen on a port, 0 for a free one; at the end handlers still at work are cancelled."""
    # A client that goes away cancels its handler: a stalled answer must not outlive the test that asked for it.
    runner = web.ServerRunner(web.Server(handler, handler_cancellation=True, access_log=None), shutdown_timeout=0.05)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        await site.start()
        bound: int = runner.addresses[0][1]
        named = f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"
        yield Address(named, f"{'https' if tls else 'http'}://{named}")
    finally:
        await runner.cleanup()
