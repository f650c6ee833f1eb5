"""Small files in an open directory: read, written and replaced by descriptors, no link followed, no pipe waited for.

OSError comes out as it is: `failure.py` gives it a meaning.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# A planted link is never followed nor a planted pipe waited for, and no child process inherits a descriptor.
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def directory(path: Path | str, *, at: int | None = None) -> Iterator[int]:
    """A directory, open for as long as the block runs; `at` is the open one that `path` is in."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=at)
    try:
        yield fd
    finally:
        os.close(fd)


def opened(folder: int, name: str) -> int | None:
    """A descriptor of a regular file, to be closed by the caller; None where there is no such name."""
    try:
        fd = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return None
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO, "no regular file", name)


def read(folder: int, name: str, limit: int) -> bytes | None:
    """At most `limit` + 1 bytes of a small file, so that a longer one shows; None where there is none."""
    fd = opened(folder, name)
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(limit + 1)


def created(folder: int, name: str) -> int:
    """A descriptor of a new file, open for writing."""
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=folder)


def write(folder: int, name: str, content: bytes, *, durable: bool) -> None:
    """Write a new file, `durable`: its content is on the disk on return."""
    with os.fdopen(created(folder, name), "wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def locked(fd: int, *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file or directory until it is closed; whether that could be, which with `wait` it always can."""
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(fd, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(fd: int, path: Path) -> bool:
    """Whether `path` leads to what is open at `fd`: a lock on something that was moved or removed counts nothing."""
    held = os.fstat(fd)
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)


def lock_file(path: Path) -> int:
    """A descriptor of the lock file at `path`, made if missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)


def is_directory(path: Path) -> bool:
    """Whether a real directory stands there."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def make_directory(path: Path) -> None:
    """See that a directory is there, and no link to one; a new one is its user's alone."""
    with suppress(FileExistsError):
        path.mkdir(0o700)
    refuse_link(path)


def refuse_link(path: Path) -> None:
    """Raise ELOOP where a link stands: what is made or removed behind it may be anybody's (THREATS H1)."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def is_empty(folder: int) -> bool:
    """Whether nothing is in an open directory."""
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def sync_directory(path: Path) -> None:
    """The names in a directory are on the disk when this returns."""
    with directory(path) as fd:
        os.fsync(fd)
