"""Sibling: the hidden directory beside a target in which it is made, and what dead processes left of such."""

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from puller.errors import InvalidConfig
from puller.rootfs.failure import translated
from puller.rootfs.name import MAX_COMPONENT
from puller.rootfs.removal import remove
from puller.rootfs.staging import SIDECAR, Staging, is_in_use

TREE: Final = "tree"
_FULL: Final = "Name one that is empty, or does not exist."
_SUFFIX: Final = ".altered.jsonl"
_LONGEST: Final = 200  # bytes of the target's name in that of a sibling
_TOKEN: Final = re.compile(rb"[0-9a-f]{8}")
_NO_PARENT: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
_READ: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Target:
    """Where a tree shall be: a name in an open directory, which may hold an empty directory of that name.

    Raises InvalidConfig for a place that cannot be used, StoreError for the disk. Close it.
    """

    def __init__(self, path: Path) -> None:
        path = path if path.name not in ("", "..") else path.resolve()
        if not path.name:
            raise InvalidConfig("no directory to unpack into", where=str(path))
        self.path = path
        self.name = os.fsencode(path.name)
        longest = MAX_COMPONENT - len(_SUFFIX)  # else its sidecar could not be named, and only the end would tell
        if len(self.name) > longest:
            raise InvalidConfig(
                "the name of the directory is too long", wanted=f"at most {longest} bytes", where=str(path)
            )
        try:
            self.above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_PARENT:
                what = "the directory to unpack into has no parent directory"
                raise InvalidConfig(what, where=str(path)) from error
            with translated(path.parent):
                raise error
        try:
            self.check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the directory above."""
        os.close(self.above)

    @property
    def sidecar(self) -> str:
        """The name of the file of alterations beside it."""
        return os.fsdecode(self.name) + _SUFFIX

    def check(self) -> None:
        """See that nothing is there, or an empty directory."""
        with translated(self.path):
            try:
                fd = os.open(self.name, _READ, dir_fd=self.above)
            except FileNotFoundError:
                return
            except OSError as error:
                if stat.S_ISDIR(os.stat(self.name, dir_fd=self.above, follow_symlinks=False).st_mode):
                    raise
                raise InvalidConfig("not a directory", where=str(self.path)) from error
            try:
                with os.scandir(fd) as found:
                    if next(found, None) is not None:
                        raise InvalidConfig(
                            "the directory to unpack into is not empty", where=str(self.path), hint=_FULL
                        )
                if os.fstat(fd).st_dev != os.fstat(self.above).st_dev:
                    hint = "Name a directory in it."
                    raise InvalidConfig("cannot unpack into a mount point", where=str(self.path), hint=hint)
            finally:
                os.close(fd)

    def make_sibling(self, token: Callable[[], str]) -> Staging:
        """A new sibling, closed to others and locked as long as it is open; `token` gives 8 hexadecimal digits."""
        with translated(self.path):
            while True:
                name = self._prefix + token().encode()
                os.mkdir(name, 0o700, dir_fd=self.above)
                # Until it is locked, who sweeps may take it for a dead one's.
                with suppress(FileNotFoundError):
                    fd = os.open(name, _READ, dir_fd=self.above)
                    if self._is_locked_now(name, fd):
                        return Staging(fd, self.path.parent / os.fsdecode(name))
                    os.close(fd)

    def remove_sibling(self, staging: Staging) -> None:
        """Remove it with all that is in it."""
        with translated(self.path):
            remove(self.above, os.fsencode(staging.path.name))
        staging.close()

    def sweep(self) -> None:
        """Remove the siblings of dead processes, and the sidecar of one that died just before its tree was shown."""
        with translated(self.path):
            with os.scandir(self.above) as found:
                names = [os.fsencode(entry.name) for entry in found]
            for name in names:
                if name.startswith(self._prefix) and _TOKEN.fullmatch(name.removeprefix(self._prefix)):
                    self._sweep(name)

    def _sweep(self, name: bytes) -> None:
        try:
            fd = os.open(name, _READ, dir_fd=self.above)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            if self._is_locked_now(name, fd) and not is_in_use(self.above, os.fsdecode(name)):
                if look(fd, TREE) is not None and same(look(fd, SIDECAR), look(self.above, self.sidecar)):
                    os.unlink(self.sidecar, dir_fd=self.above)
                remove(self.above, name)
        finally:
            os.close(fd)

    @property
    def _prefix(self) -> bytes:
        return b"." + self.name[:_LONGEST] + b".puller-"

    def _is_locked_now(self, name: bytes, fd: int) -> bool:
        """Lock the directory open at `fd`; whether it is ours now, and still has that name."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return same(os.fstat(fd), look(self.above, os.fsdecode(name)))


def look(folder: int, name: str) -> os.stat_result | None:
    """The lstat of `name` in an open directory, if it is there."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    """Whether both are there, and one file."""
    return one is not None and other is not None and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
