"""Shelf: the directories of one driver, and the rename by which a layer comes to be there, or goes.

    ROOT/<driver>/<layer>/{diff or tree, layer.json, altered.jsonl}     complete, always
    ROOT/staging/<driver>-<layer>/…                                     work; of a dead process, until somebody sweeps

Two never work on one layer: whoever calls holds its lock. Everything is reached by descriptors from ROOT, so that a
link below it is never followed (THREATS H1), and every directory above a tree is its user's alone (THREATS F8).
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from puller.errors import ContentCorrupt, ContentMissing, InvalidConfig, StoreBusy
from puller.rootfs.failure import translated
from puller.rootfs.libc import syncfs
from puller.rootfs.openat2 import STEP, open_stepwise
from puller.rootfs.record import KEPT, Record
from puller.rootfs.removal import remove
from puller.rootfs.staging import RECORD, SIDECAR, Staging, is_in_use

_LAYER: Final = re.compile(r"[0-9a-f]{64}")
_STAGING: Final = "staging"
_PRIVATE: Final = 0o700


class Shelf:
    """The layers of `driver` under `root`, each with its files in a directory called `content`.

    `durable` False: nothing is synced, so that a power cut may leave layers with holes. Raises StoreError for the disk,
    ContentMissing for layers that are not here.
    """

    def __init__(self, root: Path, driver: str, content: str, *, durable: bool = True) -> None:
        self.root = root
        self.driver = driver
        self.content = content
        self._durable = durable
        # Paths from the root: of what is kept, of work, and of all directories that are made here and closed to others.
        self._kept = driver
        self._work = _STAGING
        self._own: tuple[str, ...] = ("", driver, _STAGING)

    def _place(self, layer: str) -> str:
        """The directory that makes a layer exist, from the root."""
        return f"{self._kept}/{layer}"

    def _tree(self, layer: str) -> str:
        """That of its files."""
        return f"{self._kept}/{layer}/{self.content}"

    def _notes(self, layer: str) -> str:
        """That of its record and its sidecar."""
        return f"{self._kept}/{layer}"

    def has(self, layer: str) -> bool:
        """Whether it is here, and so complete."""
        _check(layer)
        with translated(self.root), suppress(FileNotFoundError, NotADirectoryError):
            with self._opened(self._place(layer)):
                return True
        return False

    def layers(self) -> list[str]:
        """All that are here, in order."""
        with translated(self.root):
            try:
                with self._opened(self._kept, os.O_RDONLY) as fd:
                    return sorted(name for name in _names(fd) if _LAYER.fullmatch(name))
            except FileNotFoundError:
                return []

    def path(self, layer: str) -> Path:
        """The directory of its files."""
        self._need(layer)
        return self.root / self._tree(layer)

    def sidecar(self, layer: str) -> Path:
        """Its file of alterations."""
        self._need(layer)
        return self.root / self._notes(layer) / SIDECAR

    def record(self, layer: str) -> Record:
        """What is known of it. Raises ContentCorrupt for a damaged record."""
        self._need(layer)
        with translated(self.root), self._opened(self._notes(layer)) as fd:
            return Record.read(os.open(RECORD, KEPT, dir_fd=fd))

    def chain(self, layer: str) -> list[tuple[str, Record]]:
        """The layer and all below it, the nearest first."""
        found: dict[str, Record] = {}
        name: str | None = layer
        while name is not None:
            if name in found:
                raise made_from_itself(layer)
            found[name] = self.record(name)
            name = found[name].parent
        return list(found.items())

    @contextmanager
    def opened(self, layer: str) -> Iterator[int]:
        """The directory of its files, open for reading."""
        self._need(layer)
        with ExitStack() as stack:
            with translated(self.root):
                fd = stack.enter_context(self._opened(self._tree(layer), os.O_RDONLY))
            yield fd

    def stage(self, layer: str) -> Staging:
        """An empty place to make it; what a dead process left there is removed."""
        _check(layer)
        name = self._staged(layer)
        with translated(self.root):
            self._found()
            with self._opened(self._work) as above:
                if is_in_use(above, name):
                    raise StoreBusy("a process that was ended still unpacks this layer", hint="Try again.")
                remove(above, os.fsencode(name))
                os.mkdir(name, _PRIVATE, dir_fd=above)
                return Staging(os.open(name, STEP, dir_fd=above), self.root / self._work / name)

    def discard(self, layer: str, staging: Staging) -> None:
        """Remove what was staged. It is no error if it is gone already."""
        staging.close()
        with translated(self.root), self._opened(self._work) as above:
            remove(above, os.fsencode(self._staged(layer)))

    def commit(self, layer: str, staging: Staging, record: Record) -> None:
        """Make it exist, in one rename. If it does already, what was staged is dropped."""
        with translated(self.root):
            staging.write(RECORD, record.encode())
            with self._opened(self._work, os.O_RDONLY) as source, self._opened(self._kept, os.O_RDONLY) as target:
                if self._durable:
                    syncfs(source)
                try:
                    os.rename(self._staged(layer), layer, src_dir_fd=source, dst_dir_fd=target)
                except OSError:
                    if not self.has(layer):
                        raise
                if self._durable:
                    os.fsync(target)
        self.discard(layer, staging)

    def remove(self, layer: str) -> None:
        """Remove it: out of sight in one rename, then from the disk."""
        if not self.has(layer):
            return
        name = self._staged(layer)
        with translated(self.root):
            self._found()
            with self._opened(self._work) as work, self._opened(self._kept) as shelf:
                remove(work, os.fsencode(name))
                os.rename(layer, name, src_dir_fd=shelf, dst_dir_fd=work)
                remove(work, os.fsencode(name))

    def sweep(self, free: Callable[[str], AbstractContextManager[bool]]) -> list[str]:
        """Remove what dead processes left. `free` tries the lock of this name. Returns the layers it was of."""
        swept = []
        for name in self._left():
            layer = name.removeprefix(f"{self.driver}-")
            with free(f"layer-{name}") as is_free:
                if is_free:
                    with translated(self.root), self._opened(self._work) as work:
                        if not is_in_use(work, name):
                            remove(work, os.fsencode(name))
                            swept.append(layer)
        return swept

    def scratch(self) -> Path:
        """The directory of work, made if it is missing: for what must be tried on this very file system."""
        with translated(self.root):
            self._found()
        return self.root / self._work

    def _left(self) -> list[str]:
        with translated(self.root):
            try:
                with self._opened(self._work, os.O_RDONLY) as fd:
                    names = _names(fd)
            except FileNotFoundError:
                return []
        prefix = f"{self.driver}-"
        return sorted(n for n in names if n.startswith(prefix) and _LAYER.fullmatch(n.removeprefix(prefix)))

    def _staged(self, layer: str) -> str:
        return f"{self.driver}-{layer}"

    def _need(self, layer: str) -> None:
        if not self.has(layer):
            raise ContentMissing(f"no such layer in {self.driver}", got=layer)

    def _found(self) -> None:
        """See that the directories are there, real, and closed to others."""
        with suppress(FileExistsError):
            self.root.mkdir(_PRIVATE)
        for path in self._own:
            above, _, name = path.rpartition("/")
            if name:
                with self._opened(above) as fd, suppress(FileExistsError):
                    os.mkdir(name, _PRIVATE, dir_fd=fd)
            with self._opened(path, os.O_RDONLY) as fd:
                if stat.S_IMODE(os.fstat(fd).st_mode) & ~_PRIVATE:
                    os.fchmod(fd, _PRIVATE)

    @contextmanager
    def _opened(self, path: str, flags: int = os.O_PATH) -> Iterator[int]:
        root = os.open(self.root, STEP)
        try:
            fd = open_stepwise(root, os.fsencode(path), flags)
        finally:
            os.close(root)
        try:
            yield fd
        finally:
            os.close(fd)


def made_from_itself(layer: str) -> ContentCorrupt:
    """The error for records that somebody has bent into a ring (THREATS G3)."""
    return ContentCorrupt("a layer is recorded as made from itself", where=layer)


def _names(fd: int) -> list[str]:
    with os.scandir(fd) as found:
        return [entry.name for entry in found]


def _check(layer: str) -> None:
    if not _LAYER.fullmatch(layer):
        raise InvalidConfig("no name of a layer", wanted="64 hexadecimal digits", got=layer)
