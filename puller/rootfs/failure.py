"""What an errno means while a tree is written: the one place where OSError becomes an error of this package."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from puller.errors import LimitExceeded, NoSpace, PullerError, StoreBusy, StoreUnusable, UnsafePath
from puller.rootfs.name import shown

_SPACE: Final = "Free some space, or unpack elsewhere."
_CHANGED: Final = "Somebody changed the tree while it was written."

_MEANING: Final[dict[int, tuple[type[PullerError], str, str]]] = {
    errno.ENOSPC: (NoSpace, "no space left on the disk", _SPACE),
    errno.EDQUOT: (NoSpace, "the disk quota is used up", _SPACE),
    errno.EFBIG: (NoSpace, "the file system cannot hold a file of this size", _SPACE),
    errno.EMFILE: (StoreBusy, "too many open files in this process", "Raise the limit of open files (ulimit -n)."),
    errno.ENFILE: (StoreBusy, "too many open files on this machine", ""),
    errno.ENOMEM: (StoreBusy, "the machine is out of memory", "Run fewer jobs at once."),
    errno.EIO: (StoreUnusable, "the disk failed", "The disk reports an error: see the kernel log."),
    errno.EROFS: (StoreUnusable, "the file system is read-only", ""),
    errno.EACCES: (StoreUnusable, "permission denied", ""),
    errno.EPERM: (StoreUnusable, "operation not permitted", ""),
    errno.ENAMETOOLONG: (LimitExceeded, "name too long for this file system", ""),
    errno.EMLINK: (LimitExceeded, "too many hard links to one file for this file system", ""),
    errno.ELOOP: (UnsafePath, "a symbolic link where none may be followed", _CHANGED),
    errno.ENOENT: (StoreUnusable, "a directory has vanished", _CHANGED),
    errno.ENOTDIR: (StoreUnusable, "a directory has been replaced", _CHANGED),
    errno.EEXIST: (StoreUnusable, "something has appeared", _CHANGED),
    errno.EISDIR: (StoreUnusable, "a directory has appeared", _CHANGED),
    errno.EXDEV: (StoreUnusable, "the tree spans two file systems", ""),
}


def tree_error(error: OSError, name: bytes) -> PullerError:
    """The typed error for `error`, which came up at the entry `name`."""
    kind, what, hint = _MEANING.get(error.errno or 0, (StoreUnusable, error.strerror or "the disk failed", ""))
    return kind(what, where=shown(name), got=errno.errorcode.get(error.errno or 0), hint=hint)


@contextmanager
def translated(where: Path) -> Iterator[None]:
    """Raise every OSError of the block as the error of this package; for disk work under `where` only."""
    try:
        yield
    except OSError as error:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        raise tree_error(error, os.fsencode(where / name)) from error
