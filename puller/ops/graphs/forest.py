"""forest: all images of a graph as they are at one time, damaged ones included, and which stands on which."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from puller.contracts.graph import GraphImage
from puller.errors import ContentMissing, PullerError
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.places import full_names


@dataclass(frozen=True, slots=True)
class Forest:
    """`images` by their IDs, in order. `damaged` are those whose files cannot be read, and why.

    `names` are those of images that have any, and of IDs that are no image.
    """

    images: Mapping[str, GraphImage]
    damaged: Mapping[str, PullerError]
    names: Mapping[str, tuple[str, ...]]

    def line(self, image_id: str) -> list[GraphImage]:
        """The image and all below it, itself first, as far as they are here; a cycle ends where it closes."""
        found: dict[str, GraphImage] = {}
        here = image_id
        while here in self.images and here not in found:
            found[here] = self.images[here]
            here = found[here].parent
        return list(found.values())

    def total(self, image_id: str) -> int:
        """Bytes of content in the layers of the image and of all below it."""
        return sum(image.size for image in self.line(image_id))

    def children(self) -> dict[str, list[str]]:
        """The children of each image that has any, both in order."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for image_id, image in self.images.items():
            if image.parent in self.images:
                found[image.parent].append(image_id)
        return dict(found)

    def heads(self) -> list[str]:
        """Images that are nobody's parent, in order."""
        parents = {image.parent for image in self.images.values()}
        return [image_id for image_id in self.images if image_id not in parents]

    def roots(self) -> list[str]:
        """What trees grow from, in order: bases, images whose parent is not here, and one image of every cycle."""
        found = [image_id for image_id, image in self.images.items() if image.parent not in self.images]
        children, seen = self.children(), set[str]()
        for root in [*found, *self.images]:
            if root in seen:
                continue
            if root not in found:
                found.append(root)
            waiting = [root]
            while waiting:
                here = waiting.pop()
                if here not in seen:
                    seen.add(here)
                    waiting += children.get(here, ())
        return sorted(found)


async def forest(graph: Graph) -> Forest:
    """All images of `graph`. Raises ContentCorrupt for names that cannot be read."""
    return await graph.run(_look, graph)


def _look(graph: Graph) -> Forest:
    images: dict[str, GraphImage] = {}
    damaged: dict[str, PullerError] = {}
    for image_id in graph.images.ids():
        try:
            images[image_id] = graph.images.get(image_id)
        except ContentMissing:  # removed in this moment
            continue
        except PullerError as error:
            damaged[image_id] = error
    places: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for repository, refs in graph.tags.repositories().items():
        for ref, image_id in refs.items():
            places[image_id].append((repository, ref))
    return Forest(images, damaged, {image_id: full_names(found) for image_id, found in places.items()})
