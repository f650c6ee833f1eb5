"""Collection: freeing what no name and no running work reaches.

Safe against pulls in other processes, by order alone. A pull leases, then asks under a digest's lock whether content
is here, tags last and ends its lease after that. A collector takes the lock, then reads the leases, then the names, and
only then removes: what it does not see leased has been named before, and what is neither is asked for after it is gone.
Parents go before their children, so nobody can name a manifest whose layers are already being removed.
"""

import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Protocol

from puller.contracts.content import ContentStore
from puller.errors import ContentCorrupt, ContentMissing
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.store import naming
from puller.store.reach import reach
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

    async def leased(self) -> set[Digest]:
        """What running work holds."""
        ...

    async def generation(self) -> Hashable:
        """Another value after every change of the index."""
        ...

    def attempted(self, digest: Digest) -> AbstractAsyncContextManager[bool]:
        """Hold the lock of a digest if it is free; whether it was."""
        ...

    async def drop(self, digest: Digest) -> None:
        """Remove a blob and its facts; the caller holds its lock."""
        ...

    async def sweep(self, *, before: float) -> Swept:
        """Remove what the dead left."""
        ...


@dataclass(frozen=True, slots=True)
class Collected:
    """What was freed (or would be): blobs, their bytes; how many blobs stay; what the dead had left."""

    freed: tuple[Digest, ...]
    size: int
    kept: int
    swept: Swept = field(default_factory=Swept)


async def collect(
    store: Collectable, *, dry_run: bool = False, days: float = KEPT_DAYS, clock: Callable[[], float] = time.time
) -> Collected:
    """Free every blob that no index entry and no lease reaches, and sweep what dead processes left.

    `days`: how long unfinished blobs are kept. `dry_run` says what would go, unfinished blobs left out. Raises
    ContentCorrupt, having freed nothing, where a named document is damaged: what it needs cannot be known.
    """
    needed = _Needed(store)
    await needed.refresh()
    stored = [digest async for digest in store.digests()]
    result = await _free(store, needed, [digest for digest in stored if digest not in needed], dry_run=dry_run)
    swept = Swept() if dry_run else await store.sweep(before=clock() - days * DAY)
    return Collected(result.freed, result.size, len(stored) - len(result.freed), swept)


async def release(store: Collectable, reference: Reference) -> Collected:
    """Take a name away and free what nothing else reaches; `kept` counts what others still need.

    Raises ContentMissing where there is no such name.
    """
    family = await reach(store, [await store.untag(reference)])
    stored = [digest for digest in family if await store.size(digest) is not None]
    needed = _Needed(store)
    await needed.refresh()
    result = await _free(store, needed, [digest for digest in stored if digest not in needed], dry_run=False)
    return Collected(result.freed, result.size, len(stored) - len(result.freed))


class _Needed:
    """What must stay. `refresh` reads the leases first and the names after them: see the theory above."""

    def __init__(self, store: Collectable) -> None:
        self._store = store
        self._leased: set[Digest] = set()
        self._reached: set[Digest] = set()
        self._generation: Hashable = object()

    async def refresh(self) -> None:
        self._leased = await self._store.leased()
        generation = await self._store.generation()  # before the names: they may be newer than it, never older
        if generation != self._generation:
            self._reached = set(await reach(self._store, await self._store.roots()))
            self._generation = generation

    def __contains__(self, digest: object) -> bool:
        return digest in self._leased or digest in self._reached


async def _free(store: Collectable, needed: _Needed, candidates: Iterable[Digest], *, dry_run: bool) -> Collected:
    freed: dict[Digest, int] = {}
    for digest in await _parents_first(store, set(candidates)):
        async with store.attempted(digest) as free:
            if not free:
                continue  # somebody writes it, or looks at it, right now
            await needed.refresh()
            size = await store.size(digest)
            if digest in needed or size is None:
                continue
            if not dry_run:
                await store.drop(digest)
            freed[digest] = size
    return Collected(tuple(freed), sum(freed.values()), 0)


async def _parents_first(store: Collectable, candidates: set[Digest]) -> list[Digest]:
    order: TopologicalSorter[Digest] = TopologicalSorter()
    for digest in sorted(candidates):
        order.add(digest)
        for child in await _named_by(store, digest):
            order.add(child, digest)
    return [digest for digest in order.static_order() if digest in candidates]


async def _named_by(store: Collectable, digest: Digest) -> tuple[Digest, ...]:
    try:
        root = await naming.pinned(store, (), digest)
        return (await reach(store, [root]))[digest]
    except (ContentCorrupt, ContentMissing):
        return ()
