"""What an errno means to a graph: the one place where OSError becomes an error of this package."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from puller.errors import ContentCorrupt, PullerError, StoreUnusable
from puller.model.diskerror import Meaning, disk_error

_RIGHTS: Final = "The directory must be readable and writable by this user, as Docker's own is by root."
_PLANTED: Final = "Docker keeps plain files and directories only: somebody else put this there."

_OWN: Final[Mapping[int, Meaning]] = {
    errno.ELOOP: (ContentCorrupt, "a symbolic link stands where a file of the graph should be", _PLANTED),
    errno.ENOTDIR: (ContentCorrupt, "a file stands where a directory of the graph should be", _PLANTED),
    errno.EISDIR: (ContentCorrupt, "a directory stands where a file of the graph should be", _PLANTED),
    errno.ENXIO: (ContentCorrupt, "a pipe stands where a file of the graph should be", _PLANTED),
    errno.EXDEV: (StoreUnusable, "the graph spans two file systems", ""),
}


def graph_error(error: OSError, where: Path) -> PullerError:
    """The typed error for `error`; `where` is named if the error itself names nothing."""
    named = where / error.filename if isinstance(error.filename, str) else where
    return disk_error(error, where=named, own=_OWN, rights=_RIGHTS)


@contextmanager
def translated(where: Path) -> Iterator[None]:
    """Raise every OSError of the block as a StoreError; for disk work in the directory `where` only."""
    try:
        yield
    except OSError as error:
        raise graph_error(error, where) from error
