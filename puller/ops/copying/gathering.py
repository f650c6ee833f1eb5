"""Gathering: the one walk over the documents of an image, from the root down, each read once and verified."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from puller.contracts.content import Fetcher
from puller.contracts.images import Claims, ImageSource, ImageTarget
from puller.errors import ContentMissing, PullerError, Unsupported
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_NESTING
from puller.model.manifest import Index
from puller.ops.copying.choice import Choice, choose
from puller.ops.copying.document import Document, decoded, with_entries
from puller.ops.copying.reading import Bounds, read_near
from puller.ops.copying.tally import Metered, unmetered
from puller.ops.tasks import abreast

ABREAST = 4  # documents of one image that are read or put at once

# Which entries of an index are brought; the root is on level 0.
Choosing: TypeAlias = Callable[[Index, int], Choice]
# The error for an image of an index, or a blob, that neither side has: what, in which role, its digest.
Lacking: TypeAlias = Callable[[Literal["image", "blob"], str, Digest], PullerError]


def all_of(index: Index, level: int) -> Choice:
    """All entries that can be read."""
    return choose(index, ())


def lacking(what: Literal["image", "blob"], role: str, digest: Digest) -> PullerError:
    """The error of a copy."""
    subject = "an image of the index" if what == "image" else "a blob"
    hint = "Choose the platforms that are there: --platform." if what == "image" else ""
    return ContentMissing(f"{subject} is not at the source", where=role or None, digest=digest, hint=hint)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The documents of one image, each after those that it needs, so the root is last."""

    documents: tuple[Document, ...]

    @property
    def root(self) -> Document:
        """What the whole is named by."""
        return self.documents[-1]

    @property
    def blobs(self) -> dict[Digest, tuple[str, Descriptor]]:
        """What has to be there before the documents, each once; not of those that are there already."""
        found: dict[Digest, tuple[str, Descriptor]] = {}
        for document in self.documents:
            if not document.is_there:
                for role, blob in document.blobs:
                    found.setdefault(blob.digest, (role, blob))
        return found

    def rooted(self, root: Document) -> "Gathered":
        """The same under another root: a document of it, then without those around that; or a new one."""
        found = {document.digest: document for document in self.documents}
        return Gathered(ordered(found | {root.digest: root}, root))


@dataclass(slots=True)
class Gathering:
    """Reads documents at `source` for `target`. `partial`: what the source does not hold of an index is left out."""

    source: ImageSource
    target: ImageTarget
    claims: Claims
    warn: Callable[[str], None]
    took: Callable[[int], None] = unmetered
    took_near: Callable[[int], None] = unmetered
    partial: bool = False
    lacking: Lacking = lacking
    _fetcher: Fetcher = field(init=False)

    def __post_init__(self) -> None:
        self._fetcher = Metered(self.source, self.took)

    async def gather(self, root: Descriptor, choosing: Choosing = all_of, bounds: Bounds | None = None) -> Gathered:
        """`root`, and all documents that it needs of those that are chosen.

        Raises Unsupported beyond the bounds, ContentMissing where neither side has an image of an index, and any other
        PullerError.
        """
        bounds = bounds or Bounds()
        found: dict[Digest, Document] = {}
        waiting: dict[Digest, tuple[str, Descriptor]] = {root.digest: ("", root)}
        level = 0
        top = root.digest
        while waiting:
            if level > MAX_NESTING:
                raise Unsupported("index within index", wanted=f"at most {MAX_NESTING} deep", digest=root.digest)
            read = await self._read_all(waiting.values(), bounds)
            waiting = {}
            for digest, document in read.items():
                document = await self._chosen(document, choosing, level)
                found[digest] = document
                if level == 0:
                    top = digest
                for role, entry in document.entries:
                    if entry.digest not in found and entry.digest not in read:
                        waiting.setdefault(entry.digest, (role, entry))
            level += 1
        return Gathered(ordered(found, found[top]))

    async def config(self, wanted: Descriptor) -> bytes:
        """The config of an image, which is read before it is brought. Raises as `gather`."""
        return await self._read(wanted)

    async def _read_all(self, wanted: Iterable[tuple[str, Descriptor]], bounds: Bounds) -> dict[Digest, Document]:
        read: dict[Digest, Document] = {}

        async def one(wanted: tuple[str, Descriptor]) -> None:
            read[wanted[1].digest] = await self._document(*wanted, bounds)

        wanted = list(wanted)
        await abreast(wanted, one, width=min(ABREAST, len(wanted)))
        return {descriptor.digest: read[descriptor.digest] for _, descriptor in wanted}

    async def _document(self, role: str, wanted: Descriptor, bounds: Bounds) -> Document:
        try:
            async with self.claims.claim(wanted.digest) as held:
                is_there = held.is_at(self.target.place)
                near = None if held.fetcher is None else Metered(held.fetcher, self.took_near)
                raw = await read_near(held, near, self._fetcher, wanted)
            bounds.count(raw)
            return replace(decoded(role, wanted, raw), is_there=is_there)
        except PullerError as error:
            raise error.at(digest=wanted.digest, phase=role or "manifest") from error.__cause__

    async def _read(self, wanted: Descriptor) -> bytes:
        async with self.claims.claim(wanted.digest) as held:
            near = None if held.fetcher is None else Metered(held.fetcher, self.took_near)
            return await read_near(held, near, self._fetcher, wanted)

    async def _chosen(self, document: Document, choosing: Choosing, level: int) -> Document:
        index = document.manifest
        if not isinstance(index, Index):
            return document
        choice = choosing(index, level)
        for warning in choice.warnings:
            self.warn(warning)
        brought, absent = [], list(choice.absent)
        for entry in choice.brought:
            if await self.source.holds(entry):
                brought.append(entry)
            elif self.partial:
                absent.append(entry.digest)
            elif not await self.target.exists(entry):
                raise self.lacking("image", "" if entry.platform is None else str(entry.platform), entry.digest)
        return with_entries(document, brought, tuple(absent))


def ordered(found: Mapping[Digest, Document], root: Document) -> tuple[Document, ...]:
    """`root` and all below it, each after what it needs, otherwise as they stand in their indexes."""
    order: dict[Digest, Document] = {}
    waiting: list[tuple[Document, bool]] = [(root, False)]
    while waiting:
        document, is_done = waiting.pop()
        if is_done:
            order[document.digest] = document
        elif document.digest not in order:
            waiting.append((document, True))
            waiting += [(found[entry.digest], False) for _, entry in reversed(document.entries)]
    return tuple(order.values())
