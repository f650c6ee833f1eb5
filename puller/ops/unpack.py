"""unpack: an image of the store as one plain directory, complete or absent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio
from anyio import to_thread

from puller.contracts.content import ContentStore
from puller.contracts.layers import LayerBlob, Staged, Told, Unpacked
from puller.errors import ContentMissing, PullerError
from puller.model.event import Report, unheard
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.model.report import UnpackReport
from puller.ops.ledger import Ledger
from puller.ops.stacking import Layer, Stacking, layers_of
from puller.ops.stored import Fetch, present_image, stored_blobs
from puller.ops.tasks import one_error


class Flat(Protocol):
    """A directory in the making: layers are unpacked side by side, merged in order, and shown all at once."""

    def unpack(self, layer: str, blob: LayerBlob, told: Told) -> Staged:
        """Unpack one layer where nobody sees it."""
        ...

    def merge(self, staged: Staged, told: Told) -> Unpacked:
        """Put it onto what is there so far; `staged` is used up."""
        ...

    def discard(self, staged: Staged) -> None:
        """Remove one that is not wanted."""
        ...

    def commit(self) -> None:
        """Make the whole exist, in one rename."""
        ...


async def unpack(
    reference: Reference,
    store: ContentStore,
    flat: Flat,
    *,
    path: str,
    platform: Platform | None,
    fetch: Fetch,
    workers: anyio.CapacityLimiter,
    report: Report = unheard,
) -> UnpackReport:
    """Unpack the image that `reference` names in `store` into `flat`, which becomes the directory `path`.

    Every blob has been verified, or is hashed now; what it unpacks to is held to its diff ID. `fetch` pulls the image:
    it is called where something of it is not here, or has gone bad. `workers` limits how many layers are at work at
    once. Raises any PullerError; then nothing of it exists.
    """
    ledger = Ledger(reference, report)
    results: list[UnpackReport] = []

    async def work() -> None:
        async with store.lease() as lease:
            image = await present_image(reference, store, platform, fetch)
            layers = layers_of(image)
            await lease.hold([layer.descriptor.digest for layer in layers])
            stacking = Stacking(
                _Ground(flat), stored_blobs(store, fetch), locked=_alone, workers=workers, ledger=ledger
            )
            reports = await stacking.run(layers)
            await to_thread.run_sync(flat.commit)
            where = None if image.config is None or image.config.platform is None else str(image.config.platform)
            result = UnpackReport(where, "", path, reports, round(ledger.elapsed(), 3))
            ledger.unpacked(result)
            results.append(result)

    try:
        with one_error():
            async with anyio.create_task_group() as group:
                group.start_soon(work)
    except PullerError as error:
        raise error.at(reference=reference) from error.__cause__
    return results[0]


@asynccontextmanager
async def _alone(layer: Layer) -> AsyncIterator[None]:
    """Nobody else works in a directory that nobody else sees."""
    yield


class _Ground:
    """A Place that has no layer yet."""

    def __init__(self, flat: Flat) -> None:
        self._flat = flat
        self.unpack = flat.unpack
        self.discard = flat.discard

    def has(self, layer: str) -> bool:
        return False

    def unpacked(self, layer: str) -> Unpacked:
        raise ContentMissing("no layer is here yet", got=layer)

    def commit(self, staged: Staged, parent: str | None, told: Told) -> Unpacked:
        return self._flat.merge(staged, told)
