"""Distrust: a host that others are asked before, remembered by all processes of a user. Pure."""

from dataclasses import dataclass, replace
from typing import Self

from puller.registry.quota.allowance import BACKWARDS
from puller.registry.quota.headers import LONGEST


@dataclass(frozen=True, slots=True)
class Distrust:
    """From `since` until `until`, in seconds since the epoch, after the `failures`th failure in a row."""

    since: float
    until: float
    failures: int = 1

    @classmethod
    def grown(cls, before: Self | None, seconds: float, now: float) -> Self:
        """Another failure: distrusted for so many seconds from now, and no shorter than before.

        Failures that come while it is distrusted anyway are of one and the same time.
        """
        until = now + min(max(0.0, seconds), LONGEST)
        if before is None:
            return cls(now, until)
        failures = before.failures + (now >= before.until)
        return cls(now, max(until, before.until), failures)

    def at(self, now: float) -> Self:
        """The same, as far ahead as it was, where the clock has been set back since."""
        if now >= self.since - BACKWARDS:
            return self
        return replace(self, since=now, until=now + (self.until - self.since))
