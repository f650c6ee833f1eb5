"""A bare HTTP client for these tests: one request, one connection, nothing followed, nothing decoded."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True)
class Got:
    """An answer, read whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def codes(self) -> list[str]:
        """The error codes of an OCI error document."""
        return [error["code"] for error in self.json()["errors"]]


async def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: Any = None,
    read_timeout: float | None = 5.0,
    auth: tuple[str, str] | None = None,
) -> Got:
    """Make one request; the path goes out as it is written."""
    body = io.BytesIO(data) if isinstance(data, bytes) else data  # aiohttp warns of large bytes
    sent = {**(headers or {}), **({} if auth is None else {"Authorization": basic(*auth)})}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=read_timeout)
    async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session:
        async with session.request(
            method, URL(url, encoded=True), headers=sent, data=body, allow_redirects=False
        ) as answer:
            return Got(answer.status, answer.headers, await answer.read())


def basic(user: str, password: str) -> str:
    """Return the Authorization header of RFC 7617."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


async def get(url: str, **headers: str) -> Got:
    """GET with headers given as keywords, underscores for hyphens."""
    return await ask("GET", url, headers={name.replace("_", "-"): value for name, value in headers.items()})


def absolute(base: str, location: str) -> str:
    """Resolve a Location against the registry's base URL."""
    return str(URL(base).join(URL(location, encoded=True)))


def with_digest(location: str, digest: str) -> str:
    """Add the digest parameter to an upload URL."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"
