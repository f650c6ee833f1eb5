"""Audit: a whole store, or some names of it, held against itself. Every byte is hashed again."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

import anyio

from puller.errors import ContentCorrupt, ContentMissing, LimitExceeded, StoreError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.model.reference import Reference
from puller.store.gc import Collectable
from puller.store.naming import REF_NAME
from puller.store.reach import absent, children

JOBS = 2
Kind: TypeAlias = Literal["corrupt", "missing", "unreadable"]
Told: TypeAlias = Callable[[Digest, int], None]


class Auditable(Collectable, Protocol):
    """A store that can put damaged blobs out of reach."""

    async def set_aside(self, digest: Digest) -> None:
        """Move a damaged blob away; the caller holds its lock."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. `names` are those that need the blob, as far as it could be seen."""

    kind: Kind
    digest: Digest
    names: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Audited:
    """How much was read, and what was found, in order of digests."""

    blobs: int
    size: int
    findings: tuple[Finding, ...]


def untold(digest: Digest, size: int) -> None:
    """Nobody listens."""


async def audit(
    store: Auditable,
    references: Sequence[Reference | Descriptor] | None = None,
    *,
    jobs: int = JOBS,
    told: Told = untold,
) -> Audited:
    """Hash what `references` (or roots without a name) need, or all of the store, and look for what is missing.

    Corrupt blobs are set aside, so the next pull fetches them again. Entries of an index that its facts call absent
    were never pulled and are not missing (RELIABILITY R2). `jobs` blobs are read at once; `told` hears of each, with
    its size in bytes. Raises ContentMissing for a name that is not there, ContentCorrupt for a damaged index.json.
    """
    if references is None:
        roots = await store.roots()
    else:
        roots = tuple([await _rooted(store, reference) for reference in references])
    auditing = _Audit(store, told)
    for root in roots:
        await auditing.descend(root)
    if references is None:
        async for digest in store.digests():
            auditing.wanted.setdefault(digest, Descriptor(OCTETS, digest))
    return await auditing.run(jobs)


async def _rooted(store: Auditable, reference: Reference | Descriptor) -> Descriptor:
    if isinstance(reference, Descriptor):
        return reference
    found = await store.resolve(reference)
    return replace(found, annotations={REF_NAME: str(reference.tagged())})


class _Audit:
    def __init__(self, store: Auditable, told: Told) -> None:
        self._store = store
        self._told = told
        self.wanted: dict[Digest, Descriptor] = {}
        self._names: defaultdict[Digest, set[str]] = defaultdict(set)
        self._findings: list[Finding] = []
        self._blobs = 0
        self._size = 0

    async def descend(self, root: Descriptor) -> None:
        """Note what `root` needs. Damaged documents end their branch here and are found when they are hashed."""
        name = root.annotations.get(REF_NAME)
        seen: set[Digest] = set()
        waiting = [root]
        while waiting:
            descriptor = waiting.pop()
            if descriptor.digest in seen:
                continue
            seen.add(descriptor.digest)
            self.wanted.setdefault(descriptor.digest, descriptor)
            if name is not None:
                self._names[descriptor.digest].add(name)
            waiting += await self._needs(descriptor)

    async def _needs(self, descriptor: Descriptor) -> list[Descriptor]:
        try:
            inner = await children(self._store, descriptor)
        except ContentMissing as error:
            if await self._store.size(descriptor.digest) is not None:
                self._find("missing", descriptor.digest, error.what)
            return []
        except (ContentCorrupt, LimitExceeded):
            return []
        # An absent entry that has come since, by another name, is looked at under that name.
        unasked = await absent(self._store, descriptor)
        return [child for child in inner if child.digest not in unasked]

    async def run(self, jobs: int) -> Audited:
        """Hash all that is wanted."""
        turns = anyio.Semaphore(jobs)
        async with anyio.create_task_group() as group:
            for _, descriptor in sorted(self.wanted.items()):
                await turns.acquire()
                group.start_soon(self._check, descriptor, turns)
        return Audited(self._blobs, self._size, tuple(sorted(self._findings, key=lambda found: found.digest)))

    async def _check(self, descriptor: Descriptor, turns: anyio.Semaphore) -> None:
        digest = descriptor.digest
        size = 0
        try:
            size = await self._store.size(digest) or 0
            await self._store.watch(descriptor)
        except ContentMissing:
            self._find("missing", digest, "the store does not hold it")
        except ContentCorrupt as error:
            await self._confirm(descriptor, error)
        except StoreError as error:
            self._find("unreadable", digest, str(error))
        finally:
            turns.release()
        self._blobs, self._size = self._blobs + 1, self._size + size
        self._told(digest, size)

    async def _confirm(self, descriptor: Descriptor, error: ContentCorrupt) -> None:
        """Look again under the lock, since a pull may have put the right bytes there meanwhile; then set it aside."""
        digest = descriptor.digest
        async with self._store.attempted(digest) as free:
            if not free:
                return  # somebody is writing it again
            try:
                await self._store.watch(Descriptor(OCTETS, digest))
            except ContentMissing:
                self._find("missing", digest, "the store does not hold it")
            except ContentCorrupt:
                await self._store.set_aside(digest)
                self._find("corrupt", digest, str(error))
            else:
                if descriptor.size not in (None, await self._store.size(digest)):
                    self._find("corrupt", digest, f"what names it says {descriptor.size} bytes")

    def _find(self, kind: Kind, digest: Digest, detail: str) -> None:
        self._findings.append(Finding(kind, digest, tuple(sorted(self._names[digest])), detail))
