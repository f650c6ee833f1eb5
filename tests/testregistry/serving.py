"""A registry with one small image in it, and what the tests of faults ask of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from testregistry import TestRegistry, images, serve
from testregistry.fault import Fault
from tests.testregistry.listening import talk

CONTENT = bytes(range(250)) * 8
LAYER = images.raw_layer(CONTENT, "none")
IMAGE = images.image(LAYER)
SIZE = len(CONTENT)


@asynccontextmanager
async def serving(*armed: Fault) -> AsyncIterator[tuple[TestRegistry, str]]:
    """A registry with the image, and the URL of its layer."""
    async with serve(faults=armed) as registry:
        registry.add("app:1", IMAGE)
        yield registry, f"{registry.url}/v2/app/blobs/{LAYER.digest}"


async def wire(url: str, *, method: str = "GET", headers: str = "") -> bytes:
    """All bytes of the answer up to the end of the connection, which the client asks for."""
    return (await talk(url, method=method, headers=f"Connection: close\r\n{headers}")).data


def body_of(answer: bytes) -> bytes:
    """What follows the head."""
    return answer.partition(b"\r\n\r\n")[2]


def head_of(answer: bytes) -> str:
    """Status line and headers."""
    return answer.partition(b"\r\n\r\n")[0].decode()
