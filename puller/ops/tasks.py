"""Task groups: of their failures one error, the gravest, with the others as notes; and a few things done at a time."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio

from puller.errors import InputError, LayerError, PullerError, StoreError, VerificationError

T = TypeVar("T")

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


async def apart(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives, done in a task of its own; its failure as one error.

    asyncio's own cancel breaks through the shields under which clean-up waits; that of a task group does not.
    """
    results: list[T] = []

    async def run() -> None:
        results.append(await work())

    with one_error():
        async with anyio.create_task_group() as group:
            group.start_soon(run)
    return results[0]


async def abreast(things: Iterable[T], work: Callable[[T], Awaitable[None]], *, width: int) -> None:
    """Do `work` on each thing, on `width` at a time at most: of a hundred thousand there are no more tasks than that.

    The first failure ends it; of several one is raised, the gravest.
    """
    waiting = iter(things)

    async def worker() -> None:
        for thing in waiting:
            await work(thing)

    with one_error():
        async with anyio.create_task_group() as group:
            for _ in range(width):
                group.start_soon(worker)


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
