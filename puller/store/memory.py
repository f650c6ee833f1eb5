"""MemoryStore: content without a disk, same contract as DiskStore; for tests and images that need not stay."""

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from anyio import CapacityLimiter, Semaphore, WouldBlock

from puller.errors import ContentMissing
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.model.report import Origin
from puller.store import naming
from puller.store.ingest import is_verification
from puller.store.reading import check_size, is_damaged, read_checked, watch
from puller.store.sweep import Swept
from puller.store.whole import check_whole
from puller.store.worker import Worker
from puller.stream.sink import Chunk, Sink, Tee
from puller.stream.verifier import BlobVerifier

CHUNK = 1 << 20
ORIGIN = Origin("memory")


class MemoryBody:
    """A stored blob as chunks of 1 MiB."""

    def __init__(self, content: bytes, offset: int) -> None:
        self._content = content
        self._offset = offset

    @property
    def origin(self) -> Origin:
        """This store."""
        return ORIGIN

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        view = memoryview(self._content)
        for start in range(self._offset, len(view), CHUNK):
            yield view[start : start + CHUNK]


class MemoryIngest:
    """An unfinished write: `part` outlives it, unless it is spoiled."""

    def __init__(self, part: bytearray, expected: Descriptor, watchers: tuple[Sink, ...], worker: Worker) -> None:
        self._part = part
        self._expected = expected
        self._verifier = BlobVerifier(expected)
        self._watchers = Tee(*watchers)
        self._worker = worker
        self.spoiled = False
        self.committed = False

    @property
    def offset(self) -> int:
        """Bytes held, verified so far and seen by all watchers."""
        return self._verifier.size

    async def replay(self) -> None:
        """Show what an earlier try left to the verifier and the watchers."""
        held = bytes(self._part)
        self._part.clear()
        if self._expected.size is None or len(held) <= self._expected.size:
            for start in range(0, len(held), CHUNK):
                await self.write(held[start : start + CHUNK])

    async def write(self, chunk: Chunk, /) -> None:
        """Hash, append and feed the watchers. Raises VerificationError."""
        await self._guarded(chunk)

    async def commit(self) -> Descriptor:
        """Verify; the descriptor with its true size."""
        await self._guarded(None)
        self.committed = True
        return replace(self._expected, size=self._verifier.size)

    async def _guarded(self, chunk: Chunk | None) -> None:
        try:
            await self._worker.run(self._finish) if chunk is None else await self._worker.run(self._append, chunk)
        except Exception:
            self.spoiled = True
            raise

    def _append(self, chunk: Chunk) -> None:
        self._verifier.write(chunk)
        self._part += chunk
        self._watchers.write(chunk)

    def _finish(self) -> None:
        self._verifier.finish()
        self._watchers.finish()


class MemoryLease:
    """One lease: a set of digests."""

    def __init__(self) -> None:
        self.digests: set[Digest] = set()

    async def hold(self, digests: Sequence[Digest]) -> None:
        """Keep `digests` from now on."""
        self.digests.update(digests)


class MemoryStore:
    """Content in dictionaries; one process, one event loop."""

    def __init__(self, *, workers: CapacityLimiter | None = None) -> None:
        self._worker = Worker(workers or CapacityLimiter(4))
        self.blobs: dict[Digest, bytes] = {}
        self._parts: dict[Digest, bytearray] = {}
        self._facts: dict[Digest, Facts] = {}
        self._tags: dict[str, Descriptor] = {}
        self._leases: list[MemoryLease] = []
        self._locks: defaultdict[Digest | str, Semaphore] = defaultdict(lambda: Semaphore(1))

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether it is here, of the right size."""
        size = await self.size(descriptor.digest)
        return size is not None and descriptor.size in (None, size)

    async def size(self, digest: Digest) -> int | None:
        """The size of a stored blob in bytes; None where there is none."""
        content = self.blobs.get(digest)
        return None if content is None else len(content)

    @asynccontextmanager
    async def ingest(self, expected: Descriptor, *watchers: Sink) -> AsyncIterator[MemoryIngest | None]:
        """Lock the digest and open an ingest, resuming a kept part; None: it is here already."""
        digest = expected.digest
        async with self._locks[digest]:
            if not await self.exists(expected):
                part = self._parts.setdefault(digest, bytearray())
                ingest = MemoryIngest(part, expected, watchers, self._worker)
                try:
                    await ingest.replay()
                    yield ingest
                except BaseException as error:
                    ingest.spoiled = ingest.spoiled or is_verification(error)
                    raise
                finally:
                    self._leave(digest, ingest)
                return
        yield None

    def _leave(self, digest: Digest, ingest: MemoryIngest) -> None:
        if ingest.committed:
            self.blobs[digest] = bytes(self._parts[digest])
        if ingest.committed or ingest.spoiled or not self._parts[digest]:
            del self._parts[digest]

    async def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Name it. Raises ContentMissing where what it needs is not all here, DigestMismatch for another pin."""
        await naming.check_pin(self, reference, descriptor)
        async with self.lease() as lease:
            size = await check_whole(self, lease, reference, descriptor)
            self._tags[naming.name_of(reference)] = naming.entry_for(reference, descriptor, size)

    async def settled(self, digest: Digest) -> int | None:
        """As `size`, asked under its lock."""
        async with self._locks[digest]:
            return await self.size(digest)

    async def resolve(self, reference: Reference) -> Descriptor:
        """What a name stands for; a pinned one needs no tag. Raises ContentMissing."""
        return await naming.resolved(self, await self.roots(), reference)

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[MemoryBody]:
        """Its bytes from `offset`. Raises ContentMissing, ContentCorrupt by size."""
        content = self._content(wanted.digest)
        check_size(wanted, len(content))
        yield MemoryBody(content, offset)

    def _content(self, digest: Digest) -> bytes:
        if digest not in self.blobs:
            raise ContentMissing("the store does not hold this blob", digest=digest)
        return self.blobs[digest]

    @asynccontextmanager
    async def opened(self, digest: Digest) -> AsyncIterator[int]:
        """A memfd with the blob, at its beginning."""
        content = self._content(digest)
        fd = os.memfd_create("blob")
        try:
            with os.fdopen(os.dup(fd), "wb") as file:
                file.write(content)
            os.lseek(fd, 0, os.SEEK_SET)
            yield fd
        finally:
            os.close(fd)

    async def read(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """The whole of a small blob, checked. Raises ContentMissing, ContentCorrupt, LimitExceeded."""
        return await read_checked(self, descriptor, limit=limit)

    async def watch(self, descriptor: Descriptor, *watchers: Sink) -> None:
        """Read a stored blob through `watchers` and a verifier. Raises ContentMissing, ContentCorrupt."""
        await watch(self, self._worker, descriptor, *watchers)

    async def facts(self, digest: Digest) -> Facts:
        """What was proved of a blob; empty where nothing is known."""
        return self._facts.get(digest, Facts())

    async def prove(self, digest: Digest, facts: Facts) -> None:
        """Keep `facts`, merged with what is known."""
        self._facts[digest] = (await self.facts(digest)).merged(facts)

    async def discard_damaged(self, digest: Digest) -> None:
        """Remove a blob that is not what its name says; read again under its lock, so a mended one stays."""
        async with self._locks[digest]:
            if await is_damaged(self, self._worker, digest):
                await self.drop(digest)

    async def delete(self, digest: Digest) -> None:
        """Remove a blob and its facts. Waits for whoever writes it."""
        async with self._locks[digest]:
            await self.drop(digest)

    async def digests(self) -> AsyncIterator[Digest]:
        """Every blob, in order of their names."""
        for digest in sorted(self.blobs):
            yield digest

    async def tags(self) -> dict[str, Descriptor]:
        """Name to descriptor."""
        return naming.by_name(await self.roots())

    async def roots(self) -> tuple[Descriptor, ...]:
        """What every name names: what a collector keeps."""
        return tuple(self._tags.values())

    async def untag(self, reference: Reference) -> Descriptor:
        """Take a name away; what it named. Raises ContentMissing."""
        descriptor = naming.named(await self.roots(), reference)
        del self._tags[descriptor.annotations[naming.REF_NAME]]
        return descriptor

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[MemoryLease]:
        """Hold content for as long as the block runs."""
        lease = MemoryLease()
        self._leases.append(lease)
        try:
            yield lease
        finally:
            self._leases.remove(lease)

    @asynccontextmanager
    async def attempted(self, of: Digest | str) -> AsyncIterator[bool]:
        """Hold the lock of a digest or a name if it is free; whether it was."""
        lock = self._locks[of]
        try:
            lock.acquire_nowait()
        except WouldBlock:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of this name; waits for it."""
        async with self._locks[name]:
            yield

    async def drop(self, digest: Digest) -> None:
        """Remove a blob and its facts; the caller holds its lock."""
        self.blobs.pop(digest, None)
        self._facts.pop(digest, None)

    async def set_aside(self, digest: Digest) -> None:
        """Remove a damaged blob and forget what was proved of it; the caller holds its lock."""
        known = await self.facts(digest)
        self._facts[digest] = known.left_out()
        self.blobs.pop(digest, None)

    async def expire(self, now: float) -> None:
        """Nothing is kept in memory but what has a name or a lease."""

    async def leased(self) -> set[Digest]:
        """What running work holds."""
        return set().union(*(lease.digests for lease in self._leases))

    async def generation(self) -> Hashable:
        """Another value after every change of names."""
        return tuple(self._tags.items())

    async def sweep(self, *, before: float, dry_run: bool = False) -> Swept:
        """Nothing of the dead stays in memory."""
        return Swept()
