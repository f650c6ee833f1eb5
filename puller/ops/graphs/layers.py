"""graphlayers: the layers of graph images as streams: sizes and diff IDs first, the bytes when they are asked for."""

from puller.archive.item import Stream
from puller.contracts.graph import GraphImage
from puller.errors import ContentCorrupt, InvalidDigest
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.ops.graphs.graph import Graph
from puller.ops.pulling.watch import stop_when_cancelled
from puller.stream.sink import Digester, Sink


def blob_of(image: GraphImage) -> Digest | None:
    """The digest of the blob that an image came in, where its graph says one that is a digest of today."""
    try:
        return Digest.parse(image.checksum or "")
    except InvalidDigest:
        return None


class GraphLayers:
    """Each layer is measured once: by what was proved of its blob where that is known, else by reading all of it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, Stream] = {}

    async def stream(self, image: GraphImage) -> Stream:
        """The uncompressed layer of an image. What is fed later must be the same bytes, or the archive is refused."""
        known = self._known.get(image.image_id)
        if known is None:
            size, digest = await self._measured(image)
            known = self._known[image.image_id] = Stream(size, digest, self._feed(image.image_id))
        return known

    async def _measured(self, image: GraphImage) -> tuple[int, Digest]:
        graph = self._graph
        facts = await self._facts(image)
        size, diff_id = facts.unpacked_size, facts.diff_id
        exact = await graph.run(graph.images.is_exact, image.image_id)
        if exact and size is not None and diff_id is not None and diff_id.algorithm == "sha256":
            return size, diff_id
        digester = Digester()
        await graph.run(self._pour, image.image_id, digester)
        return digester.size, digester.digest

    async def _facts(self, image: GraphImage) -> Facts:
        """What is known of the blob it came in."""
        digest = blob_of(image)
        facts = Facts() if digest is None else await self._graph.store.facts(digest)
        return facts if facts.verified else Facts()

    def _feed(self, image_id: str) -> "_Feed":
        return _Feed(self, image_id)

    async def pour(self, image_id: str, sink: Sink) -> None:
        """All bytes of a layer into `sink`."""
        await self._graph.run(self._pour, image_id, sink)

    def _pour(self, image_id: str, sink: Sink) -> None:
        try:
            for chunk in self._graph.images.layer_tar(image_id):
                stop_when_cancelled()
                sink.write(chunk)
        except ContentCorrupt as error:
            if error.where is None:
                error.where = image_id
            else:  # a file of it, or of its records
                error.at(reference=image_id)
            error.hint = error.hint or "`puller graph check --disk` tells more."
            raise


class _Feed:
    def __init__(self, layers: GraphLayers, image_id: str) -> None:
        self._layers = layers
        self._image_id = image_id

    async def __call__(self, sink: Sink) -> None:
        await self._layers.pour(self._image_id, sink)
