"""A registry in a thread of its own, for tests that run a command line in this one."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from testregistry import TestRegistry, serve
from testregistry.auth import Auth
from testregistry.fault import Fault


@contextmanager
def serving(*, auth: Auth | None = None, faults: Sequence[Fault] = ()) -> Iterator[TestRegistry]:
    """Serve for the length of the block. The registry may be filled and its journal read from here."""
    ready: list[TestRegistry] = []
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    up = threading.Event()

    async def main() -> None:
        stop = asyncio.Event()
        async with serve(auth=auth, faults=faults) as registry:
            ready.append(registry)
            stops.append((asyncio.get_running_loop(), stop))
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert up.wait(10)
        yield ready[0]
    finally:
        loop, stop = stops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
