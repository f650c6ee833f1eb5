"""OpenedLayout: an OCI image layout of whoever made it, to copy images from: nothing is written, no lock is taken.

Its names are plain tags, as skopeo, umoci and crane write them: `org.opencontainers.image.ref.name` (image-layout.md).
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio import CapacityLimiter

from puller.errors import ContentMissing, InputError, PullerError, StoreError, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.reference import Reference, is_tag
from puller.model.referrer import tag_of
from puller.model.text import printable
from puller.store import naming, whole
from puller.store.body import StoredBody
from puller.store.disk import RESERVE, WORKERS, DiskStore
from puller.store.files import Files
from puller.store.founding import check_mark
from puller.store.layout import OWN, Layout
from puller.store.locks import Sleep
from puller.store.refers import Refers, is_list
from puller.store.tags import Tags
from puller.store.worker import Worker

_AGAIN: Final = "Copy it into the directory again: what is whole there is not brought twice."
_STORE: Final = re.compile(r"\b([Tt])he store\b")
_TOLD = 8  # names in a hint


class OpenedLayout:
    """An ImageSource. Made by `open`; safe to use from many tasks."""

    def __init__(
        self, layout: Layout, files: Files, worker: Worker, *, reserve: int, durable: bool, sleep: Sleep
    ) -> None:
        self._layout = layout
        self._files = files
        self._worker = worker
        self._sleep = sleep
        # Without founding: whoever only reads has all of a store but its right to write.
        self._store = DiskStore(layout, files, worker, reserve=reserve, durable=durable, sleep=sleep)
        self._tags = Tags(files, layout, self._store.locks, worker, durable=durable)
        self._refers = Refers(self._store)
        self._signed: dict[Digest, Digest] = {}

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        files: Files | None = None,
        workers: CapacityLimiter | None = None,
        sleep: Sleep = anyio.sleep,
    ) -> "OpenedLayout":
        """The layout at `path`, an absolute one. Raises ContentMissing for none, StoreUnusable for another version."""
        files, worker = files or Files(), Worker(workers or CapacityLimiter(WORKERS))
        layout = Layout(path, OWN)
        if await worker.run(files.look, layout.mark) is None:
            hint = "It is a directory with oci-layout, index.json and blobs/ in it."
            raise ContentMissing("no OCI image layout there", where=layout.root, hint=hint)
        await check_mark(layout, files)
        return OpenedLayout(layout, files, worker, reserve=RESERVE, durable=True, sleep=sleep)

    @property
    def place(self) -> str:
        """`oci:/directory`."""
        return f"oci:{self._layout.root}"

    async def resolve(self, reference: Reference) -> Descriptor:
        """What the tag or the digest of `reference`, wherever it is of, stands for here; without either the only image.

        Raises ContentMissing, ContentCorrupt.
        """
        with self._in_own_words():
            if reference.digest is not None:
                return await self._pinned(reference.digest)
            return await self._named(reference.tag)

    async def find(self, name: str) -> Descriptor:
        """What is named so, be it a tag or not. Raises ContentMissing, ContentCorrupt."""
        with self._in_own_words():
            return await self._named(name)

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[StoredBody]:
        """Its bytes from `offset`, not verified. Raises ContentMissing, and ContentCorrupt by its size."""
        wanted = await self._stored(wanted)
        with self._in_own_words():
            async with self._store.fetch(wanted, offset=offset) as body:
                yield body

    async def holds(self, descriptor: Descriptor) -> bool:
        """Whether it is here, of the right size."""
        return await self._store.exists(await self._stored(descriptor))

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """What refers to `subject`: by the list under its fallback tag, and of what index.json lists; each once."""
        with self._in_own_words():
            held = await self._tags.named(tag_of(subject))
            return await self._refers.to(subject, held, await self._entries())

    async def tags(self) -> AsyncIterator[str]:
        """The names that are tags, in order."""
        with self._in_own_words():
            names = naming.by_name(await self._entries())
        for name in sorted(names):
            if is_tag(name):
                yield name

    async def named(self, tag: str) -> Digest | None:
        """What a tag names now, by the digest that registries give it; None: nothing."""
        with self._in_own_words():
            entry = await self._tags.named(tag)
            return None if entry is None else await self._called(entry)

    # --- inside ---

    async def _entries(self) -> tuple[Descriptor, ...]:
        return await self._tags.entries()

    async def _named(self, name: str | None) -> Descriptor:
        if name is not None and (found := await self._tags.named(name)) is not None:
            return found
        entries = await self._entries()
        known = naming.by_name(entries)
        if name is not None:
            raise ContentMissing("the directory has no such name", where=self.place, wanted=name, hint=_there(known))
        images = {entry.digest: entry for entry in entries if not is_list(entry)}
        if len(images) != 1:
            what = "which image is meant is not said, and there are several" if images else "the directory has no image"
            raise ContentMissing(what, where=self.place, hint=f"{_there(known)}{self._which(known)}")
        return next(iter(images.values()))

    def _which(self, known: dict[str, Descriptor]) -> str:
        names = [name for name in sorted(known) if is_tag(name) and not is_list(known[name])]
        return f". Say which, as in {self.place}:{names[0]}" if names else ""

    async def _pinned(self, digest: Digest) -> Descriptor:
        try:
            return await naming.pinned(self._store, await self._tags.about((), digest), digest)
        except ContentMissing:
            stored = await self._signed_as(digest)
            entry = next(iter(await self._tags.about((), stored)), None)
            if entry is None:
                raise
            return Descriptor(entry.media_type, digest, entry.size)

    async def _stored(self, descriptor: Descriptor) -> Descriptor:
        """The same by the digest of all its bytes; that of a manifest of schema 1 is of what was signed."""
        if descriptor.media_type not in SCHEMA1_MANIFESTS or await self._store.size(descriptor.digest) is not None:
            return descriptor
        stored = await self._signed_as(descriptor.digest)
        return descriptor if stored is None else Descriptor(descriptor.media_type, stored, descriptor.size)

    async def _signed_as(self, digest: Digest) -> Digest | None:
        for entry in await self._entries():
            if entry.media_type in SCHEMA1_MANIFESTS and await self._called(entry) == digest:
                return entry.digest
        return None

    async def _called(self, entry: Descriptor) -> Digest:
        if entry.media_type not in SCHEMA1_MANIFESTS:
            return entry.digest
        if entry.digest not in self._signed:
            from puller.legacy.schema1 import parse_signed_manifest  # seldom needed, and slow to load

            try:
                raw = await self._store.read(entry, limit=MAX_BYTES)
                self._signed[entry.digest] = parse_signed_manifest(raw).digest
            except (InputError, VerificationError, StoreError):
                return entry.digest
        return self._signed[entry.digest]

    @contextmanager
    def _in_own_words(self) -> Iterator[None]:
        """Say where it was, and what can be done about it here."""
        try:
            yield
        except PullerError as error:
            if isinstance(error, StoreError):
                error.where = error.where or self.place
                error.what = _of_directories(error.what)
                error.hint = _AGAIN if error.hint in (naming.REPAIR, whole.HINT) else _of_directories(error.hint)
            raise


def _of_directories(text: str) -> str:
    """What is said of a store, said of a directory that somebody keeps images in."""
    return _STORE.sub(r"\1he directory", text.replace(" for the store", ""))


def _there(names: dict[str, Descriptor]) -> str:
    told = [printable(name) for name in sorted(names) if not is_list(names[name])]
    if not told:
        return ""
    return f"There is: {', '.join(told[:_TOLD])}{' …' if len(told) > _TOLD else ''}"
