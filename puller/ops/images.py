"""images: what a store holds, one entry a name."""

from dataclasses import dataclass

from puller.contracts.content import ContentStore
from puller.model.descriptor import Descriptor
from puller.model.manifest import Index
from puller.ops.walk import walk


@dataclass(frozen=True, slots=True)
class Held:
    """One name of the store. `size` counts the blobs that are here, each once; `platforms` are those that are here.

    `damaged`: a document under it is not what its name says, so there may be more than is told.
    """

    name: str
    descriptor: Descriptor
    platforms: tuple[str, ...]
    size: int
    damaged: bool = False


async def images(store: ContentStore) -> list[Held]:
    """Every name with what it stands for, by name."""
    return [await _held(store, name, root) for name, root in sorted((await store.tags()).items())]


async def _held(store: ContentStore, name: str, root: Descriptor) -> Held:
    sizes: dict[str, int] = {}
    platforms: list[str] = []
    damaged = False
    async for node in walk(store, root):
        damaged = damaged or node.damaged
        if not node.present:
            continue
        sizes[str(node.descriptor.digest)] = node.descriptor.size or 0
        if node.platform is not None and not isinstance(node.document, Index):
            platforms.append(str(node.platform))
    return Held(name, root, tuple(dict.fromkeys(platforms)), sum(sizes.values()), damaged)
