"""Refers: who refers to what in an image layout, by lists under fallback tags and by what index.json lists itself."""

from collections.abc import Sequence
from typing import Final, Protocol

from puller.errors import ContentCorrupt, ContentMissing, InputError, LimitExceeded, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import Index, parse_manifest
from puller.model.mediatype import INDEXES, MANIFESTS, OCI_ARTIFACT, OCI_INDEX
from puller.model.referrer import is_list_tag, tag_of
from puller.store.naming import REF_NAME, by_name

_REFERRING: Final = INDEXES | MANIFESTS | {OCI_ARTIFACT}


class Readable(Protocol):
    """The part of a store that is needed."""

    async def read(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """The whole of a small blob, checked."""
        ...


def is_list(entry: Descriptor) -> bool:
    """Whether an entry of index.json is the list of somebody's referrers ("Referrers Tag Schema")."""
    return entry.media_type == OCI_INDEX and is_list_tag(entry.annotations.get(REF_NAME, ""))


class Refers:
    """Looks them up in one layout; each document that index.json lists is read once."""

    def __init__(self, store: Readable) -> None:
        self._store = store
        self._known: dict[Digest, tuple[Digest, Descriptor] | None] = {}

    async def to(self, subject: Digest, entries: Sequence[Descriptor]) -> tuple[Descriptor, ...]:
        """What refers to `subject`, each once, those of the list first.

        Raises ContentCorrupt and InvalidManifest for a list that cannot be read; other documents that cannot are passed
        over.
        """
        found: dict[Digest, Descriptor] = {}
        held = by_name(entries).get(tag_of(subject))
        if held is not None and is_list(held):
            document = parse_manifest(await self._store.read(held, limit=MAX_BYTES), OCI_INDEX)
            assert isinstance(document, Index)
            found = {entry.digest: entry for entry in reversed(document.manifests)}
            found = dict(reversed(found.items()))
        for entry in entries:
            known = await self._look(entry)
            if known is not None and known[0] == subject:
                found.setdefault(entry.digest, known[1])
        return tuple(found.values())

    async def _look(self, entry: Descriptor) -> tuple[Digest, Descriptor] | None:
        if entry.media_type not in _REFERRING or is_list(entry):
            return None
        if entry.digest not in self._known:
            try:
                raw = await self._store.read(entry, limit=MAX_BYTES)
                document = parse_manifest(raw, entry.media_type)
            except (ContentMissing, ContentCorrupt, LimitExceeded, InputError, VerificationError):
                return None  # it may be whole another time
            referring = Descriptor(
                entry.media_type,
                entry.digest,
                len(raw),
                document.annotations,
                artifact_type=document.artifact_type,
            )
            self._known[entry.digest] = None if document.subject is None else (document.subject.digest, referring)
        return self._known[entry.digest]
