"""Layers of today's images that an image graph holds: put together again from its files, and not fetched.

What is put together goes through the gate of the store under the layer's diff ID, so it is right or it is nothing. The
blob as the registry has it is not here then: the manifest's facts say so, as of blobs that were given up.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from anyio import to_thread

from puller.contracts.content import Lease
from puller.errors import LimitExceeded, PullerError, StoreError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.model.facts import Facts
from puller.model.mediatype import OCI_LAYER
from puller.model.report import Check, Origin
from puller.ops.graphs.graph import Graph
from puller.ops.pulling.gate import Gate
from puller.ops.pulling.plan import Image, Step, layer_steps
from puller.ops.pulling.transfer import copy_blob
from puller.ops.pulling.watch import stop_when_cancelled
from puller.ops.unpacking.shelves import Shelves
from puller.ops.unpacking.stacking import layers_of
from puller.store.gc import free
from puller.stream.sink import Chunk, Digester

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """Where in the graph a layer can be had: by the digest of its blob, and by that of its uncompressed archive."""

    by_checksum: dict[str, str]
    by_diff_id: dict[str, str]


class GraphReuse:
    """The layers that one pull takes out of a graph. Made by `reusing`."""

    def __init__(self, gate: Gate, graph: Graph, shelves: Shelves | None, lease: Lease, *, thorough: bool) -> None:
        self._thorough = thorough
        self._gate = gate
        self._graph = graph
        self._shelves = shelves
        self._lease = lease
        self._known: _Known | None = None
        self._lacking: dict[Digest, list[Digest]] = {}
        self.taken: dict[Digest, Digest] = {}  # the archive that stands for a blob, by the blob

    async def substituted(self, manifest: Descriptor, image: Image) -> Image:
        """The image with layers of the graph in place of those blobs that are not in the store."""
        if image.config is None or await self._is_unpacked(image):
            return image
        layers = list(image.manifest.layers)
        for place, step in enumerate(layer_steps(image.manifest, image.config)):
            archive = await self._taken(step)
            if archive is not None and archive.digest != step.descriptor.digest:
                layers[place] = archive
                self._lacking.setdefault(manifest.digest, []).append(step.descriptor.digest)
        return Image(replace(image.manifest, layers=tuple(layers)), image.config)

    def has(self, step: Step) -> bool:
        """Whether the blob of this step was taken from the graph."""
        return step.descriptor.digest in self.taken.values()

    async def record_lacking(self) -> None:
        """Have the manifests' facts say which blobs are not here."""
        for manifest, blobs in self._lacking.items():
            await self._gate.store.prove(manifest, Facts(discarded=tuple(dict.fromkeys(blobs))))

    async def _is_unpacked(self, image: Image) -> bool:
        try:
            return self._shelves is not None and await self._shelves.holder(layers_of(image)) is not None
        except PullerError:
            return True  # what cannot be unpacked has no use for layers without blobs

    async def _taken(self, step: Step) -> Descriptor | None:
        """The uncompressed archive of a layer, in the store now; None where the graph has it not."""
        store, blob, diff_id = self._gate.store, step.descriptor, step.diff_id
        if diff_id is None or not step.is_layer or await store.exists(blob):
            return None
        if self._shelves is None and diff_id != blob.digest:
            return None  # without unpacking it is the blob that is wanted
        known = await self._look()
        image_id = known.by_checksum.get(str(blob.digest)) or known.by_diff_id.get(str(diff_id))
        if image_id is None:
            return None
        started = self._gate.ledger.now()
        archive = Descriptor(OCI_LAYER, diff_id)
        if blob.digest in self.taken:  # another platform's layer too
            return archive
        await self._lease.hold([diff_id])
        try:
            await copy_blob(_LayerTar(self._graph, image_id), store, archive, report=unheard)
        except PullerError as error:
            logger.debug("not reused from graph %s: %s", image_id, error)
            return None
        checks = (
            Check("digest", str(blob.digest), None, None, note=f"reused from graph {image_id}"),
            Check("diff_id", str(diff_id), str(diff_id), passed=True),
        )
        self._gate.ledger.add(step, None, checks, started, graph=image_id)
        self.taken[blob.digest] = diff_id
        return archive

    async def _look(self) -> _Known:
        if self._known is None:
            self._known = await self._graph.run(self._read)
        return self._known

    def _read(self) -> _Known:
        images = self._graph.images
        known = _Known({}, {})
        for image_id in images.ids():
            try:
                checksum, diff_id = images.get(image_id).checksum, images.driver.diff_id(image_id)
                if diff_id is None and self._thorough and images.is_exact(image_id):
                    diff_id = _digest_of(images.layer_tar(image_id))
            except PullerError as error:
                logger.debug("passed over in the graph: %s: %s", image_id, error)
                continue
            if checksum:
                known.by_checksum.setdefault(checksum, image_id)
            if diff_id is not None:
                known.by_diff_id.setdefault(str(diff_id), image_id)
        return known


@asynccontextmanager
async def reusing(gate: Gate, graph: Graph, shelves: Shelves | None, *, thorough: bool) -> AsyncIterator[GraphReuse]:
    """For one pull. What was put together only to be unpacked is freed at the end.

    `thorough`: layers of which nobody knows what they are uncompressed, for Docker put them there, are read and hashed.
    """
    async with graph.store.lease() as lease:
        reuse = GraphReuse(gate, graph, shelves, lease, thorough=thorough)
        yield reuse
    archives = [archive for blob, archive in reuse.taken.items() if archive != blob]
    try:
        await free(graph.store, archives)
    except (StoreError, LimitExceeded) as error:  # of other images, perhaps; a collector will find them
        logger.debug("left to a collector: %s", error)


def _digest_of(chunks: Iterator[bytes]) -> Digest:
    digester = Digester()
    for chunk in chunks:
        stop_when_cancelled()
        digester.write(chunk)
    return digester.digest


class _LayerTar:
    """A Fetcher of the layer of one image of a graph, uncompressed."""

    def __init__(self, graph: Graph, image_id: str) -> None:
        self._graph = graph
        self._image_id = image_id

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator["_TarBody"]:
        chunks = self._graph.images.layer_tar(self._image_id)
        yield _TarBody(chunks, offset, Origin(f"graph {self._image_id}"))


class _TarBody:
    def __init__(self, chunks: Iterator[bytes], skip: int, origin: Origin) -> None:
        self._chunks = chunks
        self._skip = skip
        self.origin = origin

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        while chunk := await to_thread.run_sync(next, self._chunks, b""):
            kept = chunk[self._skip :]
            self._skip -= len(chunk) - len(kept)
            if kept:
                yield kept
