"""history: how an image came to be, one entry a layer or step, the latest first."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from anyio import to_thread

from puller.contracts.graph import GraphImage
from puller.errors import ContentMissing, LayerError, PullerError, Unsupported
from puller.legacy.modernimage import ModernImage
from puller.model.descriptor import Descriptor
from puller.model.document import list_of, load_document, text_of
from puller.model.mediatype import SCHEMA1_MANIFESTS, compression_of
from puller.model.platform import Platform
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import find
from puller.ops.pulling.plan import Image
from puller.ops.pulling.watch import stop_when_cancelled
from puller.ops.saving.layers import Patient
from puller.ops.saving.platforms import chosen, platform_of, refuse_other
from puller.ops.tasks import apart
from puller.ops.unpacking.shelves import Shelves
from puller.ops.unpacking.stacking import layers_of
from puller.store.disk import DiskStore
from puller.stream.inflate import Inflate
from puller.stream.layer import MAX_UNPACKED
from puller.stream.sane import Sane
from puller.stream.tar import TarSink
from puller.stream.tarentry import Entry, TarListener

MISSING: Final = "<missing>"  # what docker says of steps that have no image of their own


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `created` is as the image states it; `size` is the content of the files of its layer in bytes, None
    where the layer is neither unpacked nor to be read.
    """

    image_id: str
    created: str
    created_by: str
    size: int | None
    comment: str

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


async def history(
    text: str,
    store: DiskStore,
    graph: Graph,
    shelves: Shelves,
    *,
    platform: Platform | None = None,
    otherwise: Platform | None = None,
) -> list[Step]:
    """The steps of the image that `text` means; of an index that of `platform`, else of `otherwise`. Raises what `find`
    raises, and Unsupported for an image of another platform, and for a schema 1 manifest without its image.
    """
    return await apart(lambda: _told(text, store, graph, shelves, platform, otherwise))


async def _told(
    text: str,
    store: DiskStore,
    graph: Graph,
    shelves: Shelves,
    platform: Platform | None,
    otherwise: Platform | None,
) -> list[Step]:
    found = await find(text, store, graph)
    if found.image_id is not None:
        line = await graph.run(graph.images.line, found.image_id)
        refuse_other(platform_of(line[0].image), platform, text=text)
        return [_graph_step(image) for image in line]
    assert found.descriptor is not None
    if found.descriptor.media_type in SCHEMA1_MANIFESTS:
        raise Unsupported("a schema 1 manifest whose image is not in the image graph", reference=text)
    _, image = await chosen(found.descriptor, store, platform, otherwise, text=text)
    return _steps(image, await _sizes(image, store, shelves))


def _graph_step(image: GraphImage) -> Step:
    # Through the struct of later Docker: where it holds the same, it says it in the same words.
    shown = ModernImage.decode(image.image.encode())
    created = shown.created.encode().decode().strip('"')
    return Step(image.image_id, created, shown.command, image.size, shown.text("comment"))


def _steps(image: Image, sizes: Sequence[int | None]) -> list[Step]:
    """Steps of a content image. Its history is optional and may be wrong: then there is one step a layer."""
    config, manifest = image.config, image.manifest
    assert config is not None
    assert manifest.config is not None
    entries = list(zip(config.history, _comments(config.raw), strict=True))
    if sum(not entry.empty_layer for entry, _ in entries) != len(sizes):
        steps = [Step(MISSING, "", "", size, "") for size in sizes]
    else:
        rest = iter(sizes)
        steps = [
            Step(MISSING, entry.created, entry.created_by, 0 if entry.empty_layer else next(rest), comment)
            for entry, comment in entries
        ]
    if steps:
        steps[-1] = replace(steps[-1], image_id=str(manifest.config.digest))
    return steps[::-1]


def _comments(config: bytes) -> list[str]:
    entries = list_of(load_document(config, what="image config"), "history", what="image config", default=True)
    return [text_of(entry, "comment", what="image config history", default="") for entry in entries]


async def _sizes(image: Image, store: DiskStore, shelves: Shelves) -> list[int | None]:
    """Of each layer, base first: as it was counted when it was unpacked, else by reading its blob now."""
    try:
        layers = layers_of(image)
    except PullerError:
        layers = ()
    driver = await shelves.holder(layers) if layers else None
    if driver is not None:
        return [(await to_thread.run_sync(driver.unpacked, layer.name)).size for layer in layers]
    return [await _size(layer, store) for layer in image.manifest.layers]


async def _size(layer: Descriptor, store: DiskStore) -> int | None:
    content = _Content()
    tar = TarSink(content, dialect=Sane(sparse=True))
    promised = compression_of(layer.media_type)
    try:
        await store.watch(
            layer, Patient(Inflate(tar, promised=promised, limit=MAX_UNPACKED, pulse=stop_when_cancelled))
        )
    except (ContentMissing, LayerError):
        return None
    return content.size


class _Content(TarListener):
    """Adds up the content of all files."""

    def __init__(self) -> None:
        self.size = 0

    def entry(self, entry: Entry, /) -> None:
        self.size += entry.size
