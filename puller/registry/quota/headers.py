"""Headers that tell of quotas: text in, values out. A server may write anything there; nothing raises, all is bounded.

Three families, the first that is there counts:

- `RateLimit: "default";r=50;t=30` with `RateLimit-Policy: "default";q=100;w=60` (draft-ietf-httpapi-ratelimit-headers
  since 08); `RateLimit: limit=100, remaining=50, reset=30` (07).
- `RateLimit-Limit: 100;w=21600`, `RateLimit-Remaining: 76;w=21600`, `RateLimit-Reset: 30` (up to 06; Docker Hub has the
  first two on answers about manifests, see docs.docker.com/docker-hub/usage/pulls).
- `X-RateLimit-Limit`, `-Remaining`, `-Reset` (Docker Hub's API and many others).

`docker-ratelimit-source` is not read: it may be an address, and nobody here needs it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from puller.registry.headers import retry_after

Lines: TypeAlias = Callable[[str], Sequence[str]]  # every line of the header of that name

MAX_LINE = 1000
MAX_MEMBERS = 16
LONGEST = 366 * 86400.0  # seconds; a window or a wait beyond that is no fact but a mistake
# What one answer has told is asked about again after so many seconds: a mistake must not close a host for a year.
DOUBT = 86400.0
# Nobody waits 31 years, and no clock stands before 2001: from here on a number is a time and not a length of time.
EPOCHS = 1e9
_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
_MEMBER = re.compile(r'(?:"[^"]*"|[^",])+')
_PART = re.compile(r'(?:"[^"]*"|[^";])+')


@dataclass(frozen=True, slots=True)
class Quota:
    """What one answer says of one quota: `remaining` of `limit` requests in `window` seconds.

    `reset` is when it opens again, in seconds since the epoch. None: not told.
    """

    remaining: int
    limit: int | None = None
    window: float | None = None
    reset: float | None = None


def quota_of(lines: Lines, now: float) -> Quota | None:
    """The quota that an answer tells of, the one that is nearest its end where there are several; None without any."""
    told = _structured(lines, now) or _counted(lines, "RateLimit-", now) or _counted(lines, "X-RateLimit-", now)
    return min(told, key=lambda quota: (quota.remaining, -(quota.reset or 0.0)), default=None)


def end_told(lines: Lines, now: float) -> float | None:
    """When to ask again, in seconds since the epoch: Retry-After (RFC 9110 §10.2.3), or the Hub's X-Retry-After.

    Both may hold a time where a length was to be expected. At most LONGEST from `now`, at least `now`; None: not told.
    """
    for name in ("Retry-After", "X-Retry-After"):
        values = lines(name)
        if len(values) != 1 or len(values[0]) > MAX_LINE:
            continue
        seconds = retry_after(values[0], now)
        if seconds is not None:
            # Here 1e9 may be meant as seconds (N7), so that only a number that is near now is a time.
            is_time = values[0].strip().isdigit() and abs(seconds - now) <= LONGEST
            return now + min(max(0.0, seconds - now if is_time else seconds), LONGEST)
    return None


def _structured(lines: Lines, now: float) -> list[Quota]:
    told = lines("RateLimit")
    if not told:
        return []
    policies = dict(_members(lines("RateLimit-Policy")))
    quotas = []
    whole: dict[str, str] = {}
    for name, words in _members(told):
        if "=" in name:
            key, _, value = name.partition("=")
            whole[key.strip().lower()] = value.strip()
        elif "r" in words:
            policy = policies.get(name, {})
            quotas.append(_quota(words["r"], policy.get("q"), policy.get("w"), words.get("t"), now))
    if "remaining" in whole:
        limit = whole.get("limit")
        window = policies.get(limit or "", {}).get("w")
        quotas.append(_quota(whole["remaining"], limit, window, whole.get("reset"), now))
    return [quota for quota in quotas if quota is not None]


def _counted(lines: Lines, prefix: str, now: float) -> list[Quota]:
    left = lines(f"{prefix}Remaining")
    if not left:
        return []
    limits = [*_members(lines(f"{prefix}Limit"))]
    # The first item is the limit that is the nearest, those behind it are policies: `10, 10;w=1, 100;w=60` (draft 03).
    limit = limits[0][0] if limits else None
    window = next((words["w"] for name, words in limits if name == limit and "w" in words), None)
    resets = [name for name, _ in _members(lines(f"{prefix}Reset"))]
    reset = resets[0] if resets else None
    told = [_quota(name, limit, words.get("w", window), reset, now) for name, words in _members(left)]
    return [quota for quota in told if quota is not None]


def _quota(remaining: str, limit: str | None, window: str | None, reset: str | None, now: float) -> Quota | None:
    left, most, length, end = (_number(text) for text in (remaining, limit, window, reset))
    if left is None:
        return None
    return Quota(left, most or None, float(length) if length and length <= LONGEST else None, _time(end, now))


def _time(value: int | None, now: float) -> float | None:
    """The time that a reset means: seconds from now, or since the epoch where the number is as large as that."""
    if value is None:
        return None
    seconds = value - now if value >= EPOCHS else float(value)
    return now + max(0.0, seconds) if seconds <= LONGEST else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def _members(values: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(item, parameters) of each member of a list; quotes are taken off items."""
    count = 0
    for line in values[:MAX_MEMBERS]:
        if len(line) > MAX_LINE:
            continue
        for member in _MEMBER.findall(line):
            count += 1
            if count > MAX_MEMBERS:
                return
            item, *parameters = [part.strip(" \t") for part in _PART.findall(member)] or [""]
            pairs = (parameter.partition("=") for parameter in parameters)
            if item:
                yield item.strip('"'), {key.strip().lower(): value.strip() for key, _, value in pairs}
