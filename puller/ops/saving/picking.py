"""picking: which images the words of a command mean, and under which names they are to be known elsewhere."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from puller.errors import InvalidReference, Unsupported
from puller.model.descriptor import Descriptor
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.reference import Reference
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import Found, find
from puller.ops.graphs.places import full_name, place_of
from puller.store.disk import DiskStore


@dataclass(slots=True)
class Picked:
    """One image: a graph image by its ID, any other by its descriptor. `places`: repository, and tag or digest.

    `text` is what it was first found by.
    """

    text: str
    image_id: str | None
    descriptor: Descriptor | None
    places: set[tuple[str, str]] = field(default_factory=set)


async def pick(texts: Sequence[str], store: DiskStore, graph: Graph) -> list[Picked]:
    """The images that `texts` mean, each once. A repository without tag means all its names, an ID means none.

    Raises as `find`, and Unsupported for a schema 1 image of which there is a manifest only.
    """
    picked: dict[object, Picked] = {}
    for text in texts:
        for found in await _meant(text, store, graph):
            _refuse_bare_manifest(found)
            descriptor = None if found.image_id is not None else found.descriptor
            key = found.image_id or (descriptor.digest if descriptor is not None else None)
            one = picked.setdefault(key, Picked(found.text, found.image_id, descriptor))
            place = found.place or (place_of(found.reference) if found.reference is not None else None)
            if place is not None:
                one.places.add(place)
    return list(picked.values())


async def _meant(text: str, store: DiskStore, graph: Graph) -> list[Found]:
    places = await _places(text, store, graph)
    return [await find(name, store, graph) for name in [full_name(place) for place in places] or [text]]


async def _places(text: str, store: DiskStore, graph: Graph) -> list[tuple[str, str]]:
    """The names in the repository `text`; none where it is no repository, or says which of them."""
    known = await graph.run(graph.tags.repositories)
    try:
        meanings = graph.spelling(text)
    except InvalidReference:
        return [(text, ref) for ref in sorted(known.get(text, {}))]
    content = list(_parsed(await store.tags()))
    for reference in meanings:
        if reference.tag is None and reference.digest is None:
            repository = reference.familiar()
            refs = {*known.get(repository, {}), *(ref for own, ref in content if own == repository)}
            if refs:
                return [(repository, ref) for ref in sorted(refs)]
    return []


def _parsed(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield place_of(Reference.parse(name))
        except InvalidReference:  # another tool's
            continue


def _refuse_bare_manifest(found: Found) -> None:
    if found.image_id is None and found.descriptor is not None and found.descriptor.media_type in SCHEMA1_MANIFESTS:
        raise Unsupported(
            "a schema 1 manifest whose image is not in the image graph",
            reference=found.text,
            hint="Run `puller convert` on it first, or pull it again.",
        )
