"""Shelved: what drivers with a shelf do alike. How a layer is set on its parent is each one's own."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from puller.contracts.layers import LayerBlob, Staged, Told, Unpacked
from puller.rootfs.gathering import NeedsLower
from puller.rootfs.job import Outcome, Unpacker
from puller.rootfs.mount import mount
from puller.rootfs.record import Record
from puller.rootfs.shelf import Shelf
from puller.rootfs.staging import Staging

APART: Final = "diff"
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class StagedLayer(Staged):
    """`outcome` None: the layer cannot be unpacked apart, so nothing is yet."""

    staging: Staging
    outcome: Outcome | None


class Shelved:
    """The part of a Driver that knows its Shelf. Raises as Driver does."""

    def __init__(self, shelf: Shelf, unpacker: Unpacker, *, clock: Clock = time.monotonic) -> None:
        self._shelf = shelf
        self._unpacker = unpacker
        self._clock = clock

    @property
    def name(self) -> str:
        return self._shelf.driver

    def has(self, layer: str) -> bool:
        return self._shelf.has(layer)

    def layers(self) -> list[str]:
        return self._shelf.layers()

    def path(self, layer: str) -> Path:
        return self._shelf.path(layer)

    def parent(self, layer: str) -> str | None:
        return self._shelf.record(layer).parent

    def unpacked(self, layer: str) -> Unpacked:
        record = self._shelf.record(layer)
        return Unpacked(record.entries, record.size, record.altered)

    def record(self, layer: str) -> Record:
        """What is known of a layer."""
        return self._shelf.record(layer)

    def sidecar(self, layer: str) -> Path:
        return self._shelf.sidecar(layer)

    def sidecars(self, layer: str) -> list[Path]:
        return [self._shelf.sidecar(name) for name, _ in reversed(self._shelf.chain(layer))]

    def unpack(self, layer: str, blob: LayerBlob, told: Told) -> StagedLayer:
        staging = self._shelf.stage(layer)
        try:
            staging.make(APART)
            outcome = staging.unpack(self._unpacker, blob, told, into=APART, alone=True)
        except NeedsLower:
            return StagedLayer(layer, blob, staging, None)
        except BaseException:
            self._shelf.discard(layer, staging)
            raise
        return StagedLayer(layer, blob, staging, outcome)

    def discard(self, staged: Staged) -> None:
        if isinstance(staged, StagedLayer):
            self._shelf.discard(staged.layer, staged.staging)

    def lower(self, layer: str) -> list[Path]:
        return [path for path, _ in self.shown(layer)]

    def mount(self, layer: str, target: Path) -> None:
        mount(self.lower(layer), target, userxattr=self.needs_userxattr(layer))

    def remove(self, layer: str) -> None:
        self._shelf.remove(layer)

    def shown(self, layer: str) -> list[tuple[Path, list[Path]]]:
        """The directories that make its tree, the nearest first, each with the sidecars that tell of it."""
        return [(self.path(layer), self.sidecars(layer))]

    def needs_userxattr(self, layer: str) -> bool:
        """Whether marks in it are heard only with the mount option `userxattr`."""
        return False

    def sweep(self, free: Callable[[str], AbstractContextManager[bool]]) -> list[str]:
        """Remove what dead processes left; `free` tries the lock of this name. Returns the layers it was of."""
        return self._shelf.sweep(free)

    def _commit(self, staged: StagedLayer, outcome: Outcome, record: Record) -> Unpacked:
        self._shelf.commit(staged.layer, staged.staging, record)
        return Unpacked(outcome.applied.entries, outcome.applied.size, outcome.altered, outcome.missing)


def record_of(outcome: Outcome, parent: str | None, *, mark: str = "") -> Record:
    """What is to be known of a layer that was just unpacked."""
    applied = outcome.applied
    return Record(
        parent, outcome.diff_id, applied.entries, applied.size, outcome.unpacked_size, outcome.altered,
        opaque=applied.is_root_opaque, mark=mark,
    )  # fmt: skip


def own(staged: Staged) -> StagedLayer:
    """What a driver staged itself. Raises TypeError for another's."""
    if not isinstance(staged, StagedLayer):
        raise TypeError("this was staged by another driver")
    return staged
