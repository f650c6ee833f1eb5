"""What an errno means while a tree is written: the one place where OSError becomes an error of this package."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from puller.errors import LimitExceeded, PullerError, StoreUnusable, UnsafePath
from puller.model.diskerror import Meaning, disk_error
from puller.rootfs.name import shown

_CHANGED: Final = "Somebody changed the tree while it was written."

_OWN: Final[Mapping[int, Meaning]] = {
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
    return disk_error(error, where=shown(name), own=_OWN)


@contextmanager
def translated(where: Path) -> Iterator[None]:
    """Raise every OSError of the block as the error of this package; for disk work under `where` only."""
    try:
        yield
    except OSError as error:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        raise tree_error(error, os.fsencode(where / name)) from error
