"""trees: the whole tree of an image, or a directory, to be read: what export, changes and mounts stand on."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from anyio import to_thread

from puller.contracts.content import ContentStore, Lease
from puller.contracts.layers import Driver
from puller.errors import ContentCorrupt, ContentMissing, InvalidConfig, Unsupported
from puller.model.descriptor import Descriptor
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.pulling.ledger import Ledger
from puller.ops.unpacking.shelves import Shelves
from puller.ops.unpacking.stacking import Layer, layers_of
from puller.ops.unpacking.stored import Fetch, present_image, stored_blobs, stored_image
from puller.rootfs.survey import Strata, Stratum

if TYPE_CHECKING:
    from puller.ops.graphs.graph import Graph

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Shelved:
    """An image all of whose layers are unpacked by `driver`."""

    driver: Driver
    layers: Sequence[Layer]

    @property
    def top(self) -> str:
        """The name of its uppermost layer."""
        return self.layers[-1].name


@dataclass(frozen=True, slots=True)
class GraphTree:
    """An image of a graph, whose tree is where its storage driver has it."""

    graph: "Graph"
    image_id: str


Tree: TypeAlias = Shelved | GraphTree


async def shelved(
    wanted: Reference | Descriptor,
    store: ContentStore,
    shelves: Shelves,
    lease: Lease,
    *,
    platform: Platform | None,
    fetch: Fetch,
    ledger: Ledger,
) -> Shelved:
    """The image that `wanted` stands for, unpacked now where it was not; `lease` keeps it for whoever reads it.

    Blobs are needed only of an image that is not unpacked; `fetch` pulls it where they are not here. Raises Unsupported
    for what has no tree, and any PullerError of a pull.
    """
    try:
        _, image = await stored_image(store, wanted, platform)
    except (ContentMissing, ContentCorrupt):
        image = await present_image(wanted, store, platform, fetch)
    layers = layers_of(image)
    if not layers:
        raise Unsupported("an image without layers has no tree")
    await lease.hold([layer.chain_id for layer in layers] + [layer.descriptor.digest for layer in layers])
    driver = await shelves.holder(layers)
    if driver is None:
        await shelves.put(await present_image(wanted, store, platform, fetch), stored_blobs(store, fetch), ledger)
        driver = await shelves.holder(layers)
    if driver is None:
        raise ContentMissing("the name has moved to another image meanwhile")
    return Shelved(driver, layers)


async def graph_tree(image_id: str, graph: "Graph", shelves: Shelves, lease: Lease, ledger: Ledger) -> Tree:
    """The tree of an image of a graph; of a driver that shows none it is unpacked into the store, as others are.

    `lease` keeps what is unpacked; the graph's own tree is kept by whoever opens it. Raises as ImageGraph does.
    """
    if graph.images.driver.shows_trees:
        return GraphTree(graph, image_id)
    from puller.ops.graphs.standin import stand_in

    async with stand_in(image_id, graph) as (image, blobs):
        layers = layers_of(image)
        await lease.hold([layer.chain_id for layer in layers])
        await shelves.put(image, blobs, ledger)
        driver = await shelves.holder(layers)
    if driver is None:
        raise ContentMissing("an unpacked layer was removed meanwhile", where=image_id)
    return Shelved(driver, layers)


async def strata_of(image: Tree, stack: ExitStack) -> Strata:
    """Its tree as layers upon each other, the nearest first, open until `stack` closes; nothing needs to be mounted."""
    if isinstance(image, GraphTree):
        return await image.graph.run(_opened_in_graph, image, stack)
    shown = await to_thread.run_sync(image.driver.shown, image.top)
    return tuple(Stratum(_opened(path, stack), sidecars) for path, sidecars in shown)


@contextmanager
def directory(path: Path) -> Iterator[Strata]:
    """A plain directory, with the sidecar that unpacking left beside it. Raises InvalidConfig where there is none."""
    with ExitStack() as stack:
        try:
            fd = _opened(path, stack)
        except OSError as error:
            raise InvalidConfig("no directory that can be read", where=path, got=error.strerror) from error
        sidecar = path.absolute().with_name(f"{path.absolute().name}.altered.jsonl")
        yield (Stratum(fd, [sidecar] if sidecar.is_file() else []),)


def _opened_in_graph(image: GraphTree, stack: ExitStack) -> Strata:
    images = image.graph.images
    stack.enter_context(images.holding([image.image_id]))
    return tuple(Stratum(fd, sidecars) for fd, sidecars in stack.enter_context(images.driver.opened(image.image_id)))


def _opened(path: Path, stack: ExitStack) -> int:
    fd = os.open(path, _OPEN)
    stack.callback(os.close, fd)
    return fd
