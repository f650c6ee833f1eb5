"""names: which image a name, a digest or an ID stands for, and the only way to move names.

A name stands for one image: a content image by its entry in `index.json`, a graph image by its place in
`repositories-<driver>`, an image that was pulled as schema 1 by both. Names are moved under the graph's naming lock, in
an order that lets no reader miss a name and no crash leave half of an image under it. An entry of the index hides the
place, unless it is of schema 1: so a place is set behind the entry that hides it, and an entry of schema 1 is taken
away before its place is given to another image. Readers who saw the index change look again.
"""

from dataclasses import dataclass

from anyio import CancelScope

from puller.errors import ContentMissing, InvalidReference
from puller.graph.names import normalised
from puller.model.descriptor import Descriptor
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.reference import Reference, is_tag
from puller.model.text import printable
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.identity import exact_hex, known_by, looks_like_id
from puller.ops.graphs.places import full_name, place_of
from puller.store.gc import Collectable
from puller.store.naming import names_of


@dataclass(frozen=True, slots=True)
class Found:
    """What `text` stands for. A graph image has `image_id`, content has `descriptor`, a pulled schema 1 image both.

    `reference` is the name it was found by, with tag or digest; `place` that name as the graph has it (repository and
    ref), set also where such a name follows no grammar of today. Both are None for what was found by its ID.
    """

    text: str
    image_id: str | None
    descriptor: Descriptor | None
    reference: Reference | None = None
    place: tuple[str, str] | None = None

    @property
    def name(self) -> str | None:
        """The name in full form; as the graph has it where it has no other; None for what was found by its ID."""
        if self.reference is not None:
            return str(self.reference)
        return None if self.place is None else full_name(self.place)


async def find(text: str, store: Collectable, graph: Graph) -> Found:
    """By name, by digest, by ID or by the first four digits of an ID or more: names before IDs, whole ones first.

    Raises ContentMissing, and InvalidReference for text that can be none of these or stands for several images.
    """
    if exact_hex(text) is None:
        found = await _by_name(text, store, graph)
        if found is not None:
            return found
        if not looks_like_id(text):
            raise ContentMissing("there is no image of this name", reference=Reference.parse(text).tagged())
    return Found(text, *await known_by(text, store, graph))


async def name_image(reference: Reference, image_id: str, store: Collectable, graph: Graph) -> str | None:
    """Name a graph image, which must be here; the ID of the graph image that had the name before, if another.

    Raises ContentMissing, and InvalidReference for a name that the old world does not allow.
    """
    async with graph.naming():
        old = await _set_place(reference, image_id, store, graph)
        entry = await _entry(reference, store)
        if entry is not None and not (_is_schema1(entry) and old == image_id):
            await _forget_entries(reference, store)
        return None if old == image_id else old


async def name_pulled(
    reference: Reference, image_id: str, descriptor: Descriptor, store: Collectable, graph: Graph
) -> str | None:
    """Name a graph image and the schema 1 manifest it was pulled by; else as `name_image`, and as `store.tag`."""
    reference = reference.tagged()
    async with graph.naming():
        entry = await _entry(reference, store)
        old = await _set_place(reference, image_id, store, graph)
        try:
            await store.tag(reference, descriptor)
        except BaseException:
            with CancelScope(shield=True):
                await _put_back(reference, entry, old, store, graph)
            raise
        return None if old == image_id else old


async def name_content(reference: Reference, descriptor: Descriptor, store: Collectable, graph: Graph) -> None:
    """Name content, which must all be here; a graph image that had the name loses it. Raises as `store.tag`."""
    async with graph.naming():
        await store.tag(reference.tagged(), descriptor)
        if not _is_schema1(descriptor):
            await _clear_place(place_of(reference), graph)


async def rename(found: Found, reference: Reference, store: Collectable, graph: Graph) -> None:
    """Give what was found another name."""
    if found.image_id is not None and found.descriptor is not None:
        await name_pulled(reference, found.image_id, found.descriptor, store, graph)
    elif found.image_id is not None:
        await name_image(reference, found.image_id, store, graph)
    elif found.descriptor is not None:
        await name_content(reference, found.descriptor, store, graph)


async def unname(reference: Reference, store: Collectable, graph: Graph) -> Found:
    """Take a name away; what it stood for. What it named stays. Raises ContentMissing where there is no such name."""
    reference = reference.tagged()
    async with graph.naming():
        entry, place = await _entry(reference, store), place_of(reference)
        image_id = await _image_at(place, graph)
        if entry is None and image_id is None:
            raise ContentMissing("there is no image of this name", reference=reference)
        await _forget_entries(reference, store)
        await _clear_place(place, graph)
        hidden = entry is not None and not _is_schema1(entry)
        return Found(str(reference), None if hidden else image_id, entry, reference, place)


async def unplace(place: tuple[str, str], graph: Graph) -> None:
    """Take a name away that only a graph can have, for it follows no grammar of today."""
    async with graph.naming():
        await graph.run(graph.tags.remove, *place)


async def _by_name(text: str, store: Collectable, graph: Graph) -> Found | None:
    try:
        reference = Reference.parse(text).tagged()
    except InvalidReference as error:
        odd = await _odd(text, graph)
        if odd is None and not looks_like_id(text):
            raise error
        return odd
    place = place_of(reference)
    while True:
        generation = await store.generation()
        try:
            entry = await store.resolve(reference)
        except ContentMissing:
            entry = None
        if entry is not None and not _is_schema1(entry):
            return Found(text, None, entry, reference, place)
        image_id = await _image_at(place, graph)
        if await store.generation() == generation:
            break
    if entry is None and image_id is None:
        return None
    return Found(text, image_id, entry, reference, place)


async def _odd(text: str, graph: Graph) -> Found | None:
    """A name that only a graph has: Docker took some that are no references now."""
    name, colon, tag = text.rpartition(":")
    place = (name, tag) if colon and is_tag(tag) else (text, "latest")
    if text != printable(text) or not place[0]:
        return None
    image_id = await graph.run(graph.tags.get, *place)
    return None if image_id is None else Found(text, image_id, None, None, place)


async def _set_place(reference: Reference, image_id: str, store: Collectable, graph: Graph) -> str | None:
    """Set the graph's name; an entry of schema 1 that would then stand beside another image's is gone before."""
    place = place_of(reference)
    if not _is_own(place):
        raise InvalidReference("an old Docker has no such name", reference=reference, got=normalised(place[0]))
    if not await graph.run(graph.images.has, image_id):
        raise ContentMissing("only an image that is here can be named", got=image_id, reference=reference)
    old = await _image_at(place, graph)
    entry = await _entry(reference, store)
    if old not in (None, image_id) and entry is not None and _is_schema1(entry):
        await _forget_entries(reference, store)
    if old != image_id:
        await graph.run(graph.tags.tag, *place, image_id)
    return old


def _is_own(place: tuple[str, str]) -> bool:
    """Whether this name is not another one to an old Docker: `library/a/b` was `a/b` there."""
    return normalised(place[0]) == place[0]


async def _image_at(place: tuple[str, str], graph: Graph) -> str | None:
    return await graph.run(graph.tags.get, *place) if _is_own(place) else None


async def _clear_place(place: tuple[str, str], graph: Graph) -> None:
    if _is_own(place):
        await graph.run(graph.tags.remove, *place)


async def _put_back(
    reference: Reference, entry: Descriptor | None, image_id: str | None, store: Collectable, graph: Graph
) -> None:
    place = place_of(reference)
    if image_id is None:
        await _clear_place(place, graph)
    else:
        await graph.run(graph.tags.tag, *place, image_id)
    if entry is not None and await _entry(reference, store) is None:
        await store.tag(reference, entry)


async def _entry(reference: Reference, store: Collectable) -> Descriptor | None:
    """The index's entry under this very name: not what a digest in it would find without one."""
    known = await store.tags()
    return next((known[name] for name in names_of(reference.tagged()) if name in known), None)


async def _forget_entries(reference: Reference, store: Collectable) -> None:
    while await _entry(reference, store) is not None:  # other tools may have written the name in more than one way
        await store.untag(reference.tagged())


def _is_schema1(entry: Descriptor) -> bool:
    return entry.media_type in SCHEMA1_MANIFESTS
