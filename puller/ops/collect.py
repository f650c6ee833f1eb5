"""collect: what nobody needs any more, among unpacked layers; and blobs that unpacked layers make dispensable.

Blobs are collected by `store/gc.py`. The same order makes it safe here: who unpacks leases the chain IDs first and asks
under a layer's lock afterwards; who collects takes the lock, then reads the leases, then the names.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter

from anyio import from_thread, to_thread

from puller.contracts.layers import Driver
from puller.errors import ContentCorrupt, ContentMissing, PullerError, Unsupported
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.manifest import Manifest
from puller.model.reference import Reference
from puller.ops.pulling.plan import Image
from puller.ops.unpacking.shelves import Shelves, lock_name
from puller.ops.unpacking.stacking import layer_name, layers_of
from puller.ops.walk import Node, walk
from puller.store.gc import Collectable, Collected, free
from puller.store.reach import UNKNOWN


@dataclass(frozen=True, slots=True)
class Cleared:
    """Layers that were removed (or would be) as (driver, name), and the bytes of their files; how many stay, and what
    kept more from being freed.
    """

    freed: tuple[tuple[str, str], ...]
    size: int
    kept: int
    hindrance: PullerError | None = None


async def collect_layers(store: Collectable, shelves: Shelves, *, dry_run: bool = False) -> Cleared:
    """Remove every unpacked layer that no name and no lease needs; upper ones go before those they stand on.

    What dead processes left in the middle of unpacking goes too. Where a document that says what is needed is damaged
    or missing, no layer is removed and the result says why.
    """
    needed = _Needed(store)
    shown = {(mount.driver, layer) for mount in shelves.mounts.living() for layer in mount.layers}
    freed: list[tuple[str, str]] = []
    size = kept = 0
    for driver in shelves.drivers:
        if not dry_run:
            await to_thread.run_sync(driver.sweep, lambda name: _attempted(store, name))
        for layer in await to_thread.run_sync(_upper_first, driver):
            async with store.attempted(lock_name(driver.name, layer)) as is_free:
                try:
                    if not is_free or (driver.name, layer) in shown or layer in await needed.by(driver):
                        kept += 1
                        continue
                except (ContentCorrupt, ContentMissing) as error:
                    return Cleared(tuple(freed), size, kept, error)
                size += (await to_thread.run_sync(driver.unpacked, layer)).size
                if not dry_run:
                    await to_thread.run_sync(driver.remove, layer)
                freed.append((driver.name, layer))
    return Cleared(tuple(freed), size, kept)


async def discard_blobs(store: Collectable, shelves: Shelves, reference: Reference) -> Collected:
    """Give up the layer blobs of every image under `reference` that is unpacked, as far as no other image needs them.

    The manifest's facts say so first, so that at no time anything counts as missing (RELIABILITY R2). Raises
    ContentMissing where there is no such name.
    """
    digests: list[Digest] = []
    async for node in walk(store, await store.resolve(reference.tagged())):
        image = _image(node)
        if image is None or await shelves.holder(layers_of(image)) is None:
            continue
        own = tuple(layer.digest for layer in image.manifest.layers)
        await store.prove(node.descriptor.digest, Facts(discarded=own))
        digests += own
    return await free(store, list(dict.fromkeys(digests)))


def _image(node: Node) -> Image | None:
    """The image of a manifest that can be unpacked; None for all else."""
    if node.config is None or not isinstance(node.document, Manifest):
        return None
    image = Image(node.document, node.config)
    try:
        layers_of(image)
    except Unsupported:
        return None
    return image


class _Needed:
    """The layers that images and running work need; names are looked at again when the store's index has changed."""

    def __init__(self, store: Collectable) -> None:
        self._store = store
        self._stacks: frozenset[frozenset[str]] = frozenset()
        self._generation: Hashable = object()

    async def by(self, driver: Driver) -> frozenset[str]:
        """What `driver` must keep now: leased layers, and those of images that it holds whole.

        Of an image that it could not hold another driver has all. Raises ContentCorrupt, ContentMissing.
        """
        leased = frozenset(map(layer_name, await self._store.leased()))
        generation = await self._store.generation()  # before the names: they may be newer than it, never older
        if generation != self._generation:
            self._stacks = await _stacks(self._store)
            self._generation = generation
        # Last: of work that has ended since, and is leased no more, all is here.
        here = frozenset(await to_thread.run_sync(driver.layers))
        return leased.union(*(stack for stack in self._stacks if stack <= here))


async def _stacks(store: Collectable) -> frozenset[frozenset[str]]:
    """The layers of each image."""
    stacks: set[frozenset[str]] = set()
    for root in await store.roots():
        async for node in walk(store, root):
            if node.damaged:
                raise ContentCorrupt("what a name needs cannot be known", digest=node.descriptor.digest, hint=UNKNOWN)
            if node.config is not None:
                stacks.add(frozenset(map(layer_name, node.config.chain_ids)))
    return frozenset(stacks)


@contextmanager
def _attempted(store: Collectable, name: str) -> Iterator[bool]:
    """In a worker thread: hold the store's lock of this name if it is free; whether it was."""
    attempt = store.attempted(name)
    is_free = from_thread.run(attempt.__aenter__)
    try:
        yield is_free
    finally:
        from_thread.run(attempt.__aexit__, None, None, None)


def _upper_first(driver: Driver) -> list[str]:
    layers = driver.layers()
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(layers, ()))
    for layer in layers:
        parent = driver.parent(layer)
        if parent is not None:
            order.add(parent, layer)
    here = frozenset(layers)
    return [layer for layer in order.static_order() if layer in here]
