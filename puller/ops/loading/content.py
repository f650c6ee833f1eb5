"""The part of a load that stores content images: blobs that the archive has proved, verified again on their way."""

from collections.abc import Sequence

from anyio import CancelScope, from_thread

from puller.archive.content import ContentImage, Piece, pour
from puller.archive.opened import Archive
from puller.contracts.content import ContentStore, Ingest, Lease
from puller.errors import ContentCorrupt, ContentMissing, PullerError
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.ops.graphs.graph import Graph
from puller.ops.loading.news import Hear, Stored, Teller
from puller.ops.pulling.watch import stop_when_cancelled
from puller.store.gc import free
from puller.store.part import remove_ingest
from puller.stream.sink import Chunk, Sink

MENDS = 2  # how often what is found damaged in the store is written anew


class ContentLoading:
    """Stores the images of a plan; `lease` keeps their blobs until they have names."""

    def __init__(self, graph: Graph, archive: Archive, hear: Hear) -> None:
        self._graph = graph
        self._store: ContentStore = graph.store
        self._archive = archive
        self._hear = hear
        self._new: list[Digest] = []
        self._begun: list[Digest] = []

    async def run(self, images: Sequence[ContentImage], lease: Lease) -> None:
        """All blobs of all images, those that others name before these."""
        for image in images:
            await lease.hold([piece.descriptor.digest for piece in image.pieces])
            for piece in image.pieces:
                try:
                    await self._bring(piece)
                except PullerError as error:
                    raise error.at(digest=piece.descriptor.digest) from error.__cause__
            for index, absent in image.absent:
                await self._store.prove(index, Facts(absent=absent))

    async def undo(self) -> None:
        """Free what this load has stored, but for what others need by now. The lease has ended.

        A part is kept for nobody: what was not fetched is no loss.
        """
        store = self._graph.store
        with CancelScope(shield=True):
            for digest in self._begun:
                async with store.locks.held(store.layout.lock(digest)):
                    await store.worker.run(remove_ingest, store.files, store.layout, digest)
            await free(store, self._new)

    async def _bring(self, piece: Piece) -> None:
        for _ in range(MENDS):
            if await self._written(piece):
                await self._store.prove(piece.descriptor.digest, piece.facts)
                self._hear(Stored(piece.descriptor.digest, is_new=True))
                return
            try:
                await self._check(piece)
            except (ContentCorrupt, ContentMissing):  # missing: another process has just thrown the damaged one away
                await self._store.discard_damaged(piece.descriptor.digest)
            else:
                self._hear(Stored(piece.descriptor.digest, is_new=False))
                return
        raise ContentCorrupt("the store damages this blob again and again", digest=piece.descriptor.digest)

    async def _check(self, piece: Piece) -> None:
        """Of a blob that was here before: read again unless it was once hashed by us."""
        digest = piece.descriptor.digest
        if not (await self._store.facts(digest)).verified:
            await self._store.watch(piece.descriptor)
        await self._store.prove(digest, piece.facts)

    async def _written(self, piece: Piece) -> bool:
        """Whether it was not here and now is."""
        async with self._store.ingest(piece.descriptor) as ingest:
            if ingest is None:
                return False
            self._new.append(piece.descriptor.digest)
            told = Teller(self._hear, piece.descriptor.digest.short, piece.descriptor.size)
            offset = ingest.offset
            if not offset:  # else there is what a pull has left to be gone on with
                self._begun.append(piece.descriptor.digest)
            if offset == 0 or offset != piece.descriptor.size:
                await self._graph.run(self._pour, piece, ingest, told, offset)
            await ingest.commit()
        return True

    def _pour(self, piece: Piece, ingest: Ingest, told: Teller, offset: int) -> None:
        pour(self._archive, piece, _Into(ingest, told), offset=offset, pulse=stop_when_cancelled)


class _Into(Sink):
    """Writes into an ingest from a worker thread."""

    def __init__(self, ingest: Ingest, told: Teller) -> None:
        self._ingest = ingest
        self._told = told

    def write(self, chunk: Chunk, /) -> None:
        from_thread.run(self._ingest.write, chunk)
        self._told(self._ingest.offset)

    def finish(self) -> None:
        pass
