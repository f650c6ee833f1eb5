"""Listening for connections that are each talked with in a task of their own, as servers below HTTP do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

_LIMIT = 64 * 1024  # as asyncio has it

Converse: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def conversing(
    converse: Converse, host: str, port: int, tls: ssl.SSLContext | None = None, *, limit: int = _LIMIT
) -> AsyncIterator[str]:
    """Listen, 0 for a free port, and hand every connection to `converse`; at the end all are dropped.

    `limit`: bytes that are read ahead, the most that a separator may be away. What is yielded is `host:port`.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio runs this as a task
        tasks.add(task)
        try:
            with suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError
            ):
                await converse(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, host, port, ssl=tls, limit=limit)
    bound = server.sockets[0].getsockname()[1]
    try:
        yield f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
