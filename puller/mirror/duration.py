"""Duration: lengths of time as Go writes them (time.ParseDuration: `90m`, `1h30m`, `1.5h`)."""

import re
from datetime import timedelta
from fractions import Fraction

_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
LONGEST = timedelta(days=366 * 100)


def parse(text: str) -> timedelta:
    """Raises ValueError, also for less than nothing and more than a hundred years."""
    total, place = Fraction(0), 0
    while place < len(text) and (match := _PART.match(text, place)) is not None:
        total += Fraction(match[1]) * _NANOSECONDS[match[2]]
        place = match.end()
    if not text or place < len(text) or total > Fraction(LONGEST // timedelta(microseconds=1)) * 1000:
        raise ValueError("no length of time: wanted as in 90m or 1h30m")
    return timedelta(microseconds=int(total / 1000))


def every(length: timedelta) -> str:
    """The schedule `every …` of ours. Raises ValueError for what is not whole minutes."""
    minutes, rest = divmod(length, timedelta(minutes=1))
    if rest or minutes < 1:
        raise ValueError("an interval is in whole minutes here")
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"every {minutes // size}{unit}"
    return f"every {minutes}m"
