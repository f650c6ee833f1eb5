"""Appearing: a file that is under its name when it is whole, and not at all before.

Where the file system can, it has no name until then, so not even a killed process leaves anything behind.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from puller.archive.failure import translated
from puller.errors import InvalidConfig

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE: Final = 0o666  # less what the umask takes
_SELF: Final = "/proc/self/fd"


class Appearing:
    """The file of one block: `fd` is open for writing and reading; `appear` gives it its name."""

    def __init__(self, target: Path, *, overwrite: bool, nameless: bool) -> None:
        self._target = target
        self._overwrite = overwrite
        self._beside: Path | None = None
        with translated(target):
            self.fd = self._nameless() if nameless else -1
            if self.fd < 0:
                self._beside = self._unfinished()
                self.fd = os.open(self._beside, _NEW, _MODE)

    def appear(self) -> None:
        """Give it its name; the caller has brought its content to the disk. Raises InvalidConfig where the name is in
        use by now, StoreError.
        """
        with translated(self._target):
            if self._overwrite:
                self._replace()
            elif self._beside is None:
                self._link(self._target)
            else:
                self._claim(self._beside)
            _sync(self._target.parent)

    def close(self) -> None:
        """Close it; without `appear` nothing of it is left."""
        os.close(self.fd)
        if self._beside is not None:
            with translated(self._target):
                self._beside.unlink(missing_ok=True)

    def _unfinished(self) -> Path:
        """A name in the same directory that nobody can have planted (THREATS H1)."""
        return self._target.with_name(f".copy-{secrets.token_hex(8)}.unfinished")

    def _nameless(self) -> int:
        """A file without a name in that directory; -1 where there can be none, or none that gets a name later."""
        if not Path(_SELF).exists():
            return -1
        try:
            return os.open(self._target.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, _MODE)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                return -1
            raise

    def _replace(self) -> None:
        if self._beside is None:
            self._beside = self._unfinished()
            self._link(self._beside)
        self._beside.replace(self._target)
        self._beside = None

    def _link(self, path: Path) -> None:
        # The descriptor is not looked at: Python only asks for the link to be followed where one is given (linkat(2)).
        try:
            os.link(f"{_SELF}/{self.fd}", path, src_dir_fd=self.fd, follow_symlinks=True)
        except FileExistsError as error:
            raise _taken(self._target) from error

    def _claim(self, beside: Path) -> None:
        # Linked and not renamed: a rename would take the place of a file that came meanwhile.
        try:
            os.link(beside, self._target)
        except FileExistsError as error:
            raise _taken(self._target) from error
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
                raise
            # A file system without hard links: there a moment is left in which another file could come.
            if os.path.lexists(self._target):
                raise _taken(self._target) from error
            beside.replace(self._target)
            self._beside = None


@contextmanager
def appearing(target: Path, *, overwrite: bool = False, nameless: bool = True) -> Iterator[Appearing]:
    """A file that is to become `target`. Blocking.

    `overwrite`: it takes the place of a file that is there. `nameless` False: it has a name of its own until then, as
    where the file system has no files without one. Raises InvalidConfig for what can be no file, and where one is there
    already, StoreError.
    """
    check_free(target, overwrite=overwrite)
    file = Appearing(target, overwrite=overwrite, nameless=nameless)
    try:
        yield file
    finally:
        file.close()


def check_free(target: Path, *, overwrite: bool) -> None:
    """Raise InvalidConfig where `target` cannot be written, or must not be."""
    try:
        if not target.name or (target.exists() and not target.is_file()):
            raise InvalidConfig("an archive can only become a file", where=target)
        if not target.parent.is_dir():
            raise InvalidConfig("there is no such directory", where=target.parent)
    except OSError as error:
        raise InvalidConfig("the archive cannot be written", where=target, got=error.strerror) from error
    if not overwrite and os.path.lexists(target):
        raise _taken(target)


def _taken(target: Path) -> InvalidConfig:
    return InvalidConfig("the file is there already", where=target, hint="Remove it first, or choose another name.")


def _sync(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot sync a directory
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
