"""removing: names taken away, and with the last one the image, its layers and its blobs, as far as nobody needs them.

Of a graph image those below it go as well, one after the other, until one is reached that has a name or a child, or is
in use. The order is such that a kill leaves a name or whole images behind, never half of one: names go first, then
images, the upper ones before those they stand on. Locks: an image's own, then that of names; nobody takes them in the
other order.
"""

from dataclasses import dataclass

from puller.errors import ContentCorrupt, PullerError, StoreBusy, Unsupported
from puller.graph.graph import UMOUNT
from puller.graph.names import is_id
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Manifest
from puller.model.reference import Reference
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import Found, find, unname, unplace
from puller.ops.graphs.places import full_names, reference_at
from puller.ops.walk import walk
from puller.store.gc import Collectable, Collected, abandon


@dataclass(frozen=True, slots=True)
class Removed:
    """What came of one word: the name that went (None: there was none), graph images that were removed, upper first,
    with the bytes of content in their layers, and what was freed of blobs (None: it had none). `kept` says why a graph
    image stays.
    """

    name: str | None
    images: tuple[str, ...] = ()
    size: int = 0
    collected: Collected | None = None
    kept: str = ""


async def remove(text: str, store: Collectable, graph: Graph) -> Removed:
    """Remove what a name or an ID stands for.

    A name goes, and what only it kept. An ID wants an image that has one name at most, and no children. Raises, with
    nothing changed: ContentMissing, InvalidReference for what could be several; StoreBusy for an image in use, with
    children, or with other names; Unsupported for a graph that can only be read.
    """
    found = await find(text, store, graph)
    if found.image_id is not None and not graph.images.driver.is_writable:
        raise _read_only(graph)
    if found.name is None:
        found = await _by_id(found, store, graph)
    if found.image_id is not None and await _is_last(found, graph):
        await graph.run(_refuse_used, graph, found.image_id)
    gone = found
    if found.reference is not None:
        gone = await unname(found.reference, store, graph)
    elif found.place is not None:
        await unplace(found.place, graph)
    collected = None if gone.descriptor is None else await abandon(store, gone.descriptor)
    if gone.image_id is None:
        return Removed(gone.name, collected=collected)
    images, size, kept = await _prune(gone.image_id, graph)
    return Removed(gone.name, images, size, collected, kept)


async def sweep_graph(graph: Graph, *, dry_run: bool = False) -> list[str]:
    """Remove what dead processes left in the graph, or say what would go: the images whose trees these were.

    Whole images stay, those without a name as well, as Docker kept them.
    """
    if not graph.images.driver.is_writable:
        return []
    swept = await graph.run(lambda: graph.images.driver.sweep(graph.free, dry_run=dry_run))
    if not dry_run:
        await graph.run(graph.images.sweep)
    return swept


async def _by_id(found: Found, store: Collectable, graph: Graph) -> Found:
    """The same image by the one name it has, if it has any. Raises StoreBusy."""
    if found.image_id is None:
        assert found.descriptor is not None
        reference = await _only_name(found.descriptor, found.text, store)
        return Found(found.text, None, found.descriptor, reference)
    places = await graph.run(graph.tags.names_of, found.image_id)
    children = (await graph.run(graph.images.by_parent)).get(found.image_id, [])
    if children:
        some = ", ".join(child[:12] for child in children[:3]) + (" …" if len(children) > 3 else "")
        raise StoreBusy("the image has children", where=found.image_id, got=some, hint="Remove these first.")
    if len(places) > 1:
        raise _named(found.image_id, full_names(places))
    if not places:
        return Found(found.text, found.image_id, None)
    return Found(found.text, found.image_id, found.descriptor, reference_at(places[0]), places[0])


async def _only_name(descriptor: Descriptor, text: str, store: Collectable) -> Reference:
    """The name of a content image. Raises StoreBusy where it has others, or stands behind an index."""
    image = await _config_of(store, descriptor)
    names, behind = [], []
    for name, root in sorted((await store.tags()).items()):
        if root.digest == descriptor.digest:
            names.append(name)
            continue
        async for node in walk(store, root):
            same = image is not None and isinstance(node.document, Manifest) and _config_digest(node.document) == image
            if same or node.descriptor.digest == descriptor.digest:
                behind.append(name)
                break
    if len(names) + len(behind) > 1:
        raise _named(text, (*names, *behind))
    if not names:
        hint = f"Remove it by that: puller rm {behind[0]}" if behind else "`puller gc` frees what no name needs."
        raise StoreBusy("the image has no name of its own", where=text, got=", ".join(behind), hint=hint)
    return Reference.parse(names[0])


async def _config_of(store: Collectable, descriptor: Descriptor) -> Digest | None:
    async for node in walk(store, descriptor):
        return _config_digest(node.document) if isinstance(node.document, Manifest) else None
    return None


def _config_digest(manifest: Manifest) -> Digest | None:
    return manifest.config.digest if manifest.is_image and manifest.config is not None else None


def _named(image: str, names: tuple[str, ...]) -> StoreBusy:
    return StoreBusy("the image has several names", where=image, got=", ".join(names), hint="Remove it by its names.")


async def _is_last(found: Found, graph: Graph) -> bool:
    """Whether without this name the image would have none."""
    assert found.image_id is not None
    return len(await graph.run(graph.tags.names_of, found.image_id)) <= 1


def _refuse_used(graph: Graph, image_id: str) -> None:
    shown_at = graph.mounts.target_of(image_id)
    if shown_at is not None:
        raise StoreBusy("the image is mounted", where=image_id, got=shown_at, hint=UMOUNT)
    if graph.images.has(image_id) and graph.images.is_held(image_id):
        raise StoreBusy("the image is in use", where=image_id, hint="Wait for the pull, load or save that uses it.")


async def _prune(image_id: str, graph: Graph) -> tuple[tuple[str, ...], int, str]:
    """Remove an image and those below it that nobody needs: which, their bytes, and why the first one stays if so."""
    removed: list[str] = []
    size = 0
    here = image_id
    while here:
        async with graph.making(here), graph.naming():
            names = await graph.run(graph.tags.names_of, here)
            if names:
                return tuple(removed), size, "" if removed else f"it has other names: {', '.join(full_names(names))}"
            try:
                parent, own = await graph.run(_about, graph, here)
                await graph.run(graph.images.delete, here)
            except PullerError as error:
                return (
                    tuple(removed),
                    size,
                    "" if removed else f"{error.what}" + (f": {error.got}" if error.got else ""),
                )
        removed.append(here)
        size += own
        here = parent
    return tuple(removed), size, ""


def _about(graph: Graph, image_id: str) -> tuple[str, int]:
    """The parent of an image, where an ID is named as such, and the bytes of its layer; nothing of a damaged one."""
    try:
        image = graph.images.get(image_id)
    except ContentCorrupt:
        return "", 0
    return image.parent if is_id(image.parent) else "", image.size


def _read_only(graph: Graph) -> Unsupported:
    return Unsupported(
        f"images of Docker's {graph.images.driver.name} driver can only be read",
        where=graph.place,
        hint="Remove them with the Docker that made them.",
    )
