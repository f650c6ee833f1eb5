"""Shelving: the part of a pull that unpacks. It hears which blobs have arrived, and needs no others."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import anyio

from puller.errors import Unsupported
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.report import Check
from puller.ops.pulling.gate import Gate
from puller.ops.pulling.plan import Image, Step
from puller.ops.tasks import one_error
from puller.ops.unpacking.shelves import Shelves
from puller.ops.unpacking.stacking import Blobs, Layer, layers_of

SPARED = "discarded once it was unpacked"


class Shelving:
    """Unpacks the images of one pull onto `shelves`; without shelves it does nothing."""

    def __init__(self, gate: Gate, shelves: Shelves | None) -> None:
        self._gate = gate
        self._shelves = shelves
        self._images: list[Image] = []
        self._incomplete: list[Digest] = []  # manifests of which blobs were discarded, and are all here again
        self._here: defaultdict[Digest, anyio.Event] = defaultdict(anyio.Event)

    async def spared(self, steps: Sequence[Step], images: Sequence[tuple[Descriptor, Image]]) -> list[Step]:
        """Those of `steps` that must be fetched: not the blobs that were given up and whose unpacked layers are here.

        Call it first: it learns here what there is to unpack, and leases it.
        """
        wanted: set[Digest] = set()
        for named, image in images:
            given_up = await self._given_up(named.digest, image)
            wanted.update(d.digest for d in image.manifest.children if d.digest not in given_up)
        for step in steps:
            if step.descriptor.digest not in wanted:
                check = Check("digest", str(step.descriptor.digest), None, None, note=SPARED)
                self._gate.ledger.add(step, None, (check,), self._gate.ledger.now())
        return [step for step in steps if step.descriptor.digest in wanted]

    async def _given_up(self, digest: Digest, image: Image) -> frozenset[Digest]:
        discarded = frozenset((await self._gate.store.facts(digest)).discarded or ())
        layers = self._layers(image)
        if self._shelves is not None and layers is not None:
            self._images.append(image)
            await self._gate.lease.hold([layer.chain_id for layer in layers])
            if discarded and await self._shelves.holder(layers) is not None:
                return discarded
        if discarded:
            self._incomplete.append(digest)
        return frozenset()

    def _layers(self, image: Image) -> Sequence[Layer] | None:
        if self._shelves is None or image.config is None:
            return None
        try:
            return layers_of(image)
        except Unsupported as error:
            self._gate.ledger.warn(f"not unpacked: {error}")
            return None

    def arrived(self, digest: Digest) -> None:
        """A blob is in the store, verified."""
        self._here[digest].set()

    async def put(self, again: Callable[[Step], Awaitable[None]]) -> None:
        """Unpack all, each layer when it has arrived; `again` fetches one that was found damaged."""
        if self._shelves is None:
            return
        if self._shelves.remark:
            self._gate.ledger.warn(self._shelves.remark)
        blobs = Blobs(self._gate.store, self._ready, lambda layer: again(layer.step))
        with one_error():
            async with anyio.create_task_group() as group:
                for image in self._images:
                    group.start_soon(self._shelves.put, image, blobs, self._gate.ledger)

    async def _ready(self, layer: Layer) -> None:
        await self._here[layer.descriptor.digest].wait()

    async def record_present(self) -> None:
        """All blobs are here, also those that had once been given up."""
        for digest in self._incomplete:
            await self._gate.store.prove(digest, Facts(discarded=()))
