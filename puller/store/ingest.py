"""DiskIngest: one unfinished write. It owns the verifier, so what was not checked cannot be committed."""

import errno
import threading
from dataclasses import replace
from types import TracebackType
from typing import Self

from anyio import CancelScope

from puller.errors import VerificationError
from puller.model.descriptor import Descriptor
from puller.store.part import Part
from puller.store.space import Space
from puller.store.worker import Worker
from puller.stream.sink import Chunk, Sink, Tee
from puller.stream.verifier import BlobVerifier

CHUNK = 1 << 20


class DiskIngest:
    """An open part, its verifier and its watchers. Entered and left under the lock of its digest."""

    def __init__(
        self,
        part: Part,
        expected: Descriptor,
        watchers: tuple[Sink, ...],
        worker: Worker,
        *,
        space: Space,
        durable: bool,
    ) -> None:
        self._part = part
        self._expected = expected
        self._verifier = BlobVerifier(expected)
        self._watchers = Tee(*watchers)
        self._worker = worker
        self._space = space
        self._durable = durable
        self._spoiled = False
        self._committed = False
        self._buffer = memoryview(b"")
        # A task cancelled from outside any scope (asyncio's own cancel) does not wait for its thread: whoever cleans up
        # does, here, before the file is closed under it.
        self._busy = threading.Lock()

    @property
    def offset(self) -> int:
        """Bytes held, verified so far and seen by all watchers."""
        return self._verifier.size

    async def write(self, chunk: Chunk, /) -> None:
        """Hash, append and feed the watchers, in one worker hop. Raises VerificationError, NoSpace, StoreUnusable."""
        try:
            await self._worker.run(self._append, chunk)
        except Exception:
            self._spoiled = True
            raise

    def _append(self, chunk: Chunk) -> None:
        with self._busy:
            self._verifier.write(chunk)  # first: a body that is too long must not reach the disk
            self._part.append(chunk)
            self._space.spend(self._expected.digest, len(chunk))
            self._watchers.write(chunk)

    async def commit(self) -> Descriptor:
        """Verify, then make it exist; the descriptor with its true size.

        Raises VerificationError or what a watcher refuses; StoreError when the disk does not keep it. In either case
        nothing exists and the part is gone. A cancel that comes meanwhile waits: there is no half of a commit.
        """
        try:
            await self._worker.run(self._commit)
        except Exception:
            self._spoiled = True
            raise
        self._committed = True
        return replace(self._expected, size=self._verifier.size)

    def _commit(self) -> None:
        with self._busy:
            self._verifier.finish()  # first: a wrong byte makes watchers stumble too, and this is the truer answer
            self._watchers.finish()
            self._part.commit(durable=self._durable)

    async def __aenter__(self) -> Self:
        try:
            await self._resume()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def _resume(self) -> None:
        await self._worker.run(self._begin)
        if not self._part.size:
            return
        self._buffer = memoryview(bytearray(min(CHUNK, self._part.size)))
        while self.offset < self._part.size:
            try:
                await self._worker.run(self._replay)
            except Exception:
                self._spoiled = True
                raise
        self._buffer = memoryview(b"")

    def _replay(self) -> None:
        with self._busy:
            length = self._part.read_into(self._buffer, self.offset)
            if length == 0:
                raise OSError(errno.EIO, "unfinished blob became shorter while it was read")
            chunk = self._buffer[:length]
            self._verifier.write(chunk)
            self._watchers.write(chunk)

    def _begin(self) -> None:
        self._part.open(self._expected.size)
        rest = max(0, (self._expected.size or 0) - self._part.size)
        self._space.claim(self._expected.digest, rest, free=self._part.free())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._space.release(self._expected.digest)
        if self._committed:
            return
        spoiled = self._spoiled or is_verification(error)
        with CancelScope(shield=True):
            await self._worker.run(self._leave, spoiled)

    def _leave(self, spoiled: bool) -> None:
        with self._busy:
            if spoiled:
                self._part.discard()
            else:
                self._part.keep()


def is_verification(error: BaseException | None) -> bool:
    """Whether bytes were wrong, so that a part of them is worth nothing; of a group: of any in it."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(VerificationError) is not None
    return isinstance(error, VerificationError)
