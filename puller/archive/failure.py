"""What an errno means where archives are read and written: the one place where OSError becomes an error here."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from puller.errors import NoSpace, StoreBusy, StoreUnusable

_SPACE: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_HANDLES: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))


@contextmanager
def translated(where: object) -> Iterator[None]:
    """Raise every OSError of the block as NoSpace, StoreBusy or StoreUnusable, with `where` it happened."""
    try:
        yield
    except OSError as error:
        got = errno.errorcode.get(error.errno or 0)
        what = error.strerror or "the disk failed"
        if error.errno in _SPACE:
            hint = "Free some space, or choose another store directory."
            raise NoSpace("no space left for the archive", where=where, got=got, hint=hint) from error
        if error.errno in _HANDLES:
            raise StoreBusy(what, where=where, got=got, hint="Raise the limit of open files (ulimit -n).") from error
        raise StoreUnusable(what, where=where, got=got) from error
