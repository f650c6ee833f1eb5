"""What an errno means to a store: one table, and the one place where OSError becomes a StoreError."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from puller.errors import NoSpace, StoreBusy, StoreError, StoreUnusable

_SPACE = "Free some space, or choose another store directory."
_HANDLES = "Raise the limit of open files (ulimit -n), or run fewer jobs at once."
_DISK = "The disk reports an error: see the kernel log. What was being written has been discarded."
_RIGHTS = "The store must be writable by this user; choose another directory or repair its permissions."
_ODD = "The store's own directories must be real directories on one file system."

_MEANING: dict[int, tuple[type[StoreError], str, str]] = {
    errno.ENOSPC: (NoSpace, "no space left on the disk", _SPACE),
    errno.EDQUOT: (NoSpace, "the disk quota is used up", _SPACE),
    errno.EFBIG: (NoSpace, "the file system cannot hold a file of this size", _SPACE),
    errno.EMFILE: (StoreBusy, "too many open files in this process", _HANDLES),
    errno.ENFILE: (StoreBusy, "too many open files on this machine", _HANDLES),
    errno.ENOMEM: (StoreBusy, "the machine is out of memory", "Run fewer jobs at once."),
    errno.EIO: (StoreUnusable, "the disk failed", _DISK),
    errno.EROFS: (StoreUnusable, "the file system is read-only", _RIGHTS),
    errno.EACCES: (StoreUnusable, "permission denied", _RIGHTS),
    errno.EPERM: (StoreUnusable, "operation not permitted", _RIGHTS),
    errno.ELOOP: (StoreUnusable, "a symbolic link stands where the store keeps its own files", _ODD),
    errno.ENOTDIR: (StoreUnusable, "a file stands where a directory should be", _ODD),
    errno.EISDIR: (StoreUnusable, "a directory stands where a file should be", _ODD),
    errno.EXDEV: (StoreUnusable, "the store spans two file systems", _ODD),
    errno.ENOENT: (StoreUnusable, "a directory of the store has vanished", "Somebody removed it while it was in use."),
    errno.ENOLCK: (StoreUnusable, "the file system has no locks", "Choose a local file system for the store."),
    errno.EOPNOTSUPP: (StoreUnusable, "the file system lacks what a store needs", "Choose a local file system."),
}


def store_error(error: OSError) -> StoreError:
    """The typed error for `error`, with what the reader can do about it."""
    default = (StoreUnusable, error.strerror or "the disk failed", "")
    kind, what, hint = _MEANING.get(error.errno or 0, default)
    return kind(what, where=error.filename, got=errno.errorcode.get(error.errno or 0), hint=hint)


@contextmanager
def translated() -> Iterator[None]:
    """Raise every OSError of the block as a StoreError. For disk work only: a network error is an OSError too."""
    try:
        yield
    except OSError as error:
        raise store_error(error) from error
