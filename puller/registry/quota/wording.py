"""Wording: what a limit is called, when it ends, and what the reader can do about it."""

from datetime import datetime

from puller.errors import RateLimited
from puller.registry.quota.allowance import Allowance, Kind

WORTH_WAITING = 30 * 86400.0  # seconds


def spent(allowance: Allowance) -> str:
    """`pull quota used up: 0 of 100 left per 6h`."""
    what = "pull" if allowance.breadth is Kind.PULL else "request"
    if allowance.limit is None:
        return f"{what} quota used up"
    per = "" if allowance.window is None else f" per {time_text(allowance.window)}"
    return f"{what} quota used up: {allowance.remaining} of {allowance.limit} left{per}"


def clock_text(time: float) -> str:
    """A time of the wall clock as people here read it: `2026-11-28 14:05:09 CET`."""
    return datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def time_text(seconds: float) -> str:
    """A length of time as `--max-wait` takes it, rounded up: `90s`, `15m`, `6h`, `3d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds > 2 * size - size / 2 or seconds == size:
            return f"{-int(-seconds // size)}{unit}"
    return f"{-int(-seconds // 1)}s"


def too_long(reason: str, *, until: float, seconds: float, allowed: float, is_quota: bool) -> RateLimited:
    """The error of a wait of `seconds`, until `until`, that is longer than is `allowed`."""
    login = ", or log in: registries allow more to those they know" if is_quota else ""
    wait = f"Wait for it with --max-wait {time_text(seconds)}" if seconds < WORTH_WAITING else "Try again another day"
    return RateLimited(
        reason,
        wanted=f"a wait of at most {time_text(allowed)}" if allowed > 0 else "no wait",
        got=f"it ends at {clock_text(until)} at the latest",
        hint=f"{wait}{login}.",
    )
