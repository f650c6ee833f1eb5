"""Turns: which mirrors are due when, by their schedules and by when they ran. Pure: time and chance are handed in.

All times are seconds since the epoch; a time zone decides only what a cron expression means.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from puller.mirror.config import Mirror

if TYPE_CHECKING:
    from puller.mirror.schedule import Schedule

MOST_MISSED = 10_000  # of one run; who missed more than a week of minutes need not be told how many


@dataclass(frozen=True, slots=True)
class Ran:
    """When a mirror ran last, and whether all of it went well."""

    started: float
    ended: float
    well: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """A mirror that has a schedule; `key` is what the state knows it by."""

    key: str
    mirror: Mirror
    schedule: "Schedule"


def keyed(mirrors: Iterable[Mirror]) -> list[tuple[str, Mirror]]:
    """The mirrors with their keys: `source > target`, and a number behind it where several have the same."""
    found: list[tuple[str, Mirror]] = []
    seen: dict[str, int] = {}
    for mirror in mirrors:
        name = f"{mirror.source} > {mirror.target}"
        seen[name] = seen.get(name, 0) + 1
        found.append((name if seen[name] == 1 else f"{name} #{seen[name]}", mirror))
    return found


def turns_of(mirrors: Iterable[Mirror], otherwise: "Schedule | None" = None) -> tuple[Turn, ...]:
    """The mirrors that have a schedule, or get the one of `otherwise`."""
    from puller.mirror.schedule import Schedule  # only now: single runs need none

    found = []
    for key, mirror in keyed(mirrors):
        schedule = otherwise if mirror.schedule is None else Schedule.parse(mirror.schedule)
        if schedule is not None:
            found.append(Turn(key, mirror, schedule))
    return tuple(found)


def passed(schedule: "Schedule", started: float, ended: float, zone: tzinfo) -> tuple[int, float]:
    """How many times were due while a run went on, and the last of them, else `started`: its overlaps are skipped."""
    if schedule.interval is not None:
        seconds = schedule.interval.total_seconds()
        missed = max(0, int((ended - started) // seconds))
        return missed, started + missed * seconds
    missed, last = 0, started
    while missed < MOST_MISSED:
        following = _after(schedule, last, zone)
        if following > ended:
            return missed, last
        missed, last = missed + 1, following
    return missed, ended


def upcoming(schedule: "Schedule", ran: Ran | None, now: float, zone: tzinfo) -> float:
    """When a mirror is due: `now` if it never ran or has missed its time, however often.

    What was due during its last run is not made up for. A run in the future, as after a clock was set back, counts as
    of now: nothing waits for a time that may never come, and nothing runs in a storm.
    """
    if ran is None:
        return now
    started = min(ran.started, now)
    _, last = passed(schedule, started, min(max(ran.started, ran.ended), now), zone)
    return max(_after(schedule, last, zone), now)


class Turns:
    """What is due when; each time is found once, and stays until its mirror ran.

    `jitter` is the length of time that all runs of one daemon are put off by one random part of: machines with one
    configuration do not ask at the same second, and mirrors that are due together stay together.
    """

    def __init__(
        self, turns: Sequence[Turn], zone: tzinfo, *, jitter: float = 0.0, random: Callable[[], float]
    ) -> None:
        self.turns = tuple(turns)
        self._zone = zone
        self._offset = jitter * random()
        self._due: dict[str, float] = {}

    def plan(self, turn: Turn, ran: Ran | None, now: float) -> None:
        """Find out when a mirror is due that ran last at `ran`."""
        due = upcoming(turn.schedule, ran, now, self._zone)
        # An interval goes by the last run, which was put off already.
        is_spread = turn.schedule.interval is None or due <= now
        self._due[turn.key] = due + (self._offset if is_spread else 0.0)

    def postpone(self, turn: Turn, until: float) -> None:
        """Have a mirror wait that could not run."""
        self._due[turn.key] = until

    def due(self, now: float) -> list[Turn]:
        """The mirrors to run now, in the order of the configuration."""
        return [turn for turn in self.turns if self._due.get(turn.key, now) <= now]

    @property
    def times(self) -> Mapping[str, float]:
        """When each mirror is due, by its key."""
        return dict(self._due)

    def next(self) -> float | None:
        """When the next is due; None: nothing ever is."""
        return min((self._due[turn.key] for turn in self.turns if turn.key in self._due), default=None)

    def skipped(self, turn: Turn, started: float, ended: float) -> int:
        """How many times were due while a run of this mirror went on."""
        return passed(turn.schedule, started, ended, self._zone)[0]


def _after(schedule: "Schedule", time: float, zone: tzinfo) -> float:
    return schedule.after(datetime.fromtimestamp(time, zone)).timestamp()
