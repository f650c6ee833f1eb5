"""Refers: who refers to what in an image layout, by lists under fallback tags and by what index.json lists itself."""

from collections.abc import Sequence
from typing import Final, Protocol

from puller.errors import ContentCorrupt, ContentMissing, InputError, LimitExceeded, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import Index, parse_manifest
from puller.model.mediatype import INDEXES, MANIFESTS, OCI_ARTIFACT, OCI_INDEX
from puller.model.referrer import is_list_tag
from puller.store.naming import REF_NAME

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
        self._sorted: tuple[Sequence[Descriptor], dict[Digest, list[Descriptor]]] = ((), {})

    async def to(self, subject: Digest, held: Descriptor | None, entries: Sequence[Descriptor]) -> Sequence[Descriptor]:
        """What refers to `subject`, each once, those of its list first; `held` has the name of that list.

        Raises ContentCorrupt and InvalidManifest for a list that cannot be read; other documents that cannot are passed
        over.
        """
        found: dict[Digest, Descriptor] = {}
        if held is not None and is_list(held):
            document = parse_manifest(await self._store.read(held, limit=MAX_BYTES), OCI_INDEX)
            assert isinstance(document, Index)
            found = {entry.digest: entry for entry in reversed(document.manifests)}
            found = dict(reversed(found.items()))
        for entry in (await self._by_subject(entries)).get(subject, ()):
            found.setdefault(entry.digest, entry)
        return tuple(found.values())

    async def _by_subject(self, entries: Sequence[Descriptor]) -> dict[Digest, list[Descriptor]]:
        if self._sorted[0] is not entries:  # the same as long as nothing has changed
            found: dict[Digest, list[Descriptor]] = {}
            are_all_known = True
            for entry in entries:
                known = await self._look(entry)
                if known is not None:
                    found.setdefault(known[0], []).append(known[1])
                are_all_known = are_all_known and (entry.digest in self._known or not _may_refer(entry))
            if not are_all_known:  # what cannot be read may be whole another time
                return found
            self._sorted = entries, found
        return self._sorted[1]

    async def _look(self, entry: Descriptor) -> tuple[Digest, Descriptor] | None:
        if not _may_refer(entry):
            return None
        if entry.digest not in self._known:
            try:
                raw = await self._store.read(entry, limit=MAX_BYTES)
                document = parse_manifest(raw, entry.media_type)
            except (ContentMissing, ContentCorrupt, LimitExceeded, InputError, VerificationError):
                return None
            referring = Descriptor(
                entry.media_type,
                entry.digest,
                len(raw),
                document.annotations,
                artifact_type=document.artifact_type,
            )
            self._known[entry.digest] = None if document.subject is None else (document.subject.digest, referring)
        return self._known[entry.digest]


def _may_refer(entry: Descriptor) -> bool:
    return entry.media_type in _REFERRING and not is_list(entry)
