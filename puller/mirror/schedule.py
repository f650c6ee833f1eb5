"""Schedule: when a mirror is due, by a cron expression (`17 */6 * * *`) or an interval (`every 6h`). Pure.

Cron expressions are those of cron(8) in the time zone given. Over a change of the clocks they do as Debian's cron: what
falls into the hour that is skipped runs right after it, what falls into the one that comes twice runs once; schedules
with a star for the minute or the hour go on by real time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cronsim import CronSim, CronSimError

from puller.errors import InvalidConfig

LEAST = timedelta(minutes=1)
_INTERVAL = re.compile(r"every ([0-9]{1,5}) ?(m|h|d)", re.ASCII)
_WORD = re.compile(r"[@a-z]|[0-9]+[a-z]+$", re.IGNORECASE | re.ASCII)  # begins as no field of cron does
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_NAMES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}


@dataclass(frozen=True, slots=True)
class Schedule:
    """`interval` or a cron expression of five fields."""

    text: str
    interval: timedelta | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidConfig, also for what is never due, such as the 30th of February."""
        match = _INTERVAL.fullmatch(text)
        if match is not None and int(match[1]) > 0:
            return cls(text, int(match[1]) * _UNITS[match[2]])
        expression = _NAMES.get(text, text)
        try:
            if len(expression.split()) != 5:
                raise CronSimError("" if _WORD.match(text) else "five fields are wanted")
            next(CronSim(expression, datetime(2024, 1, 1)))  # any time will do to see whether it ends
        except (CronSimError, StopIteration) as error:
            wanted = f"minute hour day month weekday; {', '.join(_NAMES)}; or `every 90m`, `every 6h`, `every 2d`"
            raise InvalidConfig("no schedule", wanted=wanted, got=f"{text[:80]}: {error}".rstrip(": ")) from error
        return cls(expression)

    def after(self, last: datetime) -> datetime:
        """The first time that is due after `last`, which knows its time zone."""
        # Times of one zone are compared and added to by Python as clocks on a wall show them; what passes is counted
        # in UTC (PEP 495).
        real = last.astimezone(UTC)
        if self.interval is not None:
            return (real + self.interval).astimezone(last.tzinfo)
        # Within the hour that comes twice, cronsim names the first one again.
        return next(due for due in CronSim(self.text, last) if due.astimezone(UTC) > real)

    def due(self, last: datetime | None, now: datetime, *, jitter: timedelta, random: Callable[[], float]) -> datetime:
        """When to run next: times missed since `last` are made up for by one run now, spread over `jitter`.

        `last` is when it ran last, None: never. A `last` in the future, as after a clock was set back, counts as now:
        nothing waits for a time that may never come, and nothing runs in a storm.
        """
        real = now.astimezone(UTC)
        planned = real
        if last is not None:
            before = min(last.astimezone(UTC), real)
            planned = max(self.after(before.astimezone(now.tzinfo)).astimezone(UTC), real)
        return (planned + jitter * random()).astimezone(now.tzinfo)
