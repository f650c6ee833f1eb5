"""OciArchiveTarget: an OCI image layout in one file (image-spec image-layout.md), written while its blobs come.

Nothing is stored on the way: a blob goes straight into the archive, and is cut off again where it comes to nothing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from puller.archive.growing import GrowingArchive
from puller.archive.item import Directory, File
from puller.archive.ociform import MARK, index_of
from puller.contracts.content import Ingest
from puller.errors import ContentUnknown, InvalidReference
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.mediatype import DOCUMENTS, OCI_INDEX, is_foreign
from puller.model.reference import Reference, is_tag
from puller.model.referrer import entry_of, tag_of, with_referrer
from puller.ops.copying.archivetarget import ArchiveTarget, DocumentIngest, Member, checked_document
from puller.stream.sink import Chunk, Sink


class OciArchiveTarget(ArchiveTarget):
    """An ImageTarget and Housekeeper. `repository` is what its tags are called in full; None: they are tags alone."""

    def __init__(self, place: str, archive: GrowingArchive, repository: Reference | None = None) -> None:
        super().__init__(place, archive)
        self._repository = repository
        self._folders: set[str] = set()
        self._names: dict[str, Descriptor] = {}
        self._documents: dict[Digest, tuple[Descriptor, frozenset[Digest]]] = {}  # with the digests each names
        self._kept: set[Digest] = set()
        self._left_out: dict[Digest, frozenset[Digest]] = {}
        self._referrers: dict[Digest, list[dict[str, Any]]] = {}  # by subject
        self._lists: dict[str, bytes] = {}  # indexes that were put under fallback tags

    @property
    def is_empty(self) -> bool:
        """Whether no image was put."""
        return not self._documents

    @asynccontextmanager
    async def ingest(self, expected: Descriptor, *watchers: Sink) -> AsyncIterator[Ingest | None]:
        """See Target. One at a time: others wait until the block is left."""
        if expected.media_type in DOCUMENTS:
            yield None if self._has(expected) else DocumentIngest(expected, watchers, self.put_manifest)
            return
        async with self._written(expected, watchers, lambda: self._begun(expected)) as ingest:
            yield ingest

    async def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Name it in full. Raises ContentUnknown where it is not here."""
        self._name(str(reference.tagged()), descriptor)

    async def leave_out(self, document: Descriptor, absent: Sequence[Digest]) -> None:
        """See Housekeeper."""
        self._left_out[document.digest] = frozenset(absent)

    async def keep(self, descriptor: Descriptor) -> None:
        """See Housekeeper."""
        self._check_here(descriptor)
        self._kept.add(descriptor.digest)

    async def named(self, tag: str) -> Digest | None:
        """What a name was given to."""
        return self._names[tag].digest if tag in self._names else None

    async def put_manifest(self, raw: bytes, descriptor: Descriptor, name: str) -> None:
        """See ImageTarget. `name`: a tag, a whole name, or its digest. Raises VerificationError, ContentUnknown,
        Unsupported for schema 1, StoreError.
        """
        document = checked_document(raw, descriptor)
        stored = Descriptor(document.media_type, descriptor.digest, len(raw))
        self._check_children(document, stored)
        if not self._has(stored):
            await self._run(self._add, stored.digest, raw)
            self._sizes[stored.digest] = len(raw)
        self._documents[stored.digest] = stored, frozenset(child.digest for child in document.children)
        if document.subject is not None:
            self._refer(document.subject.digest, entry_of(document, stored))
        if name != str(stored.digest):
            self._name(name, stored)
            if isinstance(document, Index) and document.media_type == OCI_INDEX:
                self._lists[name] = raw

    def finish(self) -> None:
        """Write what stands at the end. Blocking; nothing may be brought any more."""
        for subject, entries in self._referrers.items():
            self._list(tag_of(subject), entries)
        below: set[Digest] = set().union(*(children for _, children in self._documents.values()))
        named = {descriptor.digest for descriptor in self._names.values()}
        bare = [
            descriptor
            for digest, (descriptor, _) in self._documents.items()
            if digest not in named and (digest in self._kept or digest not in below)
        ]
        listed = [*self._names.items(), *(("", descriptor) for descriptor in bare)]
        index = index_of((name, self._full(name), descriptor) for name, descriptor in listed)
        self._archive.add(File("index.json", index))
        self._archive.add(File("oci-layout", MARK))
        self._archive.finish()

    # --- inside ---

    def _begun(self, expected: Descriptor) -> Member:
        self._make_folder(expected.digest)
        return _Blob(self._archive, expected)

    def _add(self, digest: Digest, raw: bytes) -> None:
        self._make_folder(digest)
        self._archive.add(File(_path(digest), raw))

    def _make_folder(self, digest: Digest) -> None:
        for name in ("blobs", f"blobs/{digest.algorithm}"):
            if name not in self._folders:
                self._archive.add(Directory(name))
                self._folders.add(name)

    def _check_children(self, document: Manifest | Index, descriptor: Descriptor) -> None:
        left_out = self._left_out.get(descriptor.digest, frozenset())
        for child in document.children:
            elsewhere = is_foreign(child.media_type) and child.urls
            if not self._has(child) and child.digest not in left_out and not elsewhere:
                what = "the manifest names what the archive does not hold"
                raise ContentUnknown(what, where=self._place, got=child.digest, digest=descriptor.digest)

    def _check_here(self, descriptor: Descriptor) -> None:
        if descriptor.digest not in self._documents:
            raise ContentUnknown("only what is there can be named", where=self._place, digest=descriptor.digest)

    def _name(self, name: str, descriptor: Descriptor) -> None:
        if not is_tag(name):
            name = str(Reference.parse(name).tagged())
        self._check_here(descriptor)
        self._names[name] = self._documents[descriptor.digest][0]

    def _full(self, name: str) -> str:
        """A name in full, where that is known."""
        if name and not is_tag(name):
            return name
        return "" if not name or self._repository is None else str(self._repository.with_tag(name))

    def _refer(self, subject: Digest, entry: dict[str, Any]) -> None:
        known = self._referrers.setdefault(subject, [])
        if all(one["digest"] != entry["digest"] for one in known):
            known.append(entry)

    def _list(self, tag: str, entries: Sequence[dict[str, Any]]) -> None:
        """Have all of `entries` in the list under a fallback tag, whether somebody put one or not."""
        raw = self._lists.get(tag)
        if tag in self._names and raw is None:
            raise InvalidReference("the tag of a list of referrers is in use for something else", got=tag)
        changed = raw
        for entry in sorted(entries, key=lambda entry: str(entry["digest"])):
            changed = with_referrer(changed, entry) or changed
        if changed is None or changed == raw:
            return
        listed = Descriptor(OCI_INDEX, Digest.of(changed), len(changed))
        if listed.digest not in self._sizes:
            self._add(listed.digest, changed)
            self._sizes[listed.digest] = len(changed)
        children = frozenset(child.digest for child in parse_manifest(changed, OCI_INDEX).children)
        self._documents[listed.digest] = listed, children
        earlier = self._names.get(tag)
        self._names[tag] = listed
        if earlier is not None and earlier not in self._names.values():
            self._documents.pop(earlier.digest)


class _Blob:
    """A blob on its way into the archive."""

    def __init__(self, archive: GrowingArchive, expected: Descriptor) -> None:
        self._archive = archive
        self._digest = expected.digest
        archive.begin(expected.size, name=_path(expected.digest))

    def write(self, chunk: Chunk, /) -> None:
        self._archive.append(chunk)

    def finish(self) -> None:
        self._archive.end(_path(self._digest))


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"
