"""Reach: what a document needs, and what a set of roots needs in all, as far as the store holds it."""

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from puller.errors import ContentMissing, InputError, VerificationError
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest, TarsumDigest
from puller.model.document import MAX_BYTES
from puller.model.facts import Facts
from puller.model.manifest import parse_manifest

DOCUMENTS = mediatype.DOCUMENTS
UNKNOWN = "Pull it again, or take away the name that needs it (`puller verify --all` tells which)."
_MENTION = re.compile(rb"sha256:[0-9a-f]{64}(?![0-9a-f])|sha512:[0-9a-f]{128}(?![0-9a-f])")


class Readable(Protocol):
    """The part of a store that reach needs."""

    async def read(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """The whole of a small blob, checked."""
        ...

    async def facts(self, digest: Digest) -> Facts:
        """What was proved of a blob."""
        ...


def mentioned(raw: bytes) -> tuple[Digest, ...]:
    """Every digest that stands anywhere in `raw`, in order."""
    return tuple(Digest.parse(text.decode()) for text in dict.fromkeys(_MENTION.findall(raw)))


async def children(store: Readable, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """What a stored document names; nothing for other blobs.

    A document that this program cannot parse (another tool's, perhaps) is taken to need every digest it mentions: to
    keep too much is safe. Raises ContentMissing, ContentCorrupt, LimitExceeded for a document that cannot be had;
    ContentMissing, too, for a schema 1 manifest of which the blobs behind its tarsum labels are not known.
    """
    if descriptor.media_type not in DOCUMENTS:
        return ()
    raw = await store.read(descriptor, limit=MAX_BYTES)
    try:
        if descriptor.media_type in mediatype.SCHEMA1_MANIFESTS:
            return _blobs(raw, (await store.facts(descriptor.digest)).labels, descriptor.digest)
        return parse_manifest(raw, descriptor.media_type).children
    except (InputError, VerificationError):
        return tuple(Descriptor(mediatype.OCTETS, digest) for digest in mentioned(raw))


def _blobs(raw: bytes, labels: Mapping[str, Digest] | None, digest: Digest) -> tuple[Descriptor, ...]:
    """The blobs of a schema 1 manifest, the lowest first; not those of layers that repeat another (LEGACY.md c.5).

    Raises InputError and VerificationError as its parser.
    """
    from puller.legacy.schema1 import parse_signed_manifest  # seldom needed, and slow to load

    manifest = parse_signed_manifest(raw)
    wanted = {layer.blob for layer in manifest.layers()}
    names = [name for name, text in zip(manifest.blob_names(), manifest.blobs, strict=True) if text in wanted]
    if labels is None and any(isinstance(name, TarsumDigest) for name in names):
        raise ContentMissing("which blobs the tarsum labels of a manifest name is unknown", digest=digest, hint=UNKNOWN)
    found = [(labels or {}).get(str(name)) if isinstance(name, TarsumDigest) else name for name in reversed(names)]
    return tuple(Descriptor(mediatype.OCTETS, blob) for blob in dict.fromkeys(found) if blob is not None)


async def absent(store: Readable, descriptor: Descriptor) -> frozenset[Digest]:
    """What may be lacking though a document names it (RELIABILITY R2).

    Of an index, the entries that nobody asked for; of a manifest, the layers whose blobs were discarded, or never
    fetched since a graph had their images.
    """
    if mediatype.is_index(descriptor.media_type):
        return frozenset((await store.facts(descriptor.digest)).absent or ())
    if mediatype.is_manifest(descriptor.media_type) or descriptor.media_type in mediatype.SCHEMA1_MANIFESTS:
        return frozenset((await store.facts(descriptor.digest)).discarded or ())
    return frozenset()


async def reach(
    store: Readable, roots: Iterable[Descriptor], *, lacking: bool = False
) -> dict[Digest, tuple[Digest, ...]]:
    """Everything that `roots` need, themselves included, each with what it names itself.

    Raises ContentCorrupt and LimitExceeded, and ContentMissing for a document that is needed and not here, since what
    it needs in turn is unknown then; `lacking` lets it be passed over. Absent entries of an index count as reached, and
    may be missing; discarded layers do not.
    """
    found: dict[Digest, tuple[Digest, ...]] = {}
    seen: set[tuple[Digest, str, bool]] = set()
    waiting = [(root, not lacking) for root in roots]
    while waiting:
        descriptor, is_needed = waiting.pop()
        # One digest under two media types may be a document under one of them alone.
        key = (descriptor.digest, descriptor.media_type, is_needed)
        if key in seen:
            continue
        seen.add(key)
        inner = await _inner(store, descriptor, is_needed=is_needed)
        unasked = await absent(store, descriptor) if inner else frozenset()
        if not mediatype.is_index(descriptor.media_type):
            inner = tuple(child for child in inner if child.digest not in unasked)
        found[descriptor.digest] = found.get(descriptor.digest) or tuple(child.digest for child in inner)
        waiting += [(child, is_needed and child.digest not in unasked) for child in inner]
    return found


async def _inner(store: Readable, descriptor: Descriptor, *, is_needed: bool) -> tuple[Descriptor, ...]:
    try:
        return await children(store, descriptor)
    except ContentMissing as error:
        if not is_needed:
            return ()
        what = "a document that a name needs is missing, so what else it needs is unknown"
        raise ContentMissing(what, digest=descriptor.digest, got=error.what, hint=UNKNOWN) from error
