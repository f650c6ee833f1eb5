"""Sleeper: waits for what a gate wants to wait for, tells of it, and refuses what takes too long."""

from dataclasses import dataclass

import anyio

from puller.model.event import Report, Waiting
from puller.registry.quota.wording import too_long
from puller.registry.world import World

GLANCE = 300.0  # seconds; then a sleeper looks whether another process knows better
POLL, LONGEST_POLL = 0.05, 5.0  # seconds between looks at what another process is about to learn
TOLD = 5.0  # seconds; the pace that somebody asked for is no news, but for waits that look like a hang


@dataclass(frozen=True, slots=True)
class Wait:
    """For `reason`. Times are seconds since the epoch: `until` is when to look again, `end` the latest end of it."""

    reason: str
    until: float
    end: float
    is_quota: bool = False


class Sleeper:
    """Sleeps on behalf of all gates of one client."""

    def __init__(self, world: World, report: Report) -> None:
        self.world = world
        self.report = report

    def begun(self, host: str, max_wait: float) -> "Dozing":
        """One request's waits, of `max_wait` seconds each at most."""
        return Dozing(self, host, max_wait)

    def refuse_long(self, host: str, wait: Wait, *, allowed: float, asked: bool = False) -> None:
        """Raise RateLimited where `wait` is longer than `allowed` seconds; `asked`: a request has been refused."""
        left = wait.end - self.world.wall()
        if left > max(allowed, 0.0):
            error = too_long(wait.reason, until=wait.end, seconds=left, allowed=allowed, is_quota=wait.is_quota)
            raise error.at(host=host, attempts=int(asked))


class Dozing:
    """The waits of one request."""

    def __init__(self, sleeper: Sleeper, host: str, max_wait: float) -> None:
        self._sleeper = sleeper
        self._world = sleeper.world
        self._host = host
        self._max_wait = max_wait
        self._told: tuple[str, int] | None = None
        self._begun = 0.0
        self._poll = POLL
        self._settling = 0.0  # seconds
        self._is_settling_told = False

    async def until(self, wait: Wait, changed: anyio.Event) -> None:
        """Sleep, at most until it is time to look again. Raises RateLimited where it will take too long."""
        now, key = self._world.wall(), (wait.reason, round(wait.end))
        is_news = key != self._told
        if is_news:
            self._told, self._begun = key, self._world.clock()
        # Both clocks count: the one that is set can make a wait shorter, and none longer.
        allowed = self._max_wait - (self._world.clock() - self._begun)
        self._sleeper.refuse_long(self._host, wait, allowed=allowed)
        if is_news:
            self._sleeper.report(Waiting(self._host, wait.reason, max(0.0, wait.end - now), wait.end))
        # Not less than that, or rounding makes a wait of nothing, over and over.
        await self._sleep(min(max(wait.until - now, 0.001), GLANCE), changed)

    async def until_settled(self, changed: anyio.Event, *, here: bool, end: float) -> None:
        """Wait for the answer to a request of this client (`here`), or look whether that of another one is in.

        Whose process cannot be seen from here may be dead, and is waited for until `end`: that is told. Raises
        RateLimited where it takes too long.
        """
        if here:
            with anyio.move_on_after(GLANCE):
                await changed.wait()
            return
        await self._sleep(self._poll, changed)
        waited = self._settling = self._settling + self._poll
        self._poll = min(self._poll * 1.6, LONGEST_POLL)
        left, reason = end - self._world.wall(), "the answer to another pull of this user, which shows what is left"
        if waited >= TOLD and not self._is_settling_told:
            self._is_settling_told = True
            self._sleeper.report(Waiting(self._host, reason, max(0.0, left), end))
        if waited > self._max_wait:
            error = too_long(reason, until=end, seconds=left, allowed=self._max_wait, is_quota=False)
            raise error.at(host=self._host, attempts=0)

    async def for_turn(self, turn: float) -> None:
        """Sleep until `turn`, by the wall clock."""
        left = turn - self._world.wall()
        if left > TOLD:
            self._sleeper.report(Waiting(self._host, "one request at a time (--request-rate)", left, turn))
        if left > 0:
            await self._world.sleep(left)

    async def _sleep(self, seconds: float, changed: anyio.Event) -> None:
        async def wake() -> None:
            await changed.wait()
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(wake)
            await self._world.sleep(seconds)
            group.cancel_scope.cancel()
