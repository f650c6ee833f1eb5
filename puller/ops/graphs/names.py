"""names: which image a name, a digest or an ID stands for, and the only way to move names.

A name stands for one image: a content image by its entry in `index.json`, a graph image by its place in
`repositories-<driver>`, an image that was pulled as schema 1 by both. Names are moved under the graph's naming lock, in
an order that lets no reader miss a name and no crash leave half of an image under it. An entry of the index hides the
place, unless it is of schema 1: so a place is set behind the entry that hides it, and an entry of schema 1 is taken
away before its place is given to another image. Readers who saw the index change look again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from anyio import CancelScope

from puller.errors import ContentMissing, InvalidReference
from puller.graph.names import normalised
from puller.model.descriptor import Descriptor
from puller.model.reference import Reference, is_tag
from puller.model.text import printable
from puller.ops.graphs.entries import entry_in, entry_of, forget_entries, image_id_of, is_schema1
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.identity import UNKNOWN, exact_hex, known_by, looks_like_id
from puller.ops.graphs.places import full_name, place_of
from puller.store.gc import Collectable

_ID_LIKE = re.compile(r"sha(?:256|512):[0-9a-f]+", re.ASCII)
_TOO_SHORT = re.compile(r"(?:sha256:)?[0-9a-f]{1,3}", re.ASCII)


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
            hint = "The beginning of an ID has four digits or more." if _TOO_SHORT.fullmatch(text) else ""
            raise ContentMissing(UNKNOWN, reference=graph.spelling(text)[0].tagged(), hint=hint)
    return Found(text, *await known_by(text, store, graph))


def check_new(reference: Reference, *, has_manifest: bool = True) -> None:
    """Refuse what must not become a name of anything. Raises InvalidReference.

    A digest is a promise about a manifest: what has none cannot keep it. And the beginning of an ID is for the ID.
    """
    if reference.digest is not None and not has_manifest:
        what = "a digest in a name is that of a manifest, and this image has none"
        raise InvalidReference(what, reference=reference, hint="Name it with a tag.")
    if _ID_LIKE.fullmatch(reference.tagged().familiar()):
        hint = "Choose another name or tag."
        raise InvalidReference("this name would look like an image ID", reference=reference, hint=hint)


async def held_by(
    reference: Reference, entries: Mapping[str, Descriptor], store: Collectable, graph: Graph
) -> str | None:
    """The ID of the image that the name stands for, given the entries of the index: bare for a graph image."""
    entry, image_id = entry_in(entries, reference), await _image_at(place_of(reference), graph)
    if entry is None or (image_id is not None and is_schema1(entry)):
        return image_id
    return await image_id_of(entry, store)


async def name_image(reference: Reference, image_id: str, store: Collectable, graph: Graph) -> str | None:
    """Name a graph image, which must be here; the ID of the image that had the name before, if another (`held_by`).

    Raises ContentMissing, and InvalidReference for a name that the old world does not allow, or one with a digest.
    """
    reference = reference.tagged()
    check_new(reference, has_manifest=False)
    async with graph.naming():
        held = await held_by(reference, await store.tags(), store, graph)
        old = await _set_place(reference, image_id, store, graph)
        entry = await entry_of(reference, store)
        if entry is not None and not (is_schema1(entry) and old == image_id):
            await forget_entries(reference, store)
        return None if held == image_id else held


async def name_pulled(
    reference: Reference, image_id: str, descriptor: Descriptor, store: Collectable, graph: Graph
) -> str | None:
    """Name a graph image and the schema 1 manifest it was pulled by, which proves a digest in the name; the ID of the
    graph image that had it before. Raises as `name_image` and `store.tag`.
    """
    reference = reference.tagged()
    check_new(reference)
    async with graph.naming():
        entry = await entry_of(reference, store)
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
    check_new(reference)
    async with graph.naming():
        await store.tag(reference.tagged(), descriptor)
        if not is_schema1(descriptor):
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
        entry, place = await entry_of(reference, store), place_of(reference)
        image_id = await _image_at(place, graph)
        if entry is None and image_id is None:
            raise ContentMissing("there is no image of this name", reference=reference)
        await forget_entries(reference, store)
        await _clear_place(place, graph)
        hidden = entry is not None and not is_schema1(entry)
        return Found(str(reference), None if hidden else image_id, entry, reference, place)


async def unplace(place: tuple[str, str], graph: Graph) -> None:
    """Take a name away that only a graph can have, for it follows no grammar of today."""
    async with graph.naming():
        await graph.run(graph.tags.remove, *place)


async def _by_name(text: str, store: Collectable, graph: Graph) -> Found | None:
    try:
        meanings = graph.spelling(text)
    except InvalidReference as error:
        odd = await _odd(text, graph)
        if odd is None and not looks_like_id(text):
            raise error
        return odd
    for reference in meanings:
        found = await _named(text, reference.tagged(), store, graph)
        if found is not None:
            return found
    return None


async def _named(text: str, reference: Reference, store: Collectable, graph: Graph) -> Found | None:
    place = place_of(reference)
    while True:
        generation = await store.generation()
        try:
            entry = await store.resolve(reference)
        except ContentMissing:
            entry = None
        if entry is not None and not is_schema1(entry):
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
    entry = await entry_of(reference, store)
    if old not in (None, image_id) and entry is not None and is_schema1(entry):
        await forget_entries(reference, store)
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
    if entry is not None and await entry_of(reference, store) is None:
        await store.tag(reference, entry)
