"""Listing: index.json taken apart once, its entries as they were written, found by name and by digest.

An entry is decoded when somebody asks for it, and written out once; so one name more among thousands costs no more
than to copy the tables and to join the texts.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, Self, TypeAlias

from puller.errors import ContentMissing, DigestMismatch, InvalidManifest
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import list_of, load_document
from puller.store.naming import REF_NAME

logger = logging.getLogger(__name__)

LIMIT = 64 << 20

Document: TypeAlias = dict[str, Any]
_Table: TypeAlias = dict[str, tuple[int, ...]]  # to the numbers of rows, lowest first


class _Row:
    """One entry. `position` is where it stood when it was read."""

    __slots__ = ("_descriptor", "_is_decoded", "document", "position")

    def __init__(self, document: Document, position: int) -> None:
        self.document = document
        self.position = position
        self._descriptor: Descriptor | None = None
        self._is_decoded = False

    @property
    def descriptor(self) -> Descriptor | None:
        """None where it cannot be read, which is told in the log and harms no other."""
        if not self._is_decoded:
            try:
                self._descriptor = Descriptor.decode(self.document, what=f"index.json manifests[{self.position}]")
            except InvalidManifest as error:
                logger.warning("an entry of the store's index is passed over: %s", error)
            self._is_decoded = True
        return self._descriptor

    @property
    def name(self) -> object:
        annotations = self.document.get("annotations")
        return annotations.get(REF_NAME) if isinstance(annotations, dict) else None


class Listing:
    """The entries of one index.json. Whoever changes it has a `copy` to himself."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._rows: dict[int, _Row] = {}
        self._texts: dict[int, bytes] | None = None  # of the rows; most files are read and never written
        self._names: _Table = {}
        self._digests: _Table = {}
        self._next = 0
        self._decoded: tuple[tuple[Descriptor, ...], tuple[Document, ...]] | None = None

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read an index strictly, its entries as they are. Raises InvalidManifest."""
        document = load_document(raw, what="index.json", limit=LIMIT)
        if document.get("schemaVersion") != 2 or isinstance(document.get("schemaVersion"), bool):
            raise InvalidManifest("index.json: schemaVersion must be 2", got=repr(document.get("schemaVersion"))[:40])
        entries = list_of(document, "manifests", what="index.json", default=True)
        if not all(isinstance(entry, dict) for entry in entries):
            raise InvalidManifest("index.json: manifests must hold objects only")
        listing = cls(document | {"manifests": []})
        for entry in entries:
            listing._append(entry)
        return listing

    def copy(self) -> Self:
        """The same, to be changed."""
        other = type(self)(self._document)
        other._texts = self._written().copy()
        other._rows, other._next = self._rows.copy(), self._next
        other._names, other._digests = self._names.copy(), self._digests.copy()
        return other

    def encode(self) -> bytes:
        """The file: what others wrote stays as it was."""
        pieces: list[bytes] = []
        for key, value in self._document.items():
            pieces += b"," if pieces else b"{", _json(key), b":"
            pieces += (b"[", b",".join(self._written().values()), b"]") if key == "manifests" else (_json(value),)
        return b"".join((*pieces, b"}"))

    # --- what is there ---

    def all(self) -> tuple[tuple[Descriptor, ...], tuple[Document, ...]]:
        """Every entry that can be read, nameless ones included; and those that cannot, as they are."""
        if self._decoded is None:
            rows = [(row, row.descriptor) for row in self._rows.values()]
            read = tuple(descriptor for _, descriptor in rows if descriptor is not None)
            self._decoded = read, tuple(row.document for row, descriptor in rows if descriptor is None)
        return self._decoded

    def about(self, names: Sequence[str], digest: Digest | None = None) -> tuple[Descriptor, ...]:
        """The entries that can be read and have one of `names`, or `digest`; in their order."""
        numbers = {number for name in names for number in self._names.get(name, ())}
        if digest is not None:
            numbers.update(self._digests.get(str(digest), ()))
        found = (self._rows[number].descriptor for number in sorted(numbers))
        return tuple(descriptor for descriptor in found if descriptor is not None)

    def named(self, name: str) -> Descriptor | None:
        """What has this name: of several the first, since image-layout.md leaves it open."""
        return next(iter(self.about([name])), None)

    # --- changes: each says whether there was something to change ---

    def put(self, entry: Descriptor) -> bool:
        """Add `entry`, which bears its name, in the place of all others of that name."""
        document = entry.encode()
        self._remove(entry.annotations[REF_NAME])
        self._append(document)
        return True

    def list(self, entry: Descriptor) -> bool:
        """Add `entry`, which bears no name, unless its content is listed already."""
        if self.about((), entry.digest):
            return False
        self._append(entry.encode())
        return True

    def take(self, names: Sequence[str]) -> Descriptor:
        """Remove the first of `names` that is there; what it named. Raises ContentMissing."""
        for name in names:
            found = self.named(name)
            if found is not None:
                self._remove(name)
                return found
        raise ContentMissing("the store has no such name", reference=names[0])

    def drop(self, name: str, expected: Digest) -> bool:
        """Remove `name` and nothing else. Raises DigestMismatch where it stands for other content."""
        known = self.named(name)
        if known is None:
            return False
        if known.digest != expected:
            what = "the name stands for something else by now"
            raise DigestMismatch(what, where=name, wanted=expected, got=known.digest)
        self._remove(name)
        return True

    # --- inside ---

    def _written(self) -> dict[int, bytes]:
        if self._texts is None:
            self._texts = {number: _json(row.document) for number, row in self._rows.items()}
        return self._texts

    def _append(self, document: Document) -> None:
        number, self._next, self._decoded = self._next, self._next + 1, None
        row = self._rows[number] = _Row(document, len(self._rows))
        if self._texts is not None:
            self._texts[number] = _json(document)
        for table, key in ((self._names, row.name), (self._digests, document.get("digest"))):
            if isinstance(key, str):
                table[key] = (*table.get(key, ()), number)

    def _remove(self, name: str) -> None:
        for number in self._names.pop(name, ()):
            if self._texts is not None:
                del self._texts[number]
            digest = self._rows.pop(number).document.get("digest")
            if isinstance(digest, str):
                self._digests[digest] = tuple(one for one in self._digests[digest] if one != number)
        self._decoded = None


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
