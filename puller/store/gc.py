"""Collection: freeing what no name and no running work reaches.

Safe against pulls in other processes, by order alone. A pull leases, then asks under a digest's lock whether content
is here, tags last and ends its lease after that. A collector takes the lock, then reads the leases, then the names, and
only then removes: what it does not see leased has been named before, and what is neither is asked for after it is gone.
Parents go before their children, and a parent that stays keeps all it reaches, so no half of an image is left behind.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Protocol

from puller.contracts.content import ContentStore
from puller.errors import ContentCorrupt, ContentMissing, LimitExceeded, PullerError, StoreError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.store import naming
from puller.store.reach import children, reach
from puller.store.sweep import Swept

DAY = 86_400.0
KEPT_DAYS = 7.0  # how long an unfinished blob waits for its next try


class Collectable(ContentStore, Protocol):
    """A store whose content can be collected."""

    async def size(self, digest: Digest) -> int | None:
        """The size of a stored blob in bytes."""
        ...

    async def roots(self) -> tuple[Descriptor, ...]:
        """Every entry of the index."""
        ...

    async def expire(self, now: float) -> None:
        """What was to stay until before `now` (seconds since the epoch) is a root no longer."""
        ...

    async def leased(self) -> set[Digest]:
        """What running work holds."""
        ...

    async def generation(self) -> Hashable:
        """Another value after every change of the index."""
        ...

    def attempted(self, of: Digest | str) -> AbstractAsyncContextManager[bool]:
        """Hold the lock of a digest or a name if it is free; whether it was."""
        ...

    async def drop(self, digest: Digest) -> None:
        """Remove a blob and its facts; the caller holds its lock."""
        ...

    async def sweep(self, *, before: float, dry_run: bool = False) -> Swept:
        """Remove what the dead left, or say what would go."""
        ...


@dataclass(frozen=True, slots=True)
class Collected:
    """What was freed (or would be): blobs, their bytes; how many blobs stay; what the dead had left.

    `hindrance` is why no more was freed, where what others need could not be known.
    """

    freed: tuple[Digest, ...]
    size: int
    kept: int
    swept: Swept = field(default_factory=Swept)
    hindrance: PullerError | None = None


async def collect(
    store: Collectable, *, dry_run: bool = False, days: float = KEPT_DAYS, clock: Callable[[], float] = time.time
) -> Collected:
    """Free every blob that no index entry and no lease reaches, and sweep what dead processes left.

    `days`: how long unfinished blobs and damaged ones that were set aside are kept. `dry_run` says what would go.
    Raises ContentCorrupt or ContentMissing, having freed nothing, where a document that a name needs is damaged or
    missing: what it needs in turn cannot be known.
    """
    if not dry_run:
        await store.expire(clock())
    needed = _Needed(store)
    await needed.refresh()
    stored = [digest async for digest in store.digests()]
    freeing = _Freeing(store, needed, dry_run=dry_run)
    await freeing.run(stored)
    return freeing.result(len(stored), await store.sweep(before=clock() - days * DAY, dry_run=dry_run))


async def release(store: Collectable, reference: Reference) -> Collected:
    """Take a name away, and then as `abandon`. Raises ContentMissing where there is no such name."""
    return await abandon(store, await store.untag(reference))


async def abandon(store: Collectable, root: Descriptor) -> Collected:
    """Free what nothing reaches but `root`, which has lost its name; `kept` counts what others still need.

    Where a damaged or missing document hides what is needed, or the disk fails, nothing more is freed, and the result
    says why (`hindrance`).
    """
    freeing = _Freeing(store, _Needed(store), dry_run=False)
    stored: list[Digest] = []
    try:
        family = await reach(store, [root], lacking=True)
        stored = [digest for digest in family if await store.size(digest) is not None]
        await freeing.needed.refresh()
        await freeing.run(stored)
    except (StoreError, LimitExceeded) as error:
        freeing.hindrance = error
    return freeing.result(len(stored), Swept())


async def free(store: Collectable, digests: Sequence[Digest]) -> Collected:
    """Free those of `digests` that no name and no lease reaches any more; `kept` counts the others."""
    freeing = _Freeing(store, _Needed(store), dry_run=False)
    stored = [digest for digest in digests if await store.size(digest) is not None]
    await freeing.needed.refresh()
    await freeing.run(stored)
    return freeing.result(len(stored), Swept())


class _Needed:
    """What must stay. `refresh` reads the leases first and the names after them: see the theory above."""

    def __init__(self, store: Collectable) -> None:
        self._store = store
        self.leased: set[Digest] = set()
        self._reached: set[Digest] = set()
        self._generation: Hashable = object()

    async def refresh(self) -> None:
        """Look again. Raises ContentCorrupt, ContentMissing and LimitExceeded where needs cannot be known."""
        self.leased = await self._store.leased()
        generation = await self._store.generation()  # before the names: they may be newer than it, never older
        while generation != self._generation:
            try:
                self._reached = set(await reach(self._store, await self._store.roots()))
            except (ContentMissing, ContentCorrupt):
                # Another collector may have taken a name away and then what it named, while we were reading.
                newer = await self._store.generation()
                if newer == generation:
                    raise
                generation = newer
            else:
                self._generation = generation

    def __contains__(self, digest: object) -> bool:
        return digest in self.leased or digest in self._reached


class _Freeing:
    """One run through candidates. Whatever keeps a parent keeps all that it reaches."""

    def __init__(self, store: Collectable, needed: _Needed, *, dry_run: bool) -> None:
        self.needed = needed
        self.hindrance: PullerError | None = None
        self._store = store
        self._dry_run = dry_run
        self._freed: dict[Digest, int] = {}

    async def run(self, stored: Sequence[Digest]) -> None:
        """Free what nobody needs of `stored`."""
        needed = self.needed
        # What a lease alone holds is looked at as well, for the sake of what it names.
        family = await self._families({digest for digest in stored if digest not in needed or digest in needed.leased})
        kept: set[Digest] = set()
        for digest in family:
            if digest in kept or not await self._free(digest):
                kept.update(family[digest])
            if self.hindrance is not None:
                return

    async def _families(self, candidates: set[Digest]) -> dict[Digest, tuple[Digest, ...]]:
        """Each candidate with those that it names, parents first."""
        named = {digest: await self._named_by(digest) for digest in sorted(candidates)}
        order: TopologicalSorter[Digest] = TopologicalSorter()
        for digest, inner in named.items():
            order.add(digest)
            for child in inner:
                order.add(child, digest)
        return {digest: named[digest] for digest in order.static_order() if digest in candidates}

    async def _named_by(self, digest: Digest) -> tuple[Digest, ...]:
        try:
            root = await naming.pinned(self._store, (), digest)
            return tuple(child.digest for child in await children(self._store, root))
        except (ContentCorrupt, ContentMissing):
            return ()

    async def _free(self, digest: Digest) -> bool:
        """Whether it is gone, or would be."""
        async with self._store.attempted(digest) as free:
            if not free:
                return False  # somebody writes it, or looks at it, right now
            try:
                await self.needed.refresh()
            except (StoreError, LimitExceeded) as error:
                self.hindrance = error  # a name has come whose needs are hidden
                return False
            if digest in self.needed:
                return False
            size = await self._store.size(digest)
            if size is not None:
                self._freed[digest] = size
                if not self._dry_run:
                    await self._store.drop(digest)
            return True

    def result(self, stored: int, swept: Swept) -> Collected:
        """What has come of it; `stored` blobs were looked at."""
        freed = tuple(self._freed)
        return Collected(freed, sum(self._freed.values()), stored - len(freed), swept, self.hindrance)
