"""Disks that misbehave or take notes: stand-ins for Files."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from puller.store.files import Files

OPERATIONS = frozenset(
    {"open", "write_at", "read_into", "truncate", "sync", "sync_directory", "seal", "rename", "remove", "lock"}
    | {"make_directory", "remove_directory", "free", "look", "names", "status"}
)


class WatchedFiles(Files):
    """The real disk, with every operation announced to `before(name, arguments)`, which may raise."""

    def __init__(self, before: Callable[[str, tuple[Any, ...]], None]) -> None:
        self._before = before

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name not in OPERATIONS:
            return value
        before = self._before

        def announced(*arguments: Any) -> Any:
            before(name, arguments)
            return value(*arguments)

        return announced


class FaultyDisk:
    """Raises an errno at the `at`-th time (from 1) that `operation` is asked for a path or file under `where`."""

    def __init__(self, operation: str, code: int, *, at: int = 1, where: str = "") -> None:
        self.operation = operation
        self.code = code
        self.at = at
        self.where = where
        self.armed = False
        self.asked = 0
        self.files = WatchedFiles(self._before)

    def _before(self, name: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed or name != self.operation or self.where not in path_of(arguments):
            return
        self.asked += 1
        if self.asked == self.at:
            raise OSError(self.code, os.strerror(self.code), path_of(arguments))


class NotedDisk:
    """Notes every operation as (name, path inside the store)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.notes: list[tuple[str, str]] = []
        self.files = WatchedFiles(self._before)

    def _before(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.notes.append((name, path_of(arguments, last=name == "rename").removeprefix(f"{self._root}/")))

    def position(self, name: str, path: str) -> int:
        """When an operation was done; fails where it was not."""
        return self.notes.index((name, path))


class NoLocks(Files):
    """A file system where locks fail, or where they hold nobody off."""

    def __init__(self, *, code: int | None = None) -> None:
        self._code = code

    def lock(self, fd: int) -> bool:
        if self._code is not None:
            raise OSError(self._code, os.strerror(self._code))
        return True


class SmallDisk(Files):
    """A disk with so many bytes free."""

    def __init__(self, free: int) -> None:
        self._free = free

    def free(self, path: Path) -> int:
        return self._free


class Sealed(Files):
    """A disk whose read-only files cannot be opened for writing: what a user sees who is not root."""

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        status = self.look(path)
        if flags & os.O_RDWR and status is not None and not status.st_mode & 0o200:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return super().open(path, flags, mode)


def path_of(arguments: tuple[Any, ...], *, last: bool = False) -> str:
    """The path an operation is about, also where it is given as a descriptor."""
    things = [thing for thing in arguments if isinstance(thing, Path)]
    if things:
        return str(things[-1 if last else 0])
    fds = [thing for thing in arguments[:1] if isinstance(thing, int)]
    return str(Path(f"/proc/self/fd/{fds[0]}").readlink()) if fds else ""
