"""images: what a store and its graph hold, one entry a name, and graph images on which nothing stands without one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from puller.errors import InvalidReference
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Index, Manifest
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.reference import Reference
from puller.ops.graphs.forest import Forest, forest
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.identity import registry_digest
from puller.ops.graphs.places import full_name, place_of
from puller.ops.walk import walk
from puller.store.gc import Collectable

Kind: TypeAlias = Literal["content", "graph"]


@dataclass(frozen=True, slots=True)
class Held:
    """One name; None is that of a graph image without one.

    `digest` is what registries name it by: of a schema 1 manifest not that of `descriptor`, but of what was signed.
    `size` counts what is here, once: of content the bytes of its blobs, of a graph image those in the layers of it and
    of all below it. `platforms` are those that are here. `image_id`, bare for a graph image and a digest for
    content: None where there is none or more than one. `damaged`: a document under it is not what its name says, so
    there may be more than is told.
    """

    name: str | None
    kind: Kind
    image_id: str | None
    descriptor: Descriptor | None
    platforms: tuple[str, ...]
    size: int
    damaged: bool = False
    digest: Digest | None = None


async def images(store: Collectable, graph: Graph) -> list[Held]:
    """Every name with what it stands for, by name; then every graph image that has neither name nor children."""
    grown = await forest(graph)
    places = await graph.run(graph.tags.repositories)
    named = {(repository, ref): image_id for repository, refs in places.items() for ref, image_id in refs.items()}
    held: list[Held] = []
    for name, root in (await store.tags()).items():
        place = _place(name)
        image_id = named.pop(place, None) if place is not None else None
        if root.media_type in SCHEMA1_MANIFESTS and image_id is not None:
            pulled = _graph_image(grown, name, image_id, root)
            held.append(replace(pulled, digest=await registry_digest(store, root)))
        else:
            held.append(await _content(store, name, root))
    held += [_graph_image(grown, full_name(place), image_id) for place, image_id in named.items()]
    held.sort(key=lambda one: one.name or "")
    heads = [image_id for image_id in grown.heads() if image_id not in grown.names]
    unnamed = [*heads, *(image_id for image_id in grown.damaged if image_id not in grown.names)]
    return held + [_graph_image(grown, None, image_id) for image_id in sorted(unnamed)]


def _place(name: str) -> tuple[str, str] | None:
    try:
        return place_of(Reference.parse(name))
    except InvalidReference:  # another tool's
        return None


def _graph_image(grown: Forest, name: str | None, image_id: str, manifest: Descriptor | None = None) -> Held:
    image = grown.images.get(image_id)
    if image is None:
        return Held(name, "graph", image_id, manifest, (), 0, damaged=True)
    values = image.image.values
    platforms = (f"{values['os']}/{values['architecture']}",) if values["os"] and values["architecture"] else ()
    return Held(name, "graph", image_id, manifest, platforms, grown.total(image_id))


async def _content(store: Collectable, name: str, root: Descriptor) -> Held:
    sizes: dict[str, int] = {}
    platforms: list[str] = []
    image_ids: list[str] = []
    damaged = False
    async for node in walk(store, root):
        damaged = damaged or node.damaged
        if not node.present:
            continue
        size = node.descriptor.size
        sizes[str(node.descriptor.digest)] = (await store.size(node.descriptor.digest) or 0) if size is None else size
        if node.platform is not None and not isinstance(node.document, Index):
            platforms.append(str(node.platform))
        if isinstance(node.document, Manifest) and node.document.is_image and node.document.config is not None:
            image_ids.append(str(node.document.config.digest))
    image_id = _only(image_ids)
    digest = await registry_digest(store, root)
    return Held(name, "content", image_id, root, tuple(dict.fromkeys(platforms)), sum(sizes.values()), damaged, digest)


def _only(image_ids: Sequence[str]) -> str | None:
    return image_ids[0] if len(set(image_ids)) == 1 else None
