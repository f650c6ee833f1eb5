"""Shelves: where a store keeps unpacked layers, and how an image gets there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from puller.contracts.content import ContentStore
from puller.contracts.layers import Driver, Unseatable
from puller.errors import Unsupported
from puller.model.report import UnpackReport
from puller.ops.pulling.ledger import Ledger
from puller.ops.pulling.plan import Image
from puller.ops.unpacking.stacking import Blobs, Layer, Stacking, layers_of
from puller.rootfs.crew import Crew, InProcess
from puller.rootfs.job import Unpacker
from puller.rootfs.manner import Manner
from puller.rootfs.mounts import MountBook
from puller.rootfs.overlay import DIFF, OverlayDriver
from puller.rootfs.powers import Powers
from puller.rootfs.shelf import Shelf
from puller.rootfs.vfs import TREE, VfsDriver

AS_IT_IS = Manner()


def lock_name(driver: str, layer: str) -> str:
    """The store's lock under which this layer is made and removed."""
    return f"layer-{driver}-{layer}"


@dataclass(frozen=True, slots=True)
class Shelves:
    """Drivers, the preferred one first; `workers` limits how many layers are unpacked at once; `mounts` are shown now.

    A later driver is used for an image that an earlier one cannot hold; `remark` says why a preferred one is not here
    at all.
    """

    drivers: Sequence[Driver]
    mounts: MountBook
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


@contextmanager
def shelves(folder: Path, *, only: str | None = None, workers: int = 2, manner: Manner = AS_IT_IS) -> Iterator[Shelves]:
    """The shelves under `folder`, and a jailed process that unpacks, for as long as the block runs.

    `only` is the name of a driver, to be used alone; `workers` layers are at work at once. Raises Unsupported where
    `only` is a driver that cannot work there.
    """
    with Crew(manner) as crew:
        crew.start()
        overlay, vfs = _drivers(folder, crew)
        drivers: list[Driver] = [driver for driver in (overlay, vfs) if only in (None, driver.name)]
        reason = overlay.unusable_because() if overlay in drivers else None
        if reason is not None and only is not None:
            raise Unsupported("the overlay driver cannot be used here", where=folder, got=reason)
        if reason is not None:
            drivers.remove(overlay)
        remark = f"unpacked with vfs, for overlay cannot be used here: {reason}" if reason else ""
        yield Shelves(drivers, _mounts(folder), anyio.CapacityLimiter(workers), remark)


def shelves_at(folder: Path) -> Shelves:
    """The shelves under `folder` for those who only look and remove: nothing is tried there, and nothing made."""
    return Shelves(_drivers(folder, InProcess(AS_IT_IS)), _mounts(folder), anyio.CapacityLimiter(1))


def _mounts(folder: Path) -> MountBook:
    return MountBook(folder / "mounts")


def _drivers(folder: Path, unpacker: Unpacker) -> tuple[OverlayDriver, VfsDriver]:
    overlay = OverlayDriver(Shelf(folder, "overlay", DIFF), unpacker, Powers.of_this_process())
    return overlay, VfsDriver(Shelf(folder, "vfs", TREE), unpacker)


def _locked(store: ContentStore, driver: Driver) -> Callable[[Layer], AbstractAsyncContextManager[None]]:
    return lambda layer: store.locked(lock_name(driver.name, layer.name))
