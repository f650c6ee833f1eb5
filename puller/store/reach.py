"""Reach: what a document needs, and what a set of roots needs in all, as far as the store holds it."""

import re
from collections.abc import Iterable
from typing import Protocol

from puller.errors import ContentMissing, InputError, VerificationError
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import parse_manifest

DOCUMENTS = mediatype.INDEXES | mediatype.MANIFESTS | mediatype.SCHEMA1_MANIFESTS | {mediatype.OCI_ARTIFACT}
_MENTION = re.compile(rb"sha256:[0-9a-f]{64}(?![0-9a-f])|sha512:[0-9a-f]{128}(?![0-9a-f])")


class Readable(Protocol):
    """The part of a store that reach needs."""

    async def read(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """The whole of a small blob, checked."""
        ...


async def children(store: Readable, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """What a stored document names; nothing for other blobs and for documents that are not here.

    A document that this program cannot parse (another tool's, schema 1) is taken to need every digest it mentions: to
    keep too much is safe. Raises ContentCorrupt.
    """
    if descriptor.media_type not in DOCUMENTS:
        return ()
    try:
        raw = await store.read(descriptor, limit=MAX_BYTES)
    except ContentMissing:
        return ()
    try:
        return parse_manifest(raw, descriptor.media_type).children
    except (InputError, VerificationError):
        mentioned = dict.fromkeys(_MENTION.findall(raw))
        return tuple(Descriptor(mediatype.OCTETS, Digest.parse(text.decode())) for text in mentioned)


async def reach(store: Readable, roots: Iterable[Descriptor]) -> dict[Digest, tuple[Digest, ...]]:
    """Everything that `roots` need, themselves included, each with what it names itself. Raises ContentCorrupt."""
    found: dict[Digest, tuple[Digest, ...]] = {}
    waiting = list(roots)
    while waiting:
        descriptor = waiting.pop()
        # One digest under two media types may be a document under one of them alone.
        if descriptor.digest in found and (found[descriptor.digest] or descriptor.media_type not in DOCUMENTS):
            continue
        inner = await children(store, descriptor)
        found[descriptor.digest] = tuple(child.digest for child in inner)
        waiting += inner
    return found
