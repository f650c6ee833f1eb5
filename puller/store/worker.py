"""Worker: where blocking disk work runs, and the door at which its errors get their names."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

from puller.store.failure import translated

T = TypeVar("T")
Args = TypeVarTuple("Args")


class Worker:
    """Runs plain functions in threads, at most as many at once as the limiter allows.

    A cancelled caller waits until its thread is done: nothing writes behind the back of whoever cleans up.
    """

    def __init__(self, limiter: CapacityLimiter) -> None:
        self._limiter = limiter

    async def run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """The result of `function(*args)`. Raises StoreError for an OSError."""
        with translated():
            return await to_thread.run_sync(function, *args, limiter=self._limiter)
