"""Servers in a thread of their own, for tests that run a command line in this one."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import TypeVar

from testregistry import TestRegistry, serve
from testregistry.auth import Auth
from testregistry.canary import Canary, serve_canary
from testregistry.cdn import Cdn, serve_cdn
from testregistry.fault import Fault

T = TypeVar("T")


def serving(
    *, auth: Auth | None = None, faults: Sequence[Fault] = (), tls: ssl.SSLContext | None = None
) -> AbstractContextManager[TestRegistry]:
    """A registry. It may be filled and its journal read from outside its thread."""
    return in_a_thread(lambda: serve(auth=auth, faults=faults, tls=tls))


def canary() -> AbstractContextManager[Canary]:
    """The other origin."""
    return in_a_thread(serve_canary)


def blob_host(registry: TestRegistry) -> AbstractContextManager[Cdn]:
    """A host of signed URLs for the content of a registry."""
    return in_a_thread(lambda: serve_cdn(registry))


@contextmanager
def in_a_thread(open_server: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Any server of the tests, for the length of the block."""
    opened: list[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]] = []
    up = threading.Event()

    async def main() -> None:
        stop = asyncio.Event()
        async with open_server() as server:
            opened.append((server, asyncio.get_running_loop(), stop))
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert up.wait(10)
    server, loop, stop = opened[0]
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
