"""Wholeness: whether all that a name would promise is here, and whether that is all there is of an image."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from puller.contracts.content import Lease
from puller.errors import ContentCorrupt, ContentMissing, InputError, LimitExceeded, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import Index, parse_manifest
from puller.model.mediatype import is_index
from puller.model.reference import Reference
from puller.store.reach import Readable, absent, children

HINT = "Pull it: nothing that is here already is fetched again."


class Nameable(Readable, Protocol):
    """The part of a store that naming whole content needs."""

    async def settled(self, digest: Digest) -> int | None:
        """Its size in bytes, asked under its lock, its name on the disk to stay; None where there is none."""
        ...

    def lease(self) -> AbstractAsyncContextManager[Lease]:
        """Hold content for as long as the block runs."""
        ...


class Holding(Readable, Protocol):
    """The part of a store that can tell what is all here."""

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether it is here, of the right size."""
        ...


async def check_whole(store: Nameable, lease: Lease, reference: Reference | str, root: Descriptor) -> int:
    """The size of `root` in bytes, if it and all it needs are here; `lease` holds them from before that was asked.

    Only documents are read, of all else the size is compared. Entries of an index that nobody asked for may be absent
    (RELIABILITY R2). Raises ContentMissing, and ContentCorrupt for a damaged document.
    """
    sizes: dict[Digest, int] = {}
    seen: set[tuple[Digest, str]] = set()
    waiting = [root]
    while waiting:
        await lease.hold([descriptor.digest for descriptor in waiting])
        inner: list[Descriptor] = []
        for descriptor in waiting:
            digest = descriptor.digest
            if digest not in sizes:
                sizes[digest] = await _size(store, reference, descriptor)
            if descriptor.size not in (None, sizes[digest]):
                raise _missing(reference, descriptor)
            if (digest, descriptor.media_type) not in seen:
                seen.add((digest, descriptor.media_type))
                unasked = await absent(store, descriptor)
                inner += [child for child in await children(store, descriptor) if child.digest not in unasked]
        waiting = inner
    return sizes[root.digest]


async def has_all(store: Holding, root: Descriptor) -> bool:
    """Whether `root` and all that it needs are here: of an index every image, whatever was left out by choice before.

    Entries of kinds that nobody here can read do not count, nor layers that lie elsewhere. Nothing is held: a moment
    later it may be otherwise.
    """
    seen: set[tuple[Digest, str]] = set()
    waiting = [root]
    try:
        while waiting:
            descriptor = waiting.pop()
            if not await store.exists(descriptor):
                return False
            if (descriptor.digest, descriptor.media_type) not in seen:
                seen.add((descriptor.digest, descriptor.media_type))
                waiting += await _needed(store, descriptor)
    except (ContentMissing, ContentCorrupt, LimitExceeded, InputError, VerificationError):
        return False
    return True


async def _needed(store: Holding, descriptor: Descriptor) -> Sequence[Descriptor]:
    if is_index(descriptor.media_type):
        document = parse_manifest(await store.read(descriptor, limit=MAX_BYTES), descriptor.media_type)
        return document.readable if isinstance(document, Index) else document.children
    elsewhere = await absent(store, descriptor)
    return [child for child in await children(store, descriptor) if child.digest not in elsewhere]


async def _size(store: Nameable, reference: Reference | str, descriptor: Descriptor) -> int:
    size = await store.settled(descriptor.digest)
    if size is None:
        raise _missing(reference, descriptor)
    return size


def _missing(reference: Reference | str, descriptor: Descriptor) -> ContentMissing:
    return ContentMissing(
        "only content that is here can be named", reference=reference, digest=descriptor.digest, hint=HINT
    )
