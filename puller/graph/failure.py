"""What an errno means to a graph: the one place where OSError becomes an error of this package."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from puller.errors import ContentCorrupt, NoSpace, StoreBusy, StoreError, StoreUnusable

_SPACE: Final = "Free some space; nothing of the image that was being written is kept."
_RIGHTS: Final = "The directory must be readable and writable by this user, as Docker's own is by root."
_PLANTED: Final = "Docker keeps plain files and directories only: somebody else put this there."

_MEANING: Final[dict[int, tuple[type[StoreError], str, str]]] = {
    errno.ENOSPC: (NoSpace, "no space left on the disk", _SPACE),
    errno.EDQUOT: (NoSpace, "the disk quota is used up", _SPACE),
    errno.EFBIG: (NoSpace, "the file system cannot hold a file of this size", _SPACE),
    errno.EMFILE: (StoreBusy, "too many open files in this process", "Raise the limit of open files (ulimit -n)."),
    errno.ENFILE: (StoreBusy, "too many open files on this machine", ""),
    errno.ENOMEM: (StoreBusy, "the machine is out of memory", "Run fewer jobs at once."),
    errno.EIO: (StoreUnusable, "the disk failed", "The disk reports an error: see the kernel log."),
    errno.EROFS: (StoreUnusable, "the file system is read-only", _RIGHTS),
    errno.EACCES: (StoreUnusable, "permission denied", _RIGHTS),
    errno.EPERM: (StoreUnusable, "operation not permitted", _RIGHTS),
    errno.ELOOP: (ContentCorrupt, "a symbolic link stands where a file of the graph should be", _PLANTED),
    errno.ENOTDIR: (ContentCorrupt, "a file stands where a directory of the graph should be", _PLANTED),
    errno.EISDIR: (ContentCorrupt, "a directory stands where a file of the graph should be", _PLANTED),
    errno.ENXIO: (ContentCorrupt, "a pipe stands where a file of the graph should be", _PLANTED),
    errno.ENOENT: (StoreUnusable, "a directory has vanished", "Somebody removed it while it was in use."),
    errno.EXDEV: (StoreUnusable, "the graph spans two file systems", ""),
    errno.ENOLCK: (StoreUnusable, "the file system has no locks", "Choose a local file system."),
}


def graph_error(error: OSError, where: Path) -> StoreError:
    """The typed error for `error`; `where` is named if the error itself names nothing."""
    kind, what, hint = _MEANING.get(error.errno or 0, (StoreUnusable, error.strerror or "the disk failed", ""))
    named = where / error.filename if isinstance(error.filename, str) else where
    return kind(what, where=named, got=errno.errorcode.get(error.errno or 0), hint=hint)


@contextmanager
def translated(where: Path) -> Iterator[None]:
    """Raise every OSError of the block as a StoreError; for disk work in the directory `where` only."""
    try:
        yield
    except OSError as error:
        raise graph_error(error, where) from error
