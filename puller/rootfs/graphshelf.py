"""GraphShelf: whole trees where Docker's vfs driver has them, and the renames by which one comes to be there, or goes.

    DIR/vfs/dir/<id>/…                                  the tree, as Docker left or would leave it
    DIR/vfs/puller/<id>/{layer.json, altered.jsonl}     what is known of a tree that was made here; of Docker's nothing
    DIR/vfs/puller/staging/vfs-<id>/…                   work; of a dead process, until somebody sweeps

A tree counts for something only once DIR/graph/<id> is there: the record comes first, then the tree, then the image.
"""

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from puller.rootfs.failure import translated
from puller.rootfs.libc import syncfs
from puller.rootfs.openat2 import STEP
from puller.rootfs.record import Record
from puller.rootfs.removal import remove
from puller.rootfs.shelf import Shelf, made_from_itself
from puller.rootfs.staging import RECORD, SIDECAR, Staging
from puller.rootfs.vfs import TREE

_TREES: Final = "vfs/dir"
_NOTES: Final = "vfs/puller"
_WORK: Final = "vfs/puller/staging"
_IMAGES: Final = "graph"
_ABOUT: Final = "about"  # in a staging directory: what becomes one of _NOTES
_USABLE: Final = 0o700
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_ID: Final = re.compile(r"[0-9a-f]{64}")


class GraphShelf(Shelf):
    """The trees below `root`, Docker's own directory, which need not be there yet. Raises as Shelf does."""

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        super().__init__(root, "vfs", TREE, durable=durable)
        self._kept = _TREES
        self._work = _WORK
        self._own = ("vfs", _TREES, _NOTES, _WORK)

    def _tree(self, layer: str) -> str:
        return self._place(layer)

    def _notes(self, layer: str) -> str:
        return f"{_NOTES}/{layer}"

    def known(self, layer: str) -> Record | None:
        """The record of a tree that was made here; None for one of Docker's. Raises ContentCorrupt as `record`."""
        with translated(self.root), suppress(FileNotFoundError, NotADirectoryError):
            with self._opened(self._notes(layer)):
                return self.record(layer)
        return None

    def chain(self, layer: str) -> list[tuple[str, Record]]:
        """The tree and those it was made from, the nearest first, as far down as they were made here."""
        found: dict[str, Record] = {}
        name: str | None = layer
        while name is not None and self.has(name) and (record := self.known(name)) is not None:
            if name in found:
                raise made_from_itself(layer)
            found[name] = record
            name = record.parent
        return list(found.items())

    def commit(self, layer: str, staging: Staging, record: Record) -> None:
        """Make it exist. Nothing may stand in its place."""
        with translated(self.root):
            staging.write(RECORD, record.encode())
            staging.make(_ABOUT)
            for name in (RECORD, SIDECAR):
                staging.rename(name, f"{_ABOUT}/{name}")
            with self._opened(_NOTES, os.O_RDONLY) as notes, self._opened(self._kept, os.O_RDONLY) as trees:
                if self._durable:
                    syncfs(notes)
                remove(notes, os.fsencode(layer))
                os.rename(_ABOUT, layer, src_dir_fd=staging.fd, dst_dir_fd=notes)
                if self._durable:
                    os.fsync(notes)
                _move(TREE, staging.fd, layer, trees)
                if self._durable:
                    os.fsync(trees)
        self.discard(layer, staging)

    def remove(self, layer: str) -> None:
        """Remove what stands in its place, a tree or not: out of sight in one rename, then from the disk; where the
        disk has no room even for that, from where it stands.
        """
        if not self.has(layer) and not os.path.lexists(self.root / self._place(layer)):
            self._forget(layer)
            return
        name = self._staged(layer)
        with translated(self.root):
            self._found()
            with self._opened(self._work) as work, self._opened(self._kept) as trees:
                remove(work, os.fsencode(name))
                try:
                    os.mkdir(name, _USABLE, dir_fd=work)
                except OSError as error:
                    if error.errno not in _FULL:
                        raise
                    remove(trees, os.fsencode(layer))
                else:
                    with self._opened(f"{self._work}/{name}") as staging:
                        _move(layer, trees, TREE, staging, mode=_USABLE)
                    remove(work, os.fsencode(name))
        self._forget(layer)

    def forgotten(self) -> list[str]:
        """The trees that were made here for images that never came to be."""
        if not (self.root / _IMAGES).is_dir():
            return []
        with translated(self.root):
            try:
                with self._opened(_NOTES, os.O_RDONLY) as fd, os.scandir(fd) as found:
                    names = sorted(entry.name for entry in found if _ID.fullmatch(entry.name))
            except FileNotFoundError:
                return []
        return [name for name in names if not os.path.lexists(self.root / _IMAGES / name)]

    def _forget(self, layer: str) -> None:
        with translated(self.root), suppress(FileNotFoundError):
            with self._opened(_NOTES) as notes:
                remove(notes, os.fsencode(layer))


def _move(name: str, source: int, new: str, target: int, *, mode: int | None = None) -> None:
    """Rename a directory, also one that its user may not write to, for its `..` changes; `mode` None: it keeps its own.

    Killed in between, it leaves the tree of an image that is not in the graph: good for nothing but removal anyway.
    """
    try:
        os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
    except PermissionError:
        handle = os.open(name, STEP, dir_fd=source)
        try:
            way = Path(f"/proc/self/fd/{handle}")
            before = stat.S_IMODE(os.fstat(handle).st_mode)
            way.chmod(_USABLE)
            os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
            way.chmod(before if mode is None else mode)
        finally:
            os.close(handle)
