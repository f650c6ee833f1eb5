"""DiskStore: content on disk, as an OCI image layout that other tools can read."""

import json
import os
import stat
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import anyio
from anyio import CapacityLimiter

from puller.errors import ContentCorrupt, ContentMissing
from puller.model.descriptor import Descriptor
from puller.model.digest import HEX_LENGTH, Digest
from puller.model.document import MAX_BYTES
from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.store import naming, spare
from puller.store.body import StoredBody
from puller.store.facts import FactShelf
from puller.store.failure import translated
from puller.store.files import Files
from puller.store.founding import found
from puller.store.ingest import DiskIngest
from puller.store.kept import Kept
from puller.store.layout import Layout, digest_named
from puller.store.leases import DiskLease, Leases
from puller.store.listing import Document
from puller.store.locks import Locks, Sleep
from puller.store.part import Part
from puller.store.reach import mentioned
from puller.store.reading import check_size, is_damaged, read_checked, watch
from puller.store.space import Space
from puller.store.sweep import Swept, sweep
from puller.store.tags import Tags
from puller.store.whole import check_whole
from puller.store.worker import Worker
from puller.stream.sink import Sink

WORKERS = 8  # more than the blobs written at once, so that a long sync keeps nobody waiting
RESERVE = 64 << 20


class DiskStore:
    """A content store in a directory; any number of processes may share it (RELIABILITY R5). Made by `open`."""

    def __init__(
        self, layout: Layout, files: Files, worker: Worker, *, reserve: int, durable: bool, sleep: Sleep
    ) -> None:
        self.layout = layout
        self.files = files
        self.worker = worker
        self.locks = Locks(files, worker, sleep=sleep)
        self.leases = Leases(files, layout, worker)
        self._facts = FactShelf(files, layout, self.locks)
        self._tags = Tags(files, layout, self.locks, worker, durable=durable)
        self._kept = Kept(files, layout, self.locks, worker, durable=durable)
        self._space = Space(reserve)
        self._durable = durable

    @classmethod
    async def open(
        cls,
        place: Path | Layout,
        *,
        workers: CapacityLimiter | None = None,
        reserve: int = RESERVE,
        durable: bool = True,
        files: Files | None = None,
        sleep: Sleep = anyio.sleep,
    ) -> Self:
        """Open the store at `place`; an absent or empty directory becomes one.

        `workers` limits the threads that touch the disk; `reserve` is what must stay free beyond a blob's own size, in
        bytes; `durable` False leaves out every sync, so a power loss may cost blobs and names. Raises StoreUnusable for
        a directory that holds something else or cannot be used, ContentCorrupt for a store that lost its index.
        """
        files = files or Files()
        worker = Worker(workers or CapacityLimiter(WORKERS))
        layout = place if isinstance(place, Layout) else Layout(place)
        await found(layout, files, worker, sleep=sleep)
        return cls(layout, files, worker, reserve=reserve, durable=durable, sleep=sleep)

    # --- Target ---

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether it is here, of the right size. Only `ingest` answers so that a collector cannot make it untrue."""
        size = await self.size(descriptor.digest)
        return size is not None and descriptor.size in (None, size)

    async def size(self, digest: Digest) -> int | None:
        """The size of a stored blob in bytes; None where there is none, or nothing where something should be."""
        status = await self.worker.run(self.files.look, self.layout.blob(digest))
        if status is None or not stat.S_ISREG(status.st_mode) or _is_hollow(digest, status.st_size):
            return None
        return status.st_size

    @asynccontextmanager
    async def ingest(self, expected: Descriptor, *watchers: Sink) -> AsyncIterator[DiskIngest | None]:
        """Lock the digest and open an ingest, resuming a kept part; None: it is here already.

        Raises NoSpace before a byte is written where the disk could not hold it.
        """
        part = Part(self.files, self.layout, expected.digest)
        async with self.locks.held(self.layout.lock(expected.digest)):
            if not await self.exists(expected):
                async with DiskIngest(
                    part, expected, watchers, self.worker, space=self._space, durable=self._durable
                ) as ingest:
                    yield ingest
                return
            await self.worker.run(self._settle, expected.digest)
        yield None

    def _settle(self, digest: Digest) -> None:
        Part(self.files, self.layout, digest).settle(durable=self._durable)

    async def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Name it. Raises ContentMissing where what it needs is not all here, DigestMismatch for another pin.

        All of it is leased from before it is looked at, so what is being named cannot be collected in between.
        """
        await naming.check_pin(self, reference, descriptor)
        async with self.lease() as lease:
            size = await check_whole(self, lease, reference, descriptor)
            await self._tags.put(naming.entry_for(reference, descriptor, size))

    async def settled(self, digest: Digest) -> int | None:
        """As `size`, asked under its lock; what a killed commit left is ended, so the blob survives a power loss."""
        async with self.locks.held(self.layout.lock(digest)):
            size = await self.size(digest)
            if size is not None:
                await self.worker.run(self._settle, digest)
            return size

    # --- Source ---

    async def resolve(self, reference: Reference) -> Descriptor:
        """What a name stands for. A pinned reference needs no tag: its blob is enough. Raises ContentMissing."""
        entries = await self._tags.about(naming.names_of(reference), reference.digest)
        return await naming.resolved(self, entries, reference)

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[StoredBody]:
        """Its bytes from `offset`, not verified again (see `watch`). Raises ContentMissing, ContentCorrupt by size."""
        async with self.opened(wanted.digest) as fd:
            check_size(wanted, self.files.status(fd).st_size)
            yield StoredBody(self.files, self.worker, fd, offset)

    # --- what stays ---

    @asynccontextmanager
    async def opened(self, digest: Digest) -> AsyncIterator[int]:
        """The file of a stored blob, read-only. Raises ContentMissing, and ContentCorrupt for an empty or odd file."""
        fd = await self.worker.run(self._open_blob, digest)
        try:
            yield fd
        finally:
            self.files.close(fd)

    def _open_blob(self, digest: Digest) -> int:
        try:
            fd = self.files.open(self.layout.blob(digest), os.O_RDONLY)
        except FileNotFoundError:
            raise ContentMissing("the store does not hold this blob", digest=digest) from None
        status = self.files.status(fd)
        if not stat.S_ISREG(status.st_mode) or _is_hollow(digest, status.st_size):
            self.files.close(fd)
            raise ContentCorrupt("stored blob is empty or no file", digest=digest, hint=naming.REPAIR)
        return fd

    async def read(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """The whole of a small blob, checked. Raises ContentMissing, ContentCorrupt, LimitExceeded."""
        return await read_checked(self, descriptor, limit=limit)

    async def watch(self, descriptor: Descriptor, *watchers: Sink) -> None:
        """Read a stored blob through `watchers` and a verifier. Raises ContentMissing, ContentCorrupt."""
        await watch(self, self.worker, descriptor, *watchers)

    async def facts(self, digest: Digest) -> Facts:
        """What was proved of a blob; empty where nothing is known or the record is damaged."""
        return await self._facts.read(digest)

    async def prove(self, digest: Digest, facts: Facts) -> None:
        """Keep `facts` beside the blob, merged with what is known."""
        await self._facts.merge(digest, facts)

    async def discard_damaged(self, digest: Digest) -> None:
        """Remove a blob that is not what its name says; read again under its lock, so a mended one stays."""
        async with self.locks.held(self.layout.lock(digest)):
            if await is_damaged(self, self.worker, digest):
                await self.drop(digest)

    async def delete(self, digest: Digest) -> None:
        """Remove a blob and its facts. Waits for whoever writes it."""
        async with self.locks.held(self.layout.lock(digest)):
            await self.drop(digest)

    async def digests(self) -> AsyncIterator[Digest]:
        """Every blob, in order of their names; files with other names are not ours to see."""
        for algorithm in sorted(HEX_LENGTH):
            for name in await self.worker.run(self.files.names, self.layout.blobs(algorithm)):
                if (digest := digest_named(f"{algorithm}-{name}")) is not None:
                    yield digest

    async def tags(self) -> dict[str, Descriptor]:
        """Name to descriptor. Raises ContentCorrupt for a damaged index.json."""
        return naming.by_name(await self._tags.entries())

    async def roots(self) -> tuple[Descriptor, ...]:
        """What a collector keeps: every entry of the index, those without a name included, and what stays until a date.

        Of entries that cannot be read, what they mention.
        """
        entries, odd = await self._tags.all()
        # After the names: whoever takes one away has noted before that what it named is to stay.
        kept = [digest for digest in await self._kept.digests() if await self.size(digest) is not None]
        found = [await naming.guessed(self, digest) for digest in (*await self._mentioned_by(odd), *kept)]
        return (*entries, *found)

    async def _mentioned_by(self, odd: Sequence[Document]) -> list[Digest]:
        """Digests in entries that cannot be read, and in documents of algorithms that are not ours."""
        texts = [json.dumps(entry).encode() for entry in odd]
        for entry in odd:
            if (path := self.layout.foreign(entry.get("digest"))) is not None:
                with translated():
                    texts.append(await self.files.read(path, limit=MAX_BYTES) or b"")
        return list(dict.fromkeys(digest for text in texts for digest in mentioned(text)))

    async def untag(self, reference: Reference) -> Descriptor:
        """Take a name away; what it named. Raises ContentMissing. The content stays (see gc.release)."""
        return await self._tags.take(naming.names_of(reference))

    def locked(self, name: str) -> AbstractAsyncContextManager[None]:
        """Hold the lock of this name, across processes; waits for it."""
        return self.locks.held(self.layout.lock(name))

    def lease(self) -> AbstractAsyncContextManager[DiskLease]:
        """Hold content for as long as the block runs."""
        return self.leases.opened()

    async def keep_until(self, digest: Digest, until: float) -> None:
        """Have `digest` stay with all that it needs, named or not, until then (seconds since the epoch)."""
        await self._kept.keep(digest, until)

    # --- what a collector and an auditor need beside the contract ---

    def attempted(self, of: Digest | str) -> AbstractAsyncContextManager[bool]:
        """Hold the lock of a digest or a name if it is free; whether it was."""
        return self.locks.attempted(self.layout.lock(of))

    async def drop(self, digest: Digest) -> None:
        """Remove a blob and its facts; the caller holds its lock."""
        await self.worker.run(self._drop, digest)

    def _drop(self, digest: Digest) -> None:
        self.files.remove(self.layout.blob(digest))
        self.files.remove(self.layout.fact(digest))

    async def set_aside(self, digest: Digest) -> None:
        """Move a damaged blob to `quarantine/` and forget what was proved of it; the caller holds its lock."""
        await self._facts.distrust(digest)
        await self.worker.run(self._set_aside, digest)

    def _set_aside(self, digest: Digest) -> None:
        blob = self.layout.blob(digest)
        with suppress(PermissionError):  # another owner's: its age counts from when it was written
            self.files.touch(blob)
        self.files.rename(blob, self.layout.quarantined(digest))

    @asynccontextmanager
    async def room_to_remove(self) -> AsyncIterator[None]:
        """For the length of a removal: on a full disk the spare is given up first, and set aside again at the end."""
        await self.worker.run(spare.give_up, self.files, self.layout)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.worker.run(spare.set_aside, self.files, self.layout)

    async def expire(self, now: float) -> None:
        """What was to stay until before `now` need not stay any longer."""
        await self._kept.expire(now)

    async def leased(self) -> set[Digest]:
        """What running work holds."""
        return await self.leases.digests()

    async def generation(self) -> Hashable:
        """Another value after every change of the index."""
        status = await self.worker.run(self.files.look, self.layout.index)
        return None if status is None else (status.st_ino, status.st_mtime_ns, status.st_size)

    async def sweep(self, *, before: float, dry_run: bool = False) -> Swept:
        """Remove what the dead left, or say what would go: see `sweep.py`."""
        return await self.worker.run(lambda: sweep(self.files, self.layout, before, dry_run=dry_run))


def _is_hollow(digest: Digest, size: int) -> bool:
    # What other tools leave after a power loss: the name without the content.
    return size == 0 and digest != Digest.of(b"", digest.algorithm)
