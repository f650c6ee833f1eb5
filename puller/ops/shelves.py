"""Shelves: where a store keeps unpacked layers, and how an image gets there."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import anyio
from anyio import to_thread

from puller.contracts.content import ContentStore
from puller.contracts.layers import Driver, Unseatable
from puller.model.report import UnpackReport
from puller.ops.ledger import Ledger
from puller.ops.plan import Image
from puller.ops.stacking import Blobs, Layer, Stacking, layers_of


def lock_name(driver: str, layer: str) -> str:
    """The store's lock under which this layer is made and removed."""
    return f"layer-{driver}-{layer}"


@dataclass(frozen=True, slots=True)
class Shelves:
    """Drivers, the preferred one first; `workers` limits how many layers are unpacked at once.

    A later driver is used for an image that an earlier one cannot hold; `remark` says why a preferred one is not here
    at all.
    """

    drivers: Sequence[Driver]
    workers: anyio.CapacityLimiter
    remark: str = ""

    async def holder(self, layers: Sequence[Layer]) -> Driver | None:
        """The driver that has all of these, if there is one."""
        for driver in self.drivers:
            if all([await to_thread.run_sync(driver.has, layer.name) for layer in layers]):
                return driver
        return None

    async def put(self, image: Image, blobs: Blobs, ledger: Ledger) -> UnpackReport:
        """Unpack an image; layers that are here already stay as they are. Raises as Stacking does."""
        layers = layers_of(image)
        started = ledger.now()
        holder = await self.holder(layers)
        *preferred, last = self.drivers if holder is None else (holder,)
        for driver in preferred:
            try:
                return await self._put(driver, image, layers, blobs, ledger, started)
            except Unseatable as error:
                ledger.warn(f"unpacked with {last.name}, for {driver.name} cannot hold this image: {error}")
        return await self._put(last, image, layers, blobs, ledger, started)

    async def _put(
        self, driver: Driver, image: Image, layers: Sequence[Layer], blobs: Blobs, ledger: Ledger, started: float
    ) -> UnpackReport:
        stacking = Stacking(driver, blobs, locked=_locked(blobs.store, driver), workers=self.workers, ledger=ledger)
        reports = await stacking.run(layers)
        top = str(await to_thread.run_sync(driver.path, layers[-1].name)) if layers else ""
        platform = None if image.config is None or image.config.platform is None else str(image.config.platform)
        result = UnpackReport(platform, driver.name, top, reports, round(ledger.now() - started, 3))
        ledger.unpacked(result)
        return result


def _locked(store: ContentStore, driver: Driver) -> Callable[[Layer], AbstractAsyncContextManager[None]]:
    return lambda layer: store.locked(lock_name(driver.name, layer.name))
