"""save: images of both worlds into one archive, the same bytes each time, no layer ever held in memory.

Two passes. The first finds out what is to be written, and how large it is, since a member's size stands before its
content; the second writes, and holds every layer to what the first has found.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from puller.archive.dockerform import SavedImage, SavedLayer, docker_items
from puller.archive.item import Directory, File, Item, Link, Stream, seconds
from puller.archive.ociform import Root, oci_items
from puller.archive.writer import ArchiveWriter
from puller.contracts.content import Lease
from puller.contracts.graph import GraphImage
from puller.errors import ContentCorrupt, ContentMissing, Unsupported
from puller.legacy.modern import folders, modern_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Index
from puller.model.platform import Platform
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.held import held_line
from puller.ops.graphs.layers import GraphLayers
from puller.ops.graphs.places import full_name
from puller.ops.pulling.plan import layer_steps
from puller.ops.saving.layers import PULL, blob_stream, layer_stream
from puller.ops.saving.modernise import Form, graph_chain, modernised
from puller.ops.saving.picking import Picked, pick
from puller.ops.saving.platforms import chosen, platform_of, refuse_other
from puller.ops.tasks import apart
from puller.ops.walk import walk
from puller.store.disk import DiskStore
from puller.stream.sink import Chunk


@dataclass(frozen=True, slots=True)
class Saved:
    """What is in the archive: how many images, and how many bytes it has."""

    images: int
    size: int


async def save(
    texts: Sequence[str],
    store: DiskStore,
    graph: Graph,
    write: Callable[[Chunk], object],
    *,
    form: Form = "docker",
    platform: Platform | None = None,
    otherwise: Platform | None = None,
    old_only: bool = False,
) -> Saved:
    """Write the images that `texts` mean, and nothing else, as one uncompressed tar archive (THREATS G9).

    `platform` chooses from indexes, and refuses other images; where it is None the docker form takes the one for
    `otherwise`, and the OCI form takes indexes whole.
    `old_only`, of graph images in the docker form: what Docker 1.9 wrote, byte for byte. `write` is called in worker
    threads. Raises what `pick` raises, ContentMissing where a blob was given up, ContentCorrupt, VerificationError, and
    what `write` raises.
    """

    async def work() -> Saved:
        async with store.lease() as lease:
            async with AsyncExitStack() as stack:
                saving = _Saving(store, graph, lease, stack, platform, otherwise, old_only=old_only)
                picked = await pick(texts, store, graph)
                items = await (saving.docker(picked) if form == "docker" else saving.oci(picked))
                return Saved(len(saving.images), await _written(items, graph, write))

    return await apart(work)


class _Saving:
    def __init__(
        self,
        store: DiskStore,
        graph: Graph,
        lease: Lease,
        stack: AsyncExitStack,
        platform: Platform | None,
        otherwise: Platform | None,
        *,
        old_only: bool,
    ) -> None:
        self._store = store
        self._graph = graph
        self._lease = lease
        self._stack = stack
        self._platform = platform
        self._otherwise = otherwise
        self._old_only = old_only
        self._layers = GraphLayers(graph)
        self.images: set[object] = set()  # by what tells them apart in the archive

    # --- the docker form ---

    async def docker(self, picked: Sequence[Picked]) -> Sequence[Item]:
        """The members of an archive of Docker's."""
        return docker_items([await self._docker_image(one) for one in picked])

    async def _docker_image(self, one: Picked) -> SavedImage:
        saved = await self._saved_image(one)
        self.images.add((saved.layers[-1].image_id, saved.config))
        return saved

    async def _saved_image(self, one: Picked) -> SavedImage:
        if one.image_id is not None:
            return await self._graph_image(one)
        assert one.descriptor is not None
        return await self._content_image(one, one.descriptor)

    async def _graph_image(self, one: Picked) -> SavedImage:
        line = await self._held_line(one)
        places = one.places
        layers = []
        for image in reversed(line):
            stream = await self._layers.stream(image)
            layers.append(
                SavedLayer(
                    image.image_id, image.image.encode(), seconds(image.image.values["created"]), stream, own=True
                )
            )
        if self._old_only:
            return SavedImage(layers, places, None)
        # What the folders say and no more: so a graph that was loaded from them gives this config again.
        history = [layer.json for layer in layers]
        diff_ids = [layer.diff_id for layer in layers]
        return SavedImage(layers, places, modern_config(history, diff_ids, graph_id=one.image_id))

    async def _held_line(self, one: Picked) -> list[GraphImage]:
        assert one.image_id is not None
        line = await self._stack.enter_async_context(held_line(one.image_id, self._graph, self._lease))
        refuse_other(platform_of(line[0].image), self._platform, text=one.text)
        return line

    async def _content_image(self, one: Picked, root: Descriptor) -> SavedImage:
        await self._lease.hold([root.digest])
        descriptor, image = await chosen(root, self._store, self._platform, self._otherwise, text=one.text)
        await self._lease.hold([descriptor.digest, *(child.digest for child in image.manifest.children)])
        if image.config is None or not image.manifest.layers:
            raise Unsupported("an image without layers has no archive of this form", digest=root.digest)
        layers = []
        steps = layer_steps(image.manifest, image.config)
        for folder, step in zip(folders(image.config.raw, image.config.diff_ids), steps, strict=True):
            assert step.diff_id is not None
            stream = await layer_stream(self._store, step.descriptor, step.diff_id)
            layers.append(SavedLayer(folder.image_id, folder.json, seconds(folder.created), stream, own=False))
        tags = [(repository, ref) for repository, ref in one.places if ":" not in ref]
        return SavedImage(layers, tags, image.config.raw)

    # --- the OCI form ---

    async def oci(self, picked: Sequence[Picked]) -> Sequence[Item]:
        """The members of an OCI image layout."""
        roots = []
        blobs: dict[Digest, bytes | Stream] = {}
        for one in picked:
            root = await (self._converted(one, blobs) if one.image_id is not None else self._whole(one, blobs))
            self.images.add(root.digest)
            roots.append(Root(root, [full_name(place) for place in one.places]))
        return oci_items(roots, blobs)

    async def _converted(self, one: Picked, blobs: dict[Digest, bytes | Stream]) -> Descriptor:
        line = await self._held_line(one)
        modern = modernised(await graph_chain(line, self._layers, self._store), "oci")
        blobs |= modern.blobs
        blobs |= {modern.descriptor.digest: modern.manifest, modern.config.digest: modern.config_raw}
        return modern.descriptor

    async def _whole(self, one: Picked, blobs: dict[Digest, bytes | Stream]) -> Descriptor:
        root = one.descriptor
        assert root is not None
        await self._lease.hold([root.digest])
        if self._platform is not None:
            root, _ = await chosen(root, self._store, self._platform, text=one.text)
        unasked: set[Digest] = set()
        async for node in walk(self._store, root):
            digest = node.descriptor.digest
            if not node.present and digest in unasked:
                continue
            if not node.present:
                raise ContentMissing("a part of the image is not in the store", digest=digest, hint=PULL)
            if node.damaged:
                raise ContentCorrupt("a document of the image is damaged", digest=digest, hint=PULL)
            if node.document is not None:
                await self._lease.hold([child.digest for child in node.document.children])
            if isinstance(node.document, Index):
                unasked.update((await self._store.facts(digest)).absent or ())
            blobs[digest] = await blob_stream(self._store, node.descriptor)
        return root


async def _written(items: Sequence[Item], graph: Graph, write: Callable[[Chunk], object]) -> int:
    archive = ArchiveWriter(write)
    for item in items:
        match item:
            case Directory(name, mtime):
                await graph.run(archive.directory, name, mtime)
            case Link(name, target, mtime):
                await graph.run(archive.link, name, target, mtime)
            case File(name, bytes() as content, mtime):
                await graph.run(archive.file, name, content, mtime)
            case File(name, Stream() as stream, mtime):
                sink = await graph.run(partial(archive.begin, name, stream.size, stream.digest, mtime))
                await stream.feed(sink)
                await graph.run(sink.finish)
    await graph.run(archive.finish)
    return archive.size
