"""StoredImages: one repository of a content store as a place that images are copied from and to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from puller.contracts.content import Body, ContentStore, Ingest, Lease
from puller.errors import ContentMissing, ContentUnknown, DigestMismatch, InputError, InvalidReference
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.facts import Facts
from puller.model.manifest import Index, parse_manifest
from puller.model.mediatype import OCI_INDEX, SCHEMA1_MANIFESTS, is_index
from puller.model.reference import Reference
from puller.model.referrer import entry_of, tag_of, with_referrer
from puller.store.whole import has_all
from puller.stream.sink import Sink


class StoredImages:
    """An ImageSource, ImageTarget and TagKeeper: the names of `store` in `repository`; `place` is what reports call it.

    `lease` holds what is brought until something names it, and what is read while it is; without one a collector that
    runs at the same time may take it. What refers to others is listed under tags of the same repository, as by
    registries without an API for that; so it stays as long as that tag does.
    """

    def __init__(self, store: ContentStore, repository: Reference, place: str, *, lease: Lease | None = None) -> None:
        self._store = store
        self._repository = replace(repository, tag=None, digest=None)
        self._place = place
        self._lease = lease
        self._absent: dict[Digest, tuple[Digest, ...]] = {}
        self._unlisted: dict[Digest, list[dict[str, Any]]] = {}  # by subject: what is to be listed

    @property
    def place(self) -> str:
        """What it is called in reports."""
        return self._place

    # --- as a source -----------------------------------------------------------------------------------------------

    async def resolve(self, reference: Reference) -> Descriptor:
        """What `reference`, of this repository, names now. Raises ContentMissing, InvalidReference."""
        if reference.name != self._repository.name:
            raise InvalidReference("reference of another repository", wanted=self._repository.name, got=reference.name)
        return await self._store.resolve(reference)

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        """The bytes of `wanted` from `offset`, not verified. Raises ContentMissing, ContentCorrupt."""
        await self._hold(wanted.digest)
        async with self._store.fetch(wanted, offset=offset) as body:
            yield body

    async def holds(self, descriptor: Descriptor) -> bool:
        """Whether the store has it: of an index perhaps only some images."""
        await self._hold(descriptor.digest)
        return await self._store.exists(descriptor)

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """What the list of `subject` says, each once. Raises ContentCorrupt; InvalidManifest for what is no list."""
        held = await self._list_of(subject)
        if held is None:
            return ()
        index = parse_manifest(held, OCI_INDEX)
        assert isinstance(index, Index)
        return tuple({entry.digest: entry for entry in index.manifests}.values())

    async def tags(self) -> AsyncIterator[str]:
        """The names of all tags, in order."""
        for name in sorted(await self._store.tags()):
            tag = self._tag_in(name)
            if tag is not None:
                yield tag

    # --- as a target -----------------------------------------------------------------------------------------------

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether it is here whole."""
        return await self.holds(descriptor)

    async def has_all(self, descriptor: Descriptor) -> bool:
        """Whether it is here whole, of an index all images, also those that were left out by choice."""
        await self._hold(descriptor.digest)
        return await has_all(self._store, descriptor)

    @asynccontextmanager
    async def ingest(self, expected: Descriptor, *watchers: Sink) -> AsyncIterator[Ingest | None]:
        """Open an ingest into the store; None: it is here already."""
        await self._hold(expected.digest)
        async with self._store.ingest(expected, *watchers) as ingest:
            yield ingest

    async def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Name it. Raises ContentMissing where what it needs is not all here."""
        await self._store.tag(reference, descriptor)

    def may_go_on(self, digest: Digest) -> bool:
        """Never: an interrupted ingest is taken up by the next one."""
        return False

    def was_mounted(self, digest: Digest) -> bool:
        """Never: a store has every blob once, whatever names need it."""
        return False

    async def prove(self, digest: Digest, facts: Facts) -> None:
        """Keep what was proved of a blob."""
        await self._store.prove(digest, facts)

    async def leave_out(self, document: Descriptor, absent: Sequence[Digest]) -> None:
        """Of an index or manifest that is about to be put: what it names and was not brought, by choice."""
        self._absent[document.digest] = tuple(absent)

    async def put_manifest(self, raw: bytes, descriptor: Descriptor, name: str) -> None:
        """Put a manifest or index under `name`, a tag or its digest.

        What refers to another is listed with the next thing that gets a name, or is kept. Raises ContentUnknown where a
        tag would name what is not whole, and VerificationError, StoreError.
        """
        stored = _as_stored(raw, descriptor)
        await self._put(raw, stored)
        self._note_subject(raw, stored)
        if name != str(descriptor.digest):
            await self._name(self._repository.with_tag(name), stored)

    async def keep(self, descriptor: Descriptor) -> None:
        """Have it stay under its digest. Raises ContentUnknown where it is not whole, StoreError."""
        await self._name(self._repository.with_digest(descriptor.digest), descriptor)

    async def named(self, tag: str) -> Digest | None:
        """What a tag names now, by the digest that a registry gives it; None: nothing."""
        try:
            found = await self._store.resolve(self._repository.with_tag(tag))
            if found.media_type not in SCHEMA1_MANIFESTS:
                return found.digest
            from puller.legacy.schema1 import parse_signed_manifest  # seldom needed, and slow to load

            return parse_signed_manifest(await self._store.read(found, limit=MAX_BYTES)).digest
        except ContentMissing:
            return None

    async def untag(self, tag: str, expected: Digest) -> None:
        """Take the tag away; the content stays until it is collected. Raises DigestMismatch where it names other."""
        async with self._store.locked("image-naming"):
            found = await self.named(tag)
            if found is None:
                return
            if found != expected:
                raise DigestMismatch("the tag names something else by now", where=tag, wanted=expected, got=found)
            await self._store.untag(self._repository.with_tag(tag))

    # --- inside ----------------------------------------------------------------------------------------------------

    async def _hold(self, digest: Digest) -> None:
        if self._lease is not None:
            await self._lease.hold([digest])

    async def _put(self, raw: bytes, descriptor: Descriptor) -> None:
        async with self.ingest(descriptor) as ingest:
            if ingest is not None:
                await ingest.write(memoryview(raw)[ingest.offset :])
                await ingest.commit()
        absent = self._absent.pop(descriptor.digest, None)
        if absent is not None:
            facts = Facts(absent=absent) if is_index(descriptor.media_type) else Facts(discarded=absent)
            await self._store.prove(descriptor.digest, facts)

    async def _name(self, reference: Reference, descriptor: Descriptor) -> None:
        await self._list()
        await self._tag(reference, descriptor)

    async def _tag(self, reference: Reference, descriptor: Descriptor) -> None:
        try:
            await self._store.tag(reference, descriptor)
        except ContentMissing as error:
            what = f"what the name needs is not all there: {error.what}"
            raise ContentUnknown(what, digest=error.digest, reference=reference) from error

    def _note_subject(self, raw: bytes, descriptor: Descriptor) -> None:
        if descriptor.media_type not in SCHEMA1_MANIFESTS:
            document = parse_manifest(raw, descriptor.media_type)
            if document.subject is not None:
                self._unlisted.setdefault(document.subject.digest, []).append(entry_of(document, descriptor))

    async def _list(self) -> None:
        """Put what refers to others into the lists of those."""
        for subject in list(self._unlisted):
            async with self._store.locked("image-referrers"):
                entries = list(self._unlisted.get(subject, ()))
                changed = with_referrer(await self._list_of(subject), *entries)
                if changed is not None:
                    listed = parse_manifest(changed, OCI_INDEX).children
                    index = Descriptor(OCI_INDEX, Digest.of(changed), len(changed))
                    await self.leave_out(index, [entry.digest for entry in listed if not await self.holds(entry)])
                    await self._put(changed, index)
                    await self._tag(self._repository.with_tag(tag_of(subject)), index)
                later = self._unlisted.pop(subject, entries)[len(entries) :]
                if later:
                    self._unlisted[subject] = later

    async def _list_of(self, subject: Digest) -> bytes | None:
        try:
            found = await self._store.resolve(self._repository.with_tag(tag_of(subject)))
            await self._hold(found.digest)
            return await self._store.read(found, limit=MAX_BYTES)
        except ContentMissing:
            return None

    def _tag_in(self, name: str) -> str | None:
        try:
            reference = Reference.parse(name)
        except InputError:  # another tool's, which no registry would take
            return None
        return reference.tag if reference.name == self._repository.name and reference.digest is None else None


def _as_stored(raw: bytes, descriptor: Descriptor) -> Descriptor:
    """By the digest of all its bytes: what registries call a manifest of schema 1 is that of its signed part."""
    if descriptor.media_type not in SCHEMA1_MANIFESTS:
        return replace(descriptor, size=len(raw))
    from puller.legacy.schema1 import parse_signed_manifest  # seldom needed, and slow to load

    parse_signed_manifest(raw, expected=descriptor.digest if descriptor.digest != Digest.of(raw) else None)
    return Descriptor(descriptor.media_type, Digest.of(raw), len(raw))
