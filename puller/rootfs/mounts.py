"""MountBook: which layers stand under which mount points, so that nobody removes them while they are looked at."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from puller.rootfs.failure import tree_error

_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of an image: its mount point, and the layers below it by driver and name."""

    target: str
    driver: str
    layers: tuple[str, ...]


class MountBook:
    """One file for each mount under `folder`, which is made on first use. Blocking; raises StoreError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, mount: Mount) -> None:
        """Write it down, its layers leased until it is mounted: an entry without a mount counts for nothing."""
        document = {"target": mount.target, "driver": mount.driver, "layers": mount.layers}
        path = self._path(mount.target)
        scratch = path.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._folder.is_symlink():  # behind it nobody would look, or somebody else would (THREATS H1)
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            with scratch.open("w", encoding="utf-8") as file:
                json.dump(document, file)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        except OSError as error:
            raise tree_error(error, os.fsencode(path)) from error

    def forget(self, target: str) -> None:
        """It is mounted no more."""
        self._path(target).unlink(missing_ok=True)

    def living(self) -> Iterator[Mount]:
        """Those whose mount points still are mount points; what is left of others is removed."""
        for path in sorted(self._folder.glob("*.json")):
            mount = _read(path)
            if mount is None or os.path.ismount(mount.target):
                if mount is not None:
                    yield mount
            else:
                path.unlink(missing_ok=True)

    def target_of(self, layer: str) -> str | None:
        """Where a mount shows this layer, or the image of this ID; None where none does."""
        return next((mount.target for mount in self.living() if layer in mount.layers), None)

    def _path(self, target: str) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(target)).hexdigest()}.json"


def _read(path: Path) -> Mount | None:
    try:
        document = json.loads(path.read_bytes()[:_LIMIT])
        return Mount(str(document["target"]), str(document["driver"]), tuple(map(str, document["layers"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # being written, or damaged: then the mount point is anybody's
