"""What an errno means to a store: the one place where OSError becomes a StoreError."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from puller.errors import PullerError, StoreUnusable
from puller.model.diskerror import DISK, Meaning, disk_error

_RIGHTS: Final = "The store must be writable by this user; choose another directory or repair its permissions."
_ODD: Final = "The store's own directories must be real directories on one file system."
_LOCAL: Final = "Choose a local file system for the store."

_OWN: Final[Mapping[int, Meaning]] = {
    errno.EIO: (StoreUnusable, "the disk failed", f"{DISK} What was being written has been discarded."),
    errno.ELOOP: (StoreUnusable, "a symbolic link stands where the store keeps its own files", _ODD),
    errno.ENOTDIR: (StoreUnusable, "a file stands where a directory should be", _ODD),
    errno.EISDIR: (StoreUnusable, "a directory stands where a file should be", _ODD),
    errno.EXDEV: (StoreUnusable, "the store spans two file systems", _ODD),
    errno.ENOLCK: (StoreUnusable, "the file system has no locks", _LOCAL),
    errno.EOPNOTSUPP: (StoreUnusable, "the file system lacks what a store needs", _LOCAL),
}


def store_error(error: OSError) -> PullerError:
    """The typed error for `error`, with what the reader can do about it."""
    return disk_error(error, where=error.filename, own=_OWN, rights=_RIGHTS)


@contextmanager
def translated() -> Iterator[None]:
    """Raise every OSError of the block as a StoreError. For disk work only: a network error is an OSError too."""
    try:
        yield
    except OSError as error:
        raise store_error(error) from error
