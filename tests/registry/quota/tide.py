"""Tide: a clock for many who wait at once. It moves when nothing else does, to the end of the shortest sleep."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from puller.registry.world import World
from testregistry import TestRegistry

_QUIET = 4  # looks in a row at which nothing was under way
_LOOK = 0.001  # real seconds


class Tide:
    """`ahead` is what the wall clock is ahead of the other one; a test may change it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.ahead = 0.0
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def clock(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        done = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), done))
        await done

    def world(self, random: float = 1.0) -> World:
        return World(clock=self.clock, wall=self.wall, sleep=self.sleep, random=lambda: random)

    @asynccontextmanager
    async def flowing(self, *registries: TestRegistry) -> AsyncIterator[None]:
        """Let it move for the length of the block, whenever none of `registries` has a request to answer."""
        moving = asyncio.create_task(self._move(registries))
        try:
            yield
        finally:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)

    async def _move(self, registries: tuple[TestRegistry, ...]) -> None:
        quiet, seen = 0, -1
        while True:
            await asyncio.sleep(_LOOK)
            arrived = sum(len(registry.journal) for registry in registries)
            busy = any(request.finished is None for registry in registries for request in registry.journal)
            quiet = 0 if busy or arrived != seen else quiet + 1
            seen = arrived
            if quiet >= _QUIET and self._sleepers:
                self._wake()
                quiet = 0

    def _wake(self) -> None:
        self.now = max(self.now, self._sleepers[0][0])
        while self._sleepers and self._sleepers[0][0] <= self.now:
            done = heapq.heappop(self._sleepers)[2]
            if not done.done():
                done.set_result(None)
