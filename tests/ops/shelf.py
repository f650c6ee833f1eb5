"""A driver that keeps layers in a dictionary and what was asked of it in a journal; for tests of what drives it."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import anyio

from puller.contracts.layers import LayerBlob, Staged, Told, Unpacked, Unseatable
from puller.errors import DiffIDMismatch
from puller.model.digest import Digest
from puller.ops.unpacking.shelves import Shelves
from puller.rootfs.mounts import MountBook
from puller.stream.inflate import Inflate
from puller.stream.sink import Digester

NOWHERE = Path("/nonexistent")


def untroubled(layer: str) -> None:
    """No trouble with any layer."""


class FakeDriver:
    """Holds every blob to its diff ID, as a driver must; `before` is called as a layer begins, `unseatable` refused."""

    def __init__(
        self,
        name: str = "fake",
        *,
        before: Callable[[str], None] = untroubled,
        unseatable: frozenset[int] = frozenset(),
    ) -> None:
        self.name = name
        self.here: dict[str, str | None] = {}
        self.journal: list[str] = []
        self._before = before
        self._unseatable = unseatable

    def has(self, layer: str) -> bool:
        return layer in self.here

    def layers(self) -> list[str]:
        return sorted(self.here)

    def path(self, layer: str) -> Path:
        return Path("/nowhere") / layer

    def unpacked(self, layer: str) -> Unpacked:
        return Unpacked(1, 2, ())

    def parent(self, layer: str) -> str | None:
        return self.here[layer]

    def sidecar(self, layer: str) -> Path:
        return self.path(layer) / "altered.jsonl"

    def sidecars(self, layer: str) -> list[Path]:
        return [self.sidecar(layer)]

    def unpack(self, layer: str, blob: LayerBlob, told: Told) -> Staged:
        self.journal.append(f"unpack {layer}")
        self._before(layer)
        digester = Digester("sha256")
        inflate = Inflate(digester, promised=blob.compression)
        content = os.pread(blob.fd, 1 << 26, 0)
        inflate.write(content)
        inflate.finish()
        told(len(content))
        if digester.digest != blob.diff_id:
            raise DiffIDMismatch("not this layer", wanted=blob.diff_id, got=digester.digest)
        return Staged(layer, blob)

    def commit(self, staged: Staged, parent: str | None, told: Told) -> Unpacked:
        if len(self.here) in self._unseatable:
            raise Unseatable("a layer that wants the one below")
        assert parent is None or parent in self.here
        self.journal.append(f"commit {staged.layer}")
        self.here[staged.layer] = parent
        return Unpacked(1, 2, ())

    def discard(self, staged: Staged) -> None:
        self.journal.append(f"discard {staged.layer}")

    def remove(self, layer: str) -> None:
        assert layer not in self.here.values(), "something stands on it"
        del self.here[layer]

    def sweep(self, free: Callable[[str], AbstractContextManager[bool]]) -> list[str]:
        with free("layer-fake-0") as is_free:
            self.journal.append(f"sweep {is_free}")
        return []

    def shown(self, layer: str) -> list[tuple[Path, list[Path]]]:
        return [(self.path(layer), [])]

    def lower(self, layer: str) -> list[Path]:
        return [self.path(layer)]

    def mount(self, layer: str, target: Path) -> None:
        self.journal.append(f"mount {layer}")

    @contextmanager
    def mounted(self, layer: str) -> Iterator[Path]:
        yield self.path(layer)

    def began(self) -> int:
        """How often a layer was begun."""
        return sum(line.startswith("unpack") for line in self.journal)


def shelves(*drivers: FakeDriver, workers: int = 2, mounts: Path = NOWHERE) -> Shelves:
    """Shelves of these drivers."""
    return Shelves(drivers, MountBook(mounts), anyio.CapacityLimiter(workers))


def chain(*diff_ids: Digest) -> list[str]:
    """The names of the layers of an image, by what image-spec config.md says of chain IDs."""
    names = [diff_ids[0].hex]
    for diff_id in diff_ids[1:]:
        names.append(hashlib.sha256(f"sha256:{names[-1]} {diff_id}".encode()).hexdigest())
    return names
