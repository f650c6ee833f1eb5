"""A client that says one request and listens to the very bytes of the answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Heard:
    """What came: the bytes, and whether the end was a reset, or no end but silence."""

    data: bytes
    reset: bool = False
    silent: bool = False


async def talk(
    url: str, *, method: str = "GET", headers: str = "", patience: float = 5.0, limit: int | None = None
) -> Heard:
    """Send a request and read to the end of the connection, to `limit` bytes, or to `patience` seconds of silence."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    data = bytearray()
    try:
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}\r\n".encode())
        while limit is None or len(data) < limit:
            async with asyncio.timeout(patience):
                piece = await reader.read(65536)
            if not piece:
                break
            data += piece
    except ConnectionResetError:
        return Heard(bytes(data), reset=True)
    except TimeoutError:
        return Heard(bytes(data), silent=True)
    finally:
        writer.transport.abort()
    return Heard(bytes(data))
