"""Remains: what is left of an image whose tag a run took away, as a source to copy it from again."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from puller.contracts.content import Body, Fetcher
from puller.contracts.images import ImageSource, ImageTarget
from puller.errors import ContentMissing
from puller.mirror.known import Tombstone
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import DOCUMENTS
from puller.model.reference import Reference
from puller.model.report import Origin
from puller.ops.copying.tally import Metered
from puller.ops.syncing.places import Places
from puller.stream.sink import Chunk


class Remains:
    """An ImageSource: the manifest from the tombstone, those below it from where it was, all else from where it came.

    The source that it came from is opened when something is missing, and not before.
    """

    def __init__(self, tombstone: Tombstone, target: ImageTarget, places: Places) -> None:
        self._tombstone = tombstone
        self._root = Digest.parse(tombstone.root)
        self._target = target
        self._places = places
        self.fetched = 0  # bytes that came from where it had come from

    @property
    def place(self) -> str:
        """What it is called; no place that could be asked for anything else."""
        return f"what {self._tombstone.run} took away"

    async def resolve(self, reference: Reference) -> Descriptor:
        """The image itself, whatever it is called."""
        return self.root

    @property
    def root(self) -> Descriptor:
        """The image itself."""
        return Descriptor(self._tombstone.media_type, self._root, len(self._tombstone.raw))

    async def holds(self, descriptor: Descriptor) -> bool:
        """Whether it is worth fetching."""
        return descriptor.digest == self._root or bool(self._tombstone.source) or await self._is_there(descriptor)

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        """See Fetcher. Raises ContentMissing where nobody has it who is known."""
        if wanted.digest == self._root:
            yield _Raw(self._tombstone.raw[offset:])
            return
        if await self._is_there(wanted):
            source: Fetcher = await self._places.source(self._tombstone.target)
        else:
            source = Metered(await self._origin(wanted), self._took)
        async with source.fetch(wanted, offset=offset) as body:
            yield body

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """None: they have not been taken away."""
        return ()

    async def tags(self) -> AsyncIterator[str]:
        """The one that was taken away."""
        yield self._tombstone.name

    async def _origin(self, wanted: Descriptor) -> ImageSource:
        if not self._tombstone.source:
            what = "it is gone from there, and it is not known where it came from"
            raise ContentMissing(what, where=self._tombstone.target, digest=wanted.digest)
        return await self._places.source(self._tombstone.source)

    def _took(self, size: int) -> None:
        self.fetched += size

    async def _is_there(self, wanted: Descriptor) -> bool:
        # Blobs are only asked for when the target has been found not to have them.
        return wanted.media_type in DOCUMENTS and await self._target.exists(wanted)


class _Raw:
    """A body of one chunk."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.origin = Origin("tombstone")

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        yield self._raw
