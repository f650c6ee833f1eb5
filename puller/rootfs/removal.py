"""Removal of trees by descriptors: no link is followed, no depth is too deep, what must stay can stay (THREATS F13)."""

import errno
import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from puller.rootfs.name import joined
from puller.rootfs.openat2 import STEP

_MOST_OPEN: Final = 64  # directories of one branch that are open at once
_READ: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Keeper(Protocol):
    """Says what stays, and hears what is done; `path` is always that of a directory."""

    def kept(self, path: bytes, /) -> Collection[bytes]:
        """The names in it that stay; so do the directories on the way to them."""
        ...

    def entered(self, path: bytes, fd: int, /) -> None:
        """It is about to be changed; `fd` (perhaps O_PATH) shows how it was."""
        ...

    def dropped(self, path: bytes, /) -> None:
        """It is gone."""
        ...


class Nothing:
    """A Keeper that keeps nothing."""

    def kept(self, path: bytes, /) -> Collection[bytes]:
        return ()

    def entered(self, path: bytes, fd: int, /) -> None:
        return

    def dropped(self, path: bytes, /) -> None:
        return


NOTHING: Final = Nothing()


def remove(parent: int, name: bytes, path: bytes = b"", keeper: Keeper = NOTHING) -> os.stat_result | None:
    """Remove `name` from the open directory `parent`; None if there was no such thing, else what it was.

    `path` is what its keeper calls it. A directory in which something stays, stays. Raises OSError.
    """
    try:
        state = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(state.st_mode):
        os.unlink(name, dir_fd=parent)
        return state
    empty(parent, name, path, keeper)
    if _rmdir(parent, name):
        keeper.dropped(path)
    return state


def empty(parent: int, name: bytes, path: bytes = b"", keeper: Keeper = NOTHING) -> None:
    """Remove what is in the directory `name` (`.` is `parent` itself), as `remove` does; it stays itself."""
    _Emptying(keeper).run(parent, name, path)


def _rmdir(parent: int, name: bytes) -> bool:
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


class _Level:
    """One directory on the way down: what is still to do in it. `fd` is -1 while it is closed to save descriptors."""

    __slots__ = ("fd", "identity", "name", "path", "stays", "todo")

    def __init__(self, fd: int, name: bytes, path: bytes, stays: bool) -> None:
        self.fd = fd
        self.name = name
        self.path = path
        self.stays = stays
        with os.scandir(fd) as found:
            self.todo = [os.fsencode(entry.name) for entry in found]
        state = os.fstat(fd)
        self.identity = (state.st_dev, state.st_ino)


class _Emptying:
    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._levels: list[_Level] = []

    def run(self, parent: int, name: bytes, path: bytes) -> None:
        try:
            self._down(parent, name, path, stays=True)
            while self._levels:
                level = self._levels[-1]
                if level.todo:
                    self._remove(level, level.todo.pop())
                else:
                    self._up()
        finally:
            for level in self._levels:
                if level.fd >= 0:
                    os.close(level.fd)

    def _remove(self, level: _Level, name: bytes) -> None:
        stays = name in self._keeper.kept(level.path)
        if stays and not stat.S_ISDIR(os.stat(name, dir_fd=level.fd, follow_symlinks=False).st_mode):
            return
        if not stays:
            try:
                os.unlink(name, dir_fd=level.fd)
                return
            except OSError as error:
                if error.errno not in (errno.EISDIR, errno.EPERM):  # POSIX has EPERM for a directory
                    raise
        self._down(level.fd, name, joined(level.path, name), stays=stays)

    def _down(self, parent: int, name: bytes, path: bytes, *, stays: bool) -> None:
        fd = self._opened(parent, name, path)
        try:
            self._levels.append(_Level(fd, name, path, stays))
        except OSError:
            os.close(fd)
            raise
        if len(self._levels) > _MOST_OPEN:
            far = self._levels[-1 - _MOST_OPEN]
            os.close(far.fd)
            far.fd = -1

    def _opened(self, parent: int, name: bytes, path: bytes) -> int:
        """The directory `name`, open for reading, and opened up where its owner may not read or change it."""
        try:
            fd = os.open(name, _READ, dir_fd=parent)
        except PermissionError:
            return self._opened_up(parent, name, path)
        self._keeper.entered(path, fd)
        if os.fstat(fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            with suppress(PermissionError):
                os.fchmod(fd, stat.S_IRWXU)
        return fd

    def _opened_up(self, parent: int, name: bytes, path: bytes) -> int:
        handle = os.open(name, STEP, dir_fd=parent)
        try:
            self._keeper.entered(path, handle)
            # By way of /proc, for fchmod takes no O_PATH descriptor and chmod by name would follow a link.
            Path(f"/proc/self/fd/{handle}").chmod(stat.S_IRWXU)
            return os.open(b".", _READ, dir_fd=handle)
        finally:
            os.close(handle)

    def _up(self) -> None:
        """Leave the deepest directory, and remove it unless it or something in it stays."""
        level = self._levels.pop()
        try:
            if not self._levels:
                return
            above = self._levels[-1]
            if above.fd < 0:
                self._reopen(above, level.fd)
        finally:
            os.close(level.fd)
        if not level.stays and _rmdir(above.fd, level.name):
            self._keeper.dropped(level.path)

    def _reopen(self, above: _Level, below: int) -> None:
        above.fd = os.open(b"..", _READ, dir_fd=below)
        state = os.fstat(above.fd)
        if (state.st_dev, state.st_ino) != above.identity:
            raise OSError(errno.ENOENT, "directory was moved while it was removed", above.path)
