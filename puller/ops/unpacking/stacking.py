"""Stacking: the layers of one image put in their place, each unpacked as soon as its blob is verified, all in order.

Unpacking a layer needs none of those below it, so layers are unpacked side by side, while others still download. What
one has made exists when its turn has come: after the layer below it, in one rename (RELIABILITY R4). Nothing is read
but blobs that were verified before, and what they unpack to is hashed and held to the config's diff ID again
(THREATS D2-D4).
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, TypeVarTuple

import anyio
from anyio import CancelScope, CapacityLimiter, from_thread, to_thread

from puller.contracts.content import ContentStore
from puller.contracts.layers import LayerBlob, Staged, Told, Unpacked
from puller.errors import ContentCorrupt, LayerError, PullerError, Unsupported, VerificationError
from puller.model import event
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import compression_of
from puller.model.report import LayerReport
from puller.ops.pulling.ledger import Ledger
from puller.ops.pulling.plan import Image, Step, layer_steps
from puller.ops.pulling.watch import stop_when_cancelled
from puller.ops.tasks import one_error

T = TypeVar("T")
Args = TypeVarTuple("Args")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image: its blob, what that unpacks to, and the name of the whole stack up to it."""

    step: Step
    diff_id: Digest
    chain_id: Digest

    @property
    def name(self) -> str:
        """What drivers call it."""
        return layer_name(self.chain_id)

    @property
    def descriptor(self) -> Descriptor:
        return self.step.descriptor


def layer_name(chain_id: Digest) -> str:
    """The name that drivers give to the layer with this chain ID: 64 hexadecimal digits in any case."""
    return chain_id.hex if chain_id.algorithm == "sha256" else Digest.of(str(chain_id).encode()).hex


def layers_of(image: Image) -> tuple[Layer, ...]:
    """The layers of an image, base first. Raises Unsupported for what is no image, or has layers of unknown kinds."""
    if image.config is None:
        raise Unsupported("only images can be unpacked", got=image.manifest.artifact_type or "an artifact")
    found = []
    for step, chain_id in zip(layer_steps(image.manifest, image.config), image.config.chain_ids, strict=True):
        if step.diff_id is None or not step.is_layer:
            raise Unsupported("a layer that cannot be unpacked", where=step.role, got=step.descriptor.media_type)
        found.append(Layer(step, step.diff_id, chain_id))
    return tuple(found)


class Place(Protocol):
    """Where layers go: the part of a Driver that stacking needs."""

    def has(self, layer: str) -> bool: ...

    def unpacked(self, layer: str) -> Unpacked: ...

    def unpack(self, layer: str, blob: LayerBlob, told: Told) -> Staged: ...

    def commit(self, staged: Staged, parent: str | None, told: Told) -> Unpacked: ...

    def discard(self, staged: Staged) -> None: ...


@dataclass(frozen=True, slots=True)
class Blobs:
    """The blobs of the layers: `ready` waits until one is verified, `again` fetches one that has gone bad since."""

    store: ContentStore
    ready: Callable[[Layer], Awaitable[None]]
    again: Callable[[Layer], Awaitable[None]]


class Stacking:
    """Puts `layers` into `place`; `workers` limits how many are at work at once.

    `locked` gives the lock under which one layer is made, across processes: the second comer waits and finds it done.
    """

    def __init__(
        self,
        place: Place,
        blobs: Blobs,
        *,
        locked: Callable[[Layer], AbstractAsyncContextManager[None]],
        workers: CapacityLimiter,
        ledger: Ledger,
    ) -> None:
        self._place = place
        self._blobs = blobs
        self._locked = locked
        self._workers = workers
        self._ledger = ledger

    async def run(self, layers: Sequence[Layer]) -> tuple[LayerReport, ...]:
        """All of them, base first, or the gravest of the errors that stopped one; of that one nothing is left."""
        done = [anyio.Event() for _ in layers]
        reports: dict[int, LayerReport] = {}

        async def one(position: int) -> None:
            layer = layers[position]
            below = layers[position - 1] if position else None
            try:
                reports[position] = await self._one(layer, below, done[position - 1] if position else None)
            except PullerError as error:
                raise error.at(
                    digest=layer.descriptor.digest, phase=f"unpacking {layer.step.role}"
                ) from error.__cause__
            done[position].set()

        with one_error():
            async with anyio.create_task_group() as group:
                for position in range(len(layers)):
                    group.start_soon(one, position)
        return tuple(reports[position] for position in range(len(layers)))

    async def _one(self, layer: Layer, below: Layer | None, turn: anyio.Event | None) -> LayerReport:
        started = self._ledger.now()
        outcome: Literal["unpacked", "reused"] = "reused"
        async with self._locked(layer):
            if not await to_thread.run_sync(self._place.has, layer.name):
                await self._ready(layer)
                started = self._ledger.now()
                unpacked = await self._made(layer, below, turn)
                outcome = "unpacked"
            else:
                unpacked = await to_thread.run_sync(self._place.unpacked, layer.name)
                if turn is not None:
                    await turn.wait()
        report = LayerReport(
            role=layer.step.role,
            chain_id=str(layer.chain_id),
            diff_id=str(layer.diff_id),
            digest=str(layer.descriptor.digest),
            outcome=outcome,
            entries=unpacked.entries,
            size=unpacked.size,
            altered=unpacked.altered,
            missing_walls=unpacked.missing_walls,
            seconds=round(self._ledger.now() - started, 3),
        )
        self._ledger.placed(report)
        return report

    async def _ready(self, layer: Layer) -> None:
        try:
            await self._blobs.ready(layer)
        except ContentCorrupt:
            await self._blobs.again(layer)

    async def _made(self, layer: Layer, below: Layer | None, turn: anyio.Event | None) -> Unpacked:
        try:
            return await self._stacked(layer, below, turn)
        except (VerificationError, LayerError):
            # It was right when it came. Has the disk spoiled it since (RELIABILITY L7)?
            if not await self._is_damaged(layer):
                raise
        await self._blobs.again(layer)
        return await self._stacked(layer, below, turn)

    async def _is_damaged(self, layer: Layer) -> bool:
        try:
            await self._blobs.store.watch(layer.descriptor)
        except ContentCorrupt:
            return True
        return False

    async def _stacked(self, layer: Layer, below: Layer | None, turn: anyio.Event | None) -> Unpacked:
        told = self._teller(layer)
        async with self._blobs.store.opened(layer.descriptor.digest) as fd:
            blob = LayerBlob(fd, compression_of(layer.descriptor.media_type), layer.diff_id)
            staged = await self._in_worker(self._place.unpack, layer.name, blob, told)
            try:
                if turn is not None:
                    await turn.wait()
                return await self._in_worker(self._place.commit, staged, None if below is None else below.name, told)
            except BaseException:
                with CancelScope(shield=True):
                    await to_thread.run_sync(self._place.discard, staged)
                raise

    def _teller(self, layer: Layer) -> Told:
        def told(offset: int) -> None:
            stop_when_cancelled()
            from_thread.run_sync(self._ledger.tell, event.Unpacking(layer.descriptor, offset))

        return told

    async def _in_worker(self, function: Callable[[*Args], T], *args: *Args) -> T:
        return await to_thread.run_sync(function, *args, limiter=self._workers)
