"""Abreast: one piece of work for each of many things, a few at a time."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from puller.ops.tasks import one_error

T = TypeVar("T")


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
