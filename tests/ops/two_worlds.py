"""Two worlds: a store with an image graph beside it, and small images for both. Nothing is pulled, blobs are put."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio import CapacityLimiter

from puller.contracts.graph import GraphDriver, NewImage
from puller.graph.graph import DiskGraph
from puller.graph.tags import DiskTagStore
from puller.legacy.v1image import V1Image
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.ops.graphs.graph import Graph
from puller.store.disk import DiskStore
from testregistry import images
from testregistry.layers import Layer
from testregistry.schema1 import Schema1
from tests.contracts.sample import Blob, Image, blob_of, put
from tests.graph.images import archive, named, register, v1_text
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import layer, quiet

OCTETS = "application/octet-stream"
BASE = images.layer({"etc/motd": b"hello\n"})
TOP = images.layer({"srv/app": b"app\n"})
OLD = images.schema1(BASE, TOP)
LABEL = "tarsum.v1+sha256:" + "ab" * 32
LABELLED = images.schema1(BASE, TOP, blobs=(LABEL, TOP.digest))
LABELS = {LABEL: Digest.parse(BASE.digest)}


@dataclass(frozen=True)
class TwoWorlds:
    """A store and its graph."""

    store: DiskStore
    graph: Graph

    @property
    def root(self) -> Path:
        return self.graph.place

    @property
    def images(self) -> DiskGraph:
        assert isinstance(self.graph.images, DiskGraph)
        return self.graph.images

    def stack(self, *names: str) -> list[str]:
        """Register a line of graph images, the base first; their IDs."""
        return [register(self.images, name, below) for below, name in zip(["", *names], names, strict=False)]

    def plant(self, image_id: str, text: str | None = None) -> Path:
        """A folder of an image, and an empty tree, as they may be found; `text` is its json."""
        folder = self.root / "graph" / image_id
        folder.mkdir(parents=True)
        folder.joinpath("json").write_text(text or f'{{"id":"{image_id}"}}')
        self.root.joinpath("vfs/dir", image_id).mkdir(parents=True)
        return folder

    async def put(self, image: Image) -> Descriptor:
        """The blobs of a content image; its manifest."""
        await put(self.store, *image.blobs)
        return image.manifest.descriptor

    async def put_old(self, image: Schema1 = OLD, facts: Facts | None = None) -> Descriptor:
        """The blobs of a schema 1 image under their sha256, and the manifest as it was served."""
        await put(self.store, *map(blob_in, image.layers))
        manifest = blob_of(image.raw, image.media_type)
        await put(self.store, manifest)
        if facts is not None:
            await self.store.prove(manifest.digest, facts)
        return manifest.descriptor


def blob_in(part: Layer) -> Blob:
    """The blob of a layer, as a registry serves it."""
    content = b"".join(part.body.chunks())
    return Blob(content, Descriptor(OCTETS, Digest.of(content), len(content)))


def name(text: str) -> Reference:
    """The reference that people type so."""
    return Reference.parse(text).tagged()


def registered(images: DiskGraph, text: str, *, checksum: str) -> str:
    """A graph image with a checksum, and a layer with a file of its name; its ID."""
    new = NewImage(named(text), "", image=V1Image.decode(v1_text(text)), checksum=checksum)
    with layer(archive(**{text: text * 3})) as blob:
        return images.register(new, blob, quiet).image_id


@asynccontextmanager
async def two_worlds(folder: Path, driver: GraphDriver | None = None) -> AsyncIterator[TwoWorlds]:
    """Both empty, in one directory."""
    store = await DiskStore.open(folder / "store", durable=False)
    root = store.layout.root
    images = DiskGraph(root, driver or PlainVfs(root), durable=False)
    tags = DiskTagStore(root / "repositories-vfs", images, durable=False)
    yield TwoWorlds(store, Graph(images, tags, store, CapacityLimiter(2)))
