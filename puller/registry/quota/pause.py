"""Pause: a host that has had enough of us, whatever we ask and as whom; and the pace that we keep by ourselves. Pure.

Docker Hub has such a limit beside that of pulls ("abuse rate limit": a bare 429, docs.docker.com/docker-hub/usage).
Times are seconds since the epoch; see `allowance` for clocks that jump.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from puller.registry.quota.allowance import BACKWARDS, Hold
from puller.registry.quota.headers import DOUBT, LONGEST

# Seconds to stay away where no time was told, half of it chance: such limits count requests by the minute.
LENGTHS = (1.0, 4.0, 16.0, 60.0)
_QUEUE = 64  # processes that may wait for their turn
JITTER = 0.5  # seconds at most, on top of a time that was told, so that not all come back in one instant


@dataclass(frozen=True, slots=True)
class Pause:
    """From `since` until `until`, for the `strikes`th time in a row; `told`: by the host. After it one request finds
    out whether it is over, by `probe`, before the others go.
    """

    since: float
    until: float
    strikes: int = 1
    told: bool = False
    probe: Hold | None = None

    @classmethod
    def begun(cls, before: Self | None, end: float | None, *, sent: float, now: float, random: float) -> Self:
        """The pause after a request, sent at `sent`, was refused.

        `end`: until when, seconds since the epoch; None: not told. `random` is from 0 to 1. Answers to requests from
        before a pause are of the same refusal, however many they are.
        """
        if before is not None and sent <= before.since:
            if end is None or end <= before.until:
                return before
            return replace(before, until=min(end, now + LONGEST), told=True)
        strikes = 1 if before is None else before.strikes + 1
        length = LENGTHS[min(strikes, len(LENGTHS)) - 1] * (0.5 + random / 2)
        until = now + length if end is None else min(end, now + LONGEST) + JITTER * random
        return cls(now, until, strikes, end is not None)

    @property
    def look(self) -> float:
        """When to find out whether it is over: earlier than it ends where that is very far ahead."""
        return min(self.until, self.since + DOUBT)

    def at(self, now: float) -> Self:
        """The same, as far ahead as it was, where the clock has been set back since."""
        if now >= self.since - BACKWARDS:
            return self
        return replace(self, since=now, until=now + (self.until - self.since), probe=None)

    def passed(self, hold: Hold, now: float, is_alive: Callable[[str], bool]) -> Self | None:
        """Take the place of the one that finds out, once the pause is over; None while another has it."""
        probe = self.probe
        if probe is not None and now < probe.until and is_alive(probe.holder):
            return None
        return replace(self, probe=hold)

    def settled(self, hold: Hold) -> Self:
        """The request of `hold` has found out nothing."""
        return replace(self, probe=None) if self.probe is not None and self.probe.is_of(hold) else self

    def is_over(self, now: float) -> bool:
        """Whether it is long ago, so that another would be the first of its own."""
        return now > self.until + 10 * LENGTHS[-1]


@dataclass(frozen=True, slots=True)
class Pace:
    """When the next request may go, and the seconds between two (GCRA of ITU-T I.371, without bursts)."""

    following: float
    interval: float

    @classmethod
    def step(cls, before: Self | None, interval: float, now: float) -> tuple[Self, float]:
        """Take the next turn; when that is. Every process has one turn ahead of it at most, so that far ones are of a
        clock that was set back.
        """
        turn = now
        if before is not None and before.following > now:
            far = before.following - now > _QUEUE * max(interval, before.interval)
            turn = now if far else before.following
        return cls(turn + interval, interval), turn
