"""Staging: a directory in which one layer is made, in nobody's sight."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from puller.contracts.layers import LayerBlob, Told
from puller.errors import LimitExceeded
from puller.rootfs.failure import translated
from puller.rootfs.job import Job, Outcome, Unpacker
from puller.rootfs.openat2 import open_stepwise
from puller.rootfs.removal import remove
from puller.rootfs.sidecar import MOST

SIDECAR: Final = "altered.jsonl"
RECORD: Final = "layer.json"

_PRIVATE: Final = 0o700
_FILE_MODE: Final = 0o600
_NEW_FILE: Final = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR | os.O_CLOEXEC


class Staging:
    """The directory open at `fd`, which becomes its own; `path` is for messages and for what needs a name.

    Raises StoreError for the disk.
    """

    def __init__(self, fd: int, path: Path) -> None:
        self.fd = fd
        self.path = path

    def close(self) -> None:
        """Close it; what is in it stays."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def make(self, name: str) -> None:
        """Make an empty directory in it."""
        with translated(self.path):
            os.mkdir(name, _PRIVATE, dir_fd=self.fd)

    def remove(self, name: str) -> None:
        """Remove a file or a tree from it, if it is there."""
        with translated(self.path):
            remove(self.fd, os.fsencode(name))

    def rename(self, name: str, new: str) -> None:
        """Call a file or directory in it otherwise."""
        with translated(self.path):
            os.rename(name, new, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    @contextmanager
    def opened(self, name: str) -> Iterator[int]:
        """A directory in it, open for reading."""
        with translated(self.path):
            fd = open_stepwise(self.fd, os.fsencode(name), os.O_RDONLY)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def appending(self, name: str) -> Iterator[int]:
        """A file in it, open to be read and added to."""
        with translated(self.path):
            fd = os.open(name, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            yield fd
        finally:
            os.close(fd)

    def write(self, name: str, content: bytes) -> None:
        """Make a file with this content."""
        with translated(self.path):
            with os.fdopen(os.open(name, _NEW_FILE, _FILE_MODE, dir_fd=self.fd), "wb") as file:
                file.write(content)

    def unpack(
        self, unpacker: Unpacker, blob: LayerBlob, told: Told, *, into: str, sidecar: str = SIDECAR, alone: bool
    ) -> Outcome:
        """Unpack a blob into one of its directories, with a new sidecar. Raises as Unpacker does.

        While somebody unpacks, perhaps a child process that outlives us, that directory is locked.
        """
        self.remove(sidecar)
        with self.opened(into) as root:
            with translated(self.path):
                fcntl.flock(root, fcntl.LOCK_SH)
                lines = os.open(sidecar, _NEW_FILE, _FILE_MODE, dir_fd=self.fd)
            try:
                outcome = unpacker.unpack(Job(root, blob, lines, alone), told)
                with translated(self.path):
                    size = os.fstat(lines).st_size
                if size > MOST:  # the child knows better, unless it was taken over
                    raise LimitExceeded("too long a sidecar", wanted=f"at most {MOST} bytes")
                return outcome
            finally:
                os.close(lines)


def is_in_use(above: int, name: str) -> bool:
    """Whether something is still unpacked into the staging directory `name`, by a child without its parent, say."""
    try:
        staging = open_stepwise(above, os.fsencode(name), os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        with os.scandir(staging) as found:
            below = [os.fsencode(entry.name) for entry in found if entry.is_dir(follow_symlinks=False)]
        return any(_is_locked(staging, path) for path in below)
    finally:
        os.close(staging)


def _is_locked(above: int, name: bytes) -> bool:
    fd = open_stepwise(above, name, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
