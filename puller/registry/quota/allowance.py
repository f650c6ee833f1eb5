"""Allowance: how many pulls one account has left at one host, as several processes know it. Pure.

A registry tells what is left with its answers, which arrive late and in any order. So a request takes a place before
it is sent, and what is left is what the registry said last less the places of requests whose answers are not in yet.
Nobody knows what is left in a window that has just opened: one request finds out, the scout, and the others wait for
what it is told, instead of all being refused.

Times are seconds since the epoch, because processes share them. Clocks jump: a time that lies ahead of now is taken
for as far away as it was when it was written down, and no further.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import Self

from puller.registry.quota.headers import DOUBT, LONGEST, Quota

# Where a registry says that pulls are counted and not for how long: the shortest that Docker Hub has ever had.
ASSUMED_WINDOW = 3600.0
HELD_LONGEST = 3600.0  # seconds after which a place is free again whoever holds it
MAX_HOLDS = 512
BACKWARDS = 5.0  # seconds; clocks that are set right by less do no harm
# A window whose end is only guessed is looked at again: four times before, and every sixteenth of it after that.
_LOOKS_BEFORE, _LOOKS_AFTER = 4, 16


@dataclass(frozen=True, slots=True)
class Hold:
    """A place taken by a request under way: the `number`th of `holder`. `until` is when it counts no more."""

    holder: str
    number: int
    until: float
    scout: bool = False

    def is_of(self, other: "Hold") -> bool:
        """Whether it is the same place."""
        return (self.holder, self.number) == (other.holder, other.number)


class Kind(IntEnum):
    """What a request is to a registry that counts: Docker Hub counts GETs of manifests and nothing else."""

    PULL = 0
    LOOK = 1
    OTHER = 2

    @classmethod
    def of(cls, method: str, path: str) -> "Kind":
        """By the endpoints of the distribution spec; a repository may well be called `manifests`."""
        if not path.partition("?")[0].rpartition("/")[0].endswith("/manifests"):
            return cls.OTHER
        return {"GET": cls.PULL, "HEAD": cls.LOOK}.get(method, cls.OTHER)


class Standing(Enum):
    """What a request for a place comes to."""

    GO = "go"
    SETTLING = "settling"  # the answers to requests under way will tell
    SPENT = "spent"


@dataclass(frozen=True, slots=True)
class Allowance:
    """`remaining` pulls of `limit` in `window` seconds, as was learnt at `seen`.

    `first` is the first pull that we know of in this window; `is_ours`: the window began with it. `opens` is when the
    next one begins, where that was told. Answers to requests from before `since` are of an earlier window. `breadth`:
    requests up to this kind are counted.
    """

    remaining: int
    seen: float
    first: float
    limit: int | None = None
    window: float | None = None
    opens: float | None = None
    since: float = 0.0
    is_ours: bool = False
    breadth: Kind = Kind.PULL
    holds: tuple[Hold, ...] = ()

    @classmethod
    def learnt(cls, quota: Quota | None, *, sent: float, now: float) -> Self:
        """What is known of a quota that nothing was known of; None: no more than that there is one, and it is spent."""
        if quota is None:
            return cls(0, now, sent)
        is_ours = quota.limit is not None and quota.remaining >= quota.limit - 1
        return cls(quota.remaining, now, sent, quota.limit, quota.window, quota.reset, is_ours=is_ours)

    @property
    def length(self) -> float:
        """Seconds of the window."""
        return self.window or ASSUMED_WINDOW

    @property
    def opening(self) -> float:
        """When the next window begins, at the latest."""
        return self.opens if self.opens is not None else self.first + self.length

    @property
    def look(self) -> float:
        """When to find out whether there is more by now: earlier than that where others have begun the window, and
        where it is very far ahead.
        """
        is_known = self.opens is not None or self.is_ours
        return min(self.opening, self.seen + (DOUBT if is_known else min(DOUBT, self.length / _LOOKS_BEFORE)))

    def is_over(self, now: float) -> bool:
        """Whether nothing of it is true or wanted any more."""
        return not self.holds and now > self.opening + self.length

    def at(self, now: float) -> Self:
        """The same, where the clock has been set back since it was written: as long ago, and as far ahead, as then."""
        if now >= self.seen - BACKWARDS:
            return self
        shift = now - self.seen
        opens = None if self.opens is None else self.opens + shift
        holds = tuple(replace(hold, until=hold.until + shift) for hold in self.holds)
        return replace(self, seen=now, first=self.first + shift, since=self.since + shift, opens=opens, holds=holds)

    def taken(self, hold: Hold, now: float, is_alive: Callable[[str], bool]) -> tuple[Self, Standing]:
        """Take the place `hold`, if there is one. Places of processes that have died are free."""
        kept = tuple(other for other in self.holds if now < other.until and is_alive(other.holder))
        swept = self if kept == self.holds else replace(self, holds=kept)
        if len(kept) >= MAX_HOLDS:
            return swept, Standing.SETTLING
        if now >= (self.opening if self.remaining else self.look):
            if any(other.scout for other in kept):
                return swept, Standing.SETTLING
            return replace(swept, holds=(*kept, replace(hold, scout=True))), Standing.GO
        if self.remaining > len(kept):
            return replace(swept, holds=(*kept, hold)), Standing.GO
        return swept, Standing.SETTLING if self.remaining else Standing.SPENT

    def settled(self, hold: Hold) -> Self:
        """The request of `hold` has been answered, or never will be."""
        return replace(self, holds=tuple(other for other in self.holds if not other.is_of(hold)))

    def told(self, quota: Quota, *, sent: float, now: float) -> Self:
        """What the registry says in the answer to a request that was sent at `sent`.

        Only an answer to a later request than the one that told us last may raise what is left; others are from before.
        """
        if sent < self.since:
            return self
        if now >= self.opening:
            if sent < self.opening:
                return self  # of a window that has passed meanwhile
            fresh = type(self).learnt(quota, sent=sent, now=now)
            return replace(fresh, since=self.opening, breadth=self.breadth, holds=self.holds)
        if sent <= self.seen and quota.remaining >= self.remaining:
            return self
        changed = replace(self, remaining=quota.remaining, limit=quota.limit, window=quota.window or self.window)
        return replace(changed, seen=now, opens=quota.reset or self.opens)

    def refused(self, end: float | None, *, sent: float, now: float, random: float) -> Self:
        """A request was refused because nothing is left. `end` is when there will be, where that was told.

        Where it was not, the window ends when the first pull we know of is as old as it is long; one that should have
        been open by then is looked at again after a part of it, `random` (0 to 1) more or less.
        """
        if sent < self.since or (end is None and sent < self.opening <= now):
            return self
        if end is None and self.opens is not None and self.opens > now:
            end = self.opens
        if end is None and now >= self.opening:
            length = min(max(1.0, self.length / _LOOKS_AFTER), ASSUMED_WINDOW)
            end = now + length * (1 + random / 4)
        if end is not None:
            end = min(end, now + LONGEST)
        return replace(self, remaining=0, seen=max(now, self.seen), opens=end)
