"""Leases: what running work needs, one locked file under `leases/` each, so that nothing of it is collected.

A file whose lock is free belongs to nobody alive and counts for nothing. The protocol that makes this safe: whoever
works leases first and asks under the digest's lock afterwards; whoever collects takes that lock first and reads the
leases afterwards (RELIABILITY R12).
"""

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from anyio import CancelScope

from puller.errors import PullerError
from puller.model.digest import Digest
from puller.store.files import Files
from puller.store.layout import Layout
from puller.store.locks import try_lock
from puller.store.worker import Worker

LIMIT = 64 << 20


class DiskLease:
    """One lease: digests appended to a file, a line each."""

    def __init__(self, files: Files, worker: Worker, fd: int) -> None:
        self._files = files
        self._worker = worker
        self._fd = fd
        self._held: set[Digest] = set()
        self._size = 0
        # Many tasks hold at once, each in a thread; and one that was cancelled by asyncio itself leaves its thread
        # behind, which must not write into a descriptor that has been closed and given to somebody else.
        self._busy = threading.Lock()
        self._ended = False

    async def hold(self, digests: Sequence[Digest]) -> None:
        """Keep `digests` from now on. On return every collector sees them."""
        fresh = [digest for digest in digests if digest not in self._held]
        if fresh:
            await self._worker.run(self._append, "".join(f"{digest}\n" for digest in fresh).encode())
            self._held.update(fresh)

    def _append(self, lines: bytes) -> None:
        with self._busy:
            if self._ended:
                raise ValueError("this lease has ended")
            self._files.write_at(self._fd, lines, self._size)
            self._size += len(lines)

    def close(self) -> None:
        """Hold nothing any more. Blocking; waits for a write that is under way."""
        with self._busy:
            self._ended = True
            self._files.close(self._fd)


class Leases:
    """The leases of one store."""

    def __init__(self, files: Files, layout: Layout, worker: Worker) -> None:
        self._files = files
        self._layout = layout
        self._worker = worker

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[DiskLease]:
        """A new lease, for as long as the block runs."""
        fd, name = await self._worker.run(self._claim)
        lease = DiskLease(self._files, self._worker, fd)
        try:
            yield lease
        finally:
            with CancelScope(shield=True):
                await self._worker.run(self._end, lease, name)

    def _claim(self) -> tuple[int, str]:
        # The first free number: files of the dead are used again, and no two processes can take the same.
        number = 0
        while (fd := try_lock(self._files, self._layout.leases / str(number))) is None:
            number += 1
        self._files.truncate(fd, 0)
        return fd, str(number)

    def _end(self, lease: DiskLease, name: str) -> None:
        self._files.remove(self._layout.leases / name)
        lease.close()

    async def digests(self) -> set[Digest]:
        """Everything that living work holds. Files of the dead are removed."""
        return await self._worker.run(self._digests)

    def _digests(self) -> set[Digest]:
        held: set[Digest] = set()
        for name in self._files.names(self._layout.leases):
            held |= self._read_living(name)
        return held

    def _read_living(self, name: str) -> set[Digest]:
        path = self._layout.leases / name
        fd = try_lock(self._files, path)
        if fd is not None:
            self._files.remove(path)
            self._files.close(fd)
            return set()
        text = self._files.contents(path, limit=LIMIT) or b""
        # Without its line end the last digest is still being written, and its holder has not asked for it yet.
        return {digest for line in text.split(b"\n")[:-1] if (digest := _digest(line))}


def _digest(line: bytes) -> Digest | None:
    try:
        return Digest.parse(line.decode("ascii", "replace"))
    except PullerError:
        return None
