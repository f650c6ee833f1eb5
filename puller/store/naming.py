"""Naming: the name a reference has in a store, and what names stand for there; the same for every kind of store."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from puller.errors import ContentCorrupt, ContentMissing, DigestMismatch, InputError, Unsupported, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import parse_manifest
from puller.model.mediatype import OCI_MANIFEST, OCTETS, SCHEMA1, SCHEMA1_MANIFESTS, SCHEMA1_SIGNED
from puller.model.reference import Reference

REF_NAME = "org.opencontainers.image.ref.name"
REPAIR = "Run `puller verify --all`, which sets damaged blobs aside, and pull again."


class Readable(Protocol):
    """The part of a store that naming needs."""

    async def size(self, digest: Digest) -> int | None:
        """The size of a stored blob in bytes."""
        ...

    async def read(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """The whole of a small blob, checked."""
        ...


def name_of(reference: Reference) -> str:
    """The full canonical name, with `latest` where it has neither tag nor digest.

    Beside a digest a tag says nothing and is left out, so `name:tag@digest` finds what was pulled by it (THREATS C2).
    """
    return str(reference.tagged() if reference.digest is None else replace(reference, tag=None))


async def check_pin(store: Readable, reference: Reference, descriptor: Descriptor) -> None:
    """Refuse to put a name with a digest on other content. Raises DigestMismatch.

    The digest that registries give to a manifest of schema 1 is that of what was signed, not of all its bytes.
    """
    if reference.digest is None or reference.digest == descriptor.digest:
        return
    if descriptor.media_type in SCHEMA1_MANIFESTS:
        from puller.legacy.schema1 import parse_signed_manifest  # seldom needed, and slow to load

        parse_signed_manifest(await store.read(descriptor, limit=MAX_BYTES), expected=reference.digest)
    else:
        raise DigestMismatch(
            "the name is pinned to another digest", reference=reference, wanted=reference.digest, got=descriptor.digest
        )


def names_of(reference: Reference) -> tuple[str, ...]:
    """The names to look under, best first: its own, then as people type it, which is how other tools write names.

    A bare name says the same as its tag `latest`.
    """
    names = [name_of(reference), reference.tagged().familiar()]
    if reference.digest is None and reference.tag in (None, "latest"):
        names.append(replace(reference, tag=None).familiar())
    return tuple(dict.fromkeys(names))


def entry_for(reference: Reference, descriptor: Descriptor, size: int) -> Descriptor:
    """What is kept of `descriptor`, `size` bytes long, under a name."""
    return Descriptor(descriptor.media_type, descriptor.digest, size, {REF_NAME: name_of(reference)})


def by_name(entries: Sequence[Descriptor]) -> dict[str, Descriptor]:
    """Name to entry; of several under one name the first, since image-layout.md leaves it open."""
    result: dict[str, Descriptor] = {}
    for entry in entries:
        name = entry.annotations.get(REF_NAME)
        if name is not None:
            result.setdefault(name, entry)
    return result


def named(entries: Sequence[Descriptor], reference: Reference) -> Descriptor:
    """What `reference` names. Raises ContentMissing."""
    known = by_name(entries)
    for name in names_of(reference):
        if name in known:
            return known[name]
    raise ContentMissing("the store has no such name", reference=reference.tagged())


async def resolved(store: Readable, entries: Sequence[Descriptor], reference: Reference) -> Descriptor:
    """What `reference` stands for; one with a digest needs no name, its blob is enough. Raises ContentMissing."""
    if reference.digest is None:
        return named(entries, reference)
    try:
        return await pinned(store, entries, reference.digest)
    except ContentMissing:
        entry = by_name(entries).get(name_of(reference))
        if entry is None or entry.media_type not in SCHEMA1_MANIFESTS:
            raise
        return entry  # its blob has another digest than what was signed of it: see check_pin


async def guessed(store: Readable, digest: Digest) -> Descriptor:
    """As `pinned`; plain octets where it is not here, a manifest where damage hides what it is."""
    try:
        return await pinned(store, (), digest)
    except ContentMissing:
        return Descriptor(OCTETS, digest)
    except ContentCorrupt:
        return Descriptor(OCI_MANIFEST, digest)


async def pinned(store: Readable, entries: Sequence[Descriptor], digest: Digest) -> Descriptor:
    """The stored blob `digest`, with its media type as an entry or else the document itself says.

    Raises ContentMissing. What is no manifest has the type of plain octets.
    """
    size = await store.size(digest)
    if size is None:
        raise ContentMissing("the store does not hold this blob", digest=digest)
    for entry in entries:
        if entry.digest == digest:
            return entry
    media_type = OCTETS
    if size <= MAX_BYTES:
        raw = await store.read(Descriptor(OCTETS, digest, size), limit=MAX_BYTES)
        media_type = _type_of(raw)
    return Descriptor(media_type, digest, size)


def _type_of(raw: bytes) -> str:
    try:
        return parse_manifest(raw, None).media_type
    except Unsupported:  # schema 1, perhaps
        pass
    except (InputError, VerificationError):
        return OCTETS
    from puller.legacy.schema1 import parse_signed_manifest  # seldom needed, and slow to load

    try:
        return SCHEMA1_SIGNED if parse_signed_manifest(raw).is_signed else SCHEMA1
    except (InputError, VerificationError):
        return OCTETS
