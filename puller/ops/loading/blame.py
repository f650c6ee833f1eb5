"""Blame: whose fault it is that a document breaks its rules."""

from collections.abc import Iterator
from contextlib import contextmanager

from puller.errors import InputError, InvalidArchive, Unsupported


@contextmanager
def said_by_archive() -> Iterator[None]:
    """Of documents that break their rules it is the archive that is wrong, and not who named it."""
    try:
        yield
    except Unsupported:
        raise
    except InputError as error:
        facts = {name: getattr(error, name) for name in ("where", "wanted", "got", "hint", *error.context)}
        raise InvalidArchive(error.what, **facts) from error
