"""standin: an image of a graph as one of today, for as long as it is unpacked.

Its layers are the blobs that they came in, where the store has these, else put together again from the graph's files
under their diff IDs, and freed at the end.
"""

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

from anyio import CancelScope

from puller.errors import ContentCorrupt, InputError, PullerError
from puller.legacy.v1image import V1Image
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.model.manifest import Manifest, parse_manifest
from puller.model.mediatype import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST
from puller.model.platform import Platform
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.layers import GraphLayers, blob_of
from puller.ops.pulling.plan import Image
from puller.ops.pulling.transfer import Poured
from puller.ops.saving.modernise import Plain, encode_manifest, graph_chain
from puller.ops.unpacking.stacking import Blobs, Layer
from puller.ops.unpacking.stored import Present, stored_blobs
from puller.store.gc import free

_AGAIN = "Run this again: the layer is put together from the image graph then."


@asynccontextmanager
async def stand_in(image_id: str, graph: Graph) -> AsyncIterator[Present]:
    """An image, with the blobs of its layers for stacking; nothing of it goes while the block runs.

    What it was to run and who made it are left out. Raises as ImageGraph does; ContentCorrupt for a blob gone bad.
    """
    store = graph.store
    with ExitStack() as stack:
        await graph.run(stack.enter_context, graph.images.holding([image_id]))
        line = await graph.run(graph.images.line, image_id)
        made: dict[Digest, Plain] = {}
        try:
            async with store.lease() as lease:
                await lease.hold([digest for image in line if (digest := blob_of(image)) is not None])
                chain = await graph_chain(line, GraphLayers(graph), store)
                layers = [old.layer for old in chain if old.layer is not None]
                await lease.hold([layer.stored.digest for layer in layers])
                for layer in layers:
                    if await store.size(layer.stored.digest) is None:
                        made[layer.stored.digest] = layer
                yield _image(line[0].image, layers), _blobs(graph, made)
        finally:
            with CancelScope(shield=True):
                await _give_up(graph, made)


def _image(image: V1Image, layers: list[Plain]) -> Image:
    rootfs = {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]}
    raw = json.dumps({**_platform(image), "rootfs": rootfs}).encode()
    config = Descriptor(DOCKER_CONFIG, Digest.of(raw), len(raw))
    # Docker's type promises nothing of the compression: blobs of that time have any.
    named = [Descriptor(DOCKER_LAYER, layer.stored.digest, layer.stored.size) for layer in layers]
    manifest = parse_manifest(encode_manifest("docker", config, named), DOCKER_MANIFEST)
    assert isinstance(manifest, Manifest)
    return Image(manifest, parse_config(raw))


def _platform(image: V1Image) -> dict[str, str]:
    """What the image says it is for, as a config does; nothing where that is none: Docker did not ask."""
    own = {key: str(image.values[key]) for key in ("architecture", "os")}
    try:
        Platform.decode(own, what="image")
    except InputError:
        return {}
    return own


def _blobs(graph: Graph, made: dict[Digest, Plain]) -> Blobs:
    """`made` are those layers of which the store has no blob; each is made when it is needed."""
    store = graph.store
    stored = stored_blobs(store, _nothing)

    async def ready(layer: Layer) -> None:
        plain = made.get(layer.descriptor.digest)
        if plain is None:
            await stored.ready(layer)
            return
        async with store.ingest(layer.descriptor) as ingest:
            if ingest is not None:
                await plain.stored.feed(Poured(ingest, layer.descriptor, unheard))
                await ingest.commit()

    async def again(layer: Layer) -> None:
        await stored.again(layer)
        if layer.descriptor.digest not in made:
            what = "a blob of the image has gone bad, and was given up"
            raise ContentCorrupt(what, digest=layer.descriptor.digest, hint=_AGAIN)
        await ready(layer)

    return Blobs(store, ready, again)


async def _nothing() -> None:
    """No registry is asked for what a graph holds."""


async def _give_up(graph: Graph, made: dict[Digest, Plain]) -> None:
    with suppress(PullerError):  # of other images, perhaps; a collector will find them
        await free(graph.store, list(made))
