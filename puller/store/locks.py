"""Locks: one file under `locks/` each, held by flock across tasks and processes, freed by the kernel when we die.

A lock file may be swept away while others wait for it, because a lock counts only if, once taken, the path still leads
to the locked file; who sweeps holds the lock while it unlinks. So a waiter on an unlinked file notices and starts anew.
"""

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from anyio import Lock

from puller.store.files import Files
from puller.store.worker import Worker

T = TypeVar("T")
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

FIRST_WAIT = 0.002
LONGEST_WAIT = 0.2


async def patiently(attempt: Callable[[], Awaitable[T | None]], *, sleep: Sleep) -> T:
    """Repeat `attempt` until it gives something, waiting 2 ms at first and 200 ms at most (`sleep` takes seconds)."""
    wait = FIRST_WAIT
    while (result := await attempt()) is None:
        await sleep(wait)
        wait = min(wait * 1.6, LONGEST_WAIT)
    return result


def try_lock(files: Files, path: Path) -> int | None:
    """The descriptor that holds the lock at `path`, made if missing; None while another holds it. Close it to free."""
    fd = files.open(path, os.O_RDWR | os.O_CREAT)
    try:
        if files.lock(fd) and _is_at(files, fd, path):
            return fd
    except BaseException:
        files.close(fd)
        raise
    files.close(fd)
    return None


def _is_at(files: Files, fd: int, path: Path) -> bool:
    held, there = files.status(fd), files.look(path)
    return there is not None and (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)


@dataclass(slots=True)
class _Turn:
    """The queue for one lock among the tasks of this store."""

    lock: Lock = field(default_factory=Lock)
    users: int = 0


class Locks:
    """The locks of one store. Its tasks queue in order; only the first of them polls against other processes."""

    def __init__(self, files: Files, worker: Worker, *, sleep: Sleep) -> None:
        self._files = files
        self._worker = worker
        self.sleep = sleep
        self._turns: defaultdict[Path, _Turn] = defaultdict(_Turn)

    @asynccontextmanager
    async def held(self, path: Path) -> AsyncIterator[None]:
        """Hold the lock at `path` for as long as the block runs; waits for it."""
        async with self._turn(path):
            fd = await patiently(lambda: self._worker.run(try_lock, self._files, path), sleep=self.sleep)
            try:
                yield
            finally:
                self._files.close(fd)

    @asynccontextmanager
    async def _turn(self, path: Path) -> AsyncIterator[None]:
        turn = self._turns[path]
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[path]

    @asynccontextmanager
    async def attempted(self, path: Path) -> AsyncIterator[bool]:
        """As `held`, without waiting: whether the lock was free."""
        fd = await self._worker.run(try_lock, self._files, path)
        try:
            yield fd is not None
        finally:
            if fd is not None:
                self._files.close(fd)
