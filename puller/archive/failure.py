"""What an errno means where archives are read and written: the one place where OSError becomes an error here."""

from collections.abc import Iterator
from contextlib import contextmanager

from puller.model.diskerror import disk_error


@contextmanager
def translated(where: object) -> Iterator[None]:
    """Raise every OSError of the block as NoSpace, StoreBusy or StoreUnusable, with `where` it happened."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, where=where) from error
