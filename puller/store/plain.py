"""PlainLayout: an OCI image layout that images are copied to, as a place whose names are plain tags.

On the machinery of the store: any number of processes may copy into one directory and lose neither a tag nor a blob
(DEMANDS C27), an unfinished blob is gone on with, and index.json is the old or the new one. What only this program
needs lies in `.puller`, out of the way of others; a directory that is a store of this program keeps its own places.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio import CancelScope, CapacityLimiter

from puller.contracts.content import Ingest
from puller.errors import (
    ContentCorrupt,
    ContentMissing,
    ContentUnknown,
    DigestMismatch,
    InvalidReference,
    LimitExceeded,
    StoreError,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.facts import Facts
from puller.model.manifest import parse_manifest
from puller.model.mediatype import OCI_INDEX, SCHEMA1_MANIFESTS, is_index
from puller.model.reference import Reference, is_tag
from puller.model.referrer import entry_of, tag_of, with_referrer
from puller.store.disk import RESERVE, WORKERS
from puller.store.files import Files
from puller.store.founding import found
from puller.store.gc import Collected
from puller.store.grace import DAY, collect_plain
from puller.store.layout import OWN, Layout
from puller.store.leases import DiskLease
from puller.store.locks import Sleep
from puller.store.naming import REF_NAME
from puller.store.opened import OpenedLayout
from puller.store.reach import DOCUMENTS
from puller.store.whole import check_whole, has_all
from puller.store.worker import Worker
from puller.stream.sink import Sink


class PlainLayout(OpenedLayout):
    """An ImageSource, ImageTarget, Housekeeper and TagKeeper, made by `at`. An async context manager: until it is left
    nothing that it has brought or found here is collected.

    The directory is made, or taken over as it is, with the first thing that is written.
    """

    def __init__(
        self, layout: Layout, files: Files, worker: Worker, *, reserve: int, durable: bool, sleep: Sleep
    ) -> None:
        super().__init__(layout, files, worker, reserve=reserve, durable=durable, sleep=sleep)
        self._opening = anyio.Lock()
        self._stack = AsyncExitStack()
        self._lease: DiskLease | None = None
        self._looks = False

    @classmethod
    async def at(
        cls,
        path: Path,
        *,
        files: Files | None = None,
        workers: CapacityLimiter | None = None,
        reserve: int = RESERVE,
        durable: bool = True,
        sleep: Sleep = anyio.sleep,
        looks: bool = False,
    ) -> Self:
        """The layout at `path`, an absolute one that need not be there yet; parameters as of DiskStore.open.

        Its directories get the rights that this user's files get: they are for others to read. `looks`: what is found
        here need not stay, and no lease is written for it.
        """
        files, worker = files or Files(), Worker(workers or CapacityLimiter(WORKERS))
        is_store = await worker.run(files.is_directory, Layout(path).locks)
        layout = Layout(path, "" if is_store else OWN, 0o777)
        made = cls(layout, files, worker, reserve=reserve, durable=durable, sleep=sleep)
        made._looks = looks
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with CancelScope(shield=True):
            is_open, self._lease = self._lease is not None, None
            await self._stack.aclose()
            if is_open:
                with suppress(StoreError):
                    await self._store.sweep(before=0)  # the locks of what was written: thousands, after a sync

    # --- ImageTarget ---

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether it is here, a manifest with all that it needs; then it stays as long as this is open."""
        if not await self._is_founded():
            return False
        descriptor = await self._stored(descriptor)
        if self._looks:
            return await self._store.exists(descriptor)
        lease = await self._leased()
        await lease.hold([descriptor.digest])
        if not await self._store.exists(descriptor):
            return False
        if descriptor.media_type not in DOCUMENTS:
            return True
        try:
            await check_whole(self._store, lease, self.place, descriptor)
        except (ContentMissing, ContentCorrupt, LimitExceeded):
            return False
        return True

    async def has_all(self, descriptor: Descriptor) -> bool:
        """Whether it is here whole, of an index all images, also those that were left out by choice."""
        return await self._is_founded() and await has_all(self._store, await self._stored(descriptor))

    @asynccontextmanager
    async def ingest(self, expected: Descriptor, *watchers: Sink) -> AsyncIterator[Ingest | None]:
        """See Target. What is brought stays as long as this is open."""
        await (await self._leased()).hold([expected.digest])
        with self._in_own_words():
            async with self._store.ingest(expected, *watchers) as ingest:
                yield ingest

    async def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Name what is here. Raises ContentMissing, ContentUnknown."""
        with self._in_own_words():
            raw = await self._store.read(await self._stored(descriptor), limit=MAX_BYTES)
        await self.put_manifest(raw, descriptor, reference.tag or str(descriptor.digest))

    def may_go_on(self, digest: Digest) -> bool:
        """Never: an interrupted ingest is taken up by the next one."""
        return False

    def was_mounted(self, digest: Digest) -> bool:
        """Never: a layout has every blob once, whatever names need it."""
        return False

    async def put_manifest(self, raw: bytes, descriptor: Descriptor, name: str) -> None:
        """Put a manifest or index under `name`, a tag or its digest; by its digest alone index.json does not list it.

        Raises ContentUnknown where some of what it needs is not here and was not left out by choice, and
        VerificationError, StoreError; InvalidReference for what is no tag.
        """
        is_pinned = name == str(descriptor.digest)
        if not is_pinned and not is_tag(name):
            raise InvalidReference("invalid tag", got=repr(name)[:160])
        stored = _as_stored(raw, descriptor)
        with self._in_own_words():
            await self._put(raw, stored)
            await self._check(stored, name)
            await self._list(raw, stored)
            if not is_pinned:
                await self._tags.put(_entry(stored, name))

    # --- Housekeeper ---

    async def leave_out(self, document: Descriptor, absent: Sequence[Digest]) -> None:
        """Of an index or manifest that is about to be put: what it names and was not brought, by choice."""
        await self._leased()
        facts = Facts(absent=tuple(absent)) if is_index(document.media_type) else Facts(discarded=tuple(absent))
        known = await self._store.facts(document.digest)
        if absent or known.absent or known.discarded:
            await self._store.prove(document.digest, facts)

    async def keep(self, descriptor: Descriptor) -> None:
        """Have it stay under its digest alone: index.json lists it without a name. Raises ContentUnknown."""
        await self._leased()
        stored = await self._stored(descriptor)
        with self._in_own_words():
            size = await self._check(stored, str(descriptor.digest))
            await self._tags.list(Descriptor(stored.media_type, stored.digest, size))

    # --- TagKeeper ---

    async def tags(self) -> AsyncIterator[str]:
        """The names that are tags, in order; none where there is no layout yet."""
        if await self._is_founded():
            async for name in super().tags():
                yield name

    async def named(self, tag: str) -> Digest | None:
        """What a tag names now; None: nothing."""
        return await super().named(tag) if await self._is_founded() else None

    async def untag(self, tag: str, expected: Digest) -> None:
        """Take the tag away, and nothing else: `collect` frees what no name needs. Raises DigestMismatch."""
        if not await self._is_founded():
            return
        entry = await self._tags.named(tag)
        if entry is None:
            return
        if (found := await self._called(entry)) != expected:
            raise DigestMismatch("the name stands for something else by now", where=tag, wanted=expected, got=found)
        await self._leased()
        with self._in_own_words():
            async with self._store.room_to_remove():
                await self._tags.drop(tag, entry.digest)

    async def retain(self, descriptor: Descriptor, until: float) -> None:
        """Have what a name stands for stay, named or not, until then (seconds since the epoch), whoever collects here.

        It is on the disk when this returns. Raises StoreError.
        """
        await self._leased()
        stored = await self._stored(descriptor)
        with self._in_own_words():
            async with self._store.room_to_remove():  # to be kept is the first step of being removed
                await self._store.keep_until(stored.digest, until)

    async def collect(self, *, grace: float = DAY, clock: Callable[[], float] = time.time) -> Collected:
        """Free what neither a name nor running work needs, unless it is retained or came within `grace` seconds.

        What other tools are writing meanwhile is as young as that. Raises as `gc.collect`, having freed nothing.
        """
        if not await self._is_founded():
            return Collected((), 0, 0)
        await self._leased()
        with self._in_own_words():
            return await collect_plain(self._store, self._tags, grace=grace, clock=clock)

    # --- inside ---

    async def _is_founded(self) -> bool:
        return self._lease is not None or await self._worker.run(self._files.look, self._layout.index) is not None

    async def _leased(self) -> DiskLease:
        """The lease of all that is done here. Raises StoreError where nothing can be written."""
        async with self._opening:
            if self._lease is None:
                with self._in_own_words():
                    await found(self._layout, self._files, self._worker, sleep=self._sleep)
                    self._lease = await self._stack.enter_async_context(self._store.lease())
            return self._lease

    async def _put(self, raw: bytes, descriptor: Descriptor) -> None:
        async with self.ingest(descriptor) as ingest:
            if ingest is not None:
                await ingest.write(memoryview(raw)[ingest.offset :])
                await ingest.commit()

    async def _check(self, descriptor: Descriptor, name: str) -> int:
        try:
            return await check_whole(self._store, await self._leased(), name, descriptor)
        except ContentMissing as error:
            raise ContentUnknown(
                "what the manifest needs is not all there", where=self.place, wanted=error.digest, reference=name
            ) from error

    async def _list(self, raw: bytes, descriptor: Descriptor) -> None:
        """Have the subject of a manifest know of it, as by registries without an API for that."""
        if descriptor.media_type in SCHEMA1_MANIFESTS:
            return
        document = parse_manifest(raw, descriptor.media_type)
        if document.subject is None:
            return
        tag = tag_of(document.subject.digest)
        async with self._store.locked(f"referrers-{tag}"):
            held = await self._tags.named(tag)
            known = None if held is None else await self._store.read(held, limit=MAX_BYTES)
            changed = with_referrer(known, entry_of(document, descriptor))
            if changed is None:
                return
            index = Descriptor(OCI_INDEX, Digest.of(changed), len(changed))
            # What the list lacked before it lacks still; to look for all of it each time would take the square of that.
            lacked = () if held is None else (await self._store.facts(held.digest)).absent or ()
            await self.leave_out(index, lacked)
            await self._put(changed, index)
            await self._tags.put(_entry(index, tag))


def _entry(descriptor: Descriptor, name: str) -> Descriptor:
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, {REF_NAME: name})


def _as_stored(raw: bytes, descriptor: Descriptor) -> Descriptor:
    """By the digest of all its bytes: what registries call a manifest of schema 1 is that of its signed part."""
    if descriptor.media_type not in SCHEMA1_MANIFESTS:
        return replace(descriptor, size=len(raw))
    from puller.legacy.schema1 import parse_signed_manifest  # seldom needed, and slow to load

    whole = Digest.of(raw)
    parse_signed_manifest(raw, expected=descriptor.digest if descriptor.digest != whole else None)
    return Descriptor(descriptor.media_type, whole, len(raw))
