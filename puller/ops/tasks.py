"""What comes out of a task group: one error, the gravest, with the others as notes."""

from collections.abc import Iterator
from contextlib import contextmanager

from puller.errors import InputError, LayerError, PullerError, StoreError, VerificationError

# What was served wrong tells more than what could not be had; order of arrival is chance.
_GRAVITY: tuple[type[BaseException], ...] = (VerificationError, LayerError, StoreError, InputError, PullerError)


@contextmanager
def one_error() -> Iterator[None]:
    """Raise one leaf of an exception group instead of the group; the rest become notes of it."""
    try:
        yield
    except BaseExceptionGroup as group:
        first, *others = sorted(_leaves(group), key=_gravity)
        for other in others:
            first.add_note(f"also: {type(other).__name__}: {other}")
        raise first from first.__cause__


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _gravity(error: BaseException) -> int:
    if not isinstance(error, Exception):
        return -1  # an interrupt outranks every failure
    return next((rank for rank, kind in enumerate(_GRAVITY) if isinstance(error, kind)), len(_GRAVITY))
