"""Retry: which failures pass, how long to wait, and when it is enough (RELIABILITY R8).

Pure but for `Trial`, which does the waiting it is told.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from puller.errors import RegistryError
from puller.model.event import Report, Retrying

# 501 and 505 say "never"; the other 5xx, and those that proxies make up (520 to 527), say "not now".
_PERMANENT = frozenset({501, 505})
_PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` in a row without progress, waits in seconds, and a budget of retries for each host.

    The budget keeps a failing host from being asked for ever by many tasks at once; every answer gives one retry back.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 30.0
    retry_after_cap: float = 120.0
    budget: int = 60


@dataclass(frozen=True, slots=True)
class Setback:
    """A failure that may pass. `retry_after` is in seconds, as the server asked; `stale`: a signed URL has died.

    `held`: the limiter holds the next request back, for all who ask the host, so that nobody waits here. `foreseen`:
    it knows for how long.
    """

    error: RegistryError
    retry_after: float | None = None
    stale: bool = False
    held: bool = False
    foreseen: bool = False


def passes(status: int) -> bool:
    """Whether an HTTP status is worth another try."""
    return status in _PASSING or (500 <= status < 600 and status not in _PERMANENT)


class Retries:
    """The budget of one host."""

    def __init__(self, policy: RetryPolicy, random: Callable[[], float]) -> None:
        self._policy = policy
        self._random = random
        self._left = policy.budget

    @property
    def attempts(self) -> int:
        """Most attempts in a row."""
        return self._policy.attempts

    def delay(self, failures: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait after the `failures`th failure in a row, or None: give up.

        Exponential with full jitter, capped; Retry-After is waited out in full up to its own cap, jitter on top, so
        that tasks told the same second do not come back in the same instant.
        """
        policy = self._policy
        if failures >= policy.attempts or self._left <= 0:
            return None
        self._left -= 1
        jitter = min(policy.cap, policy.base * 2.0 ** (failures - 1)) * self._random()
        if retry_after is None:
            return jitter
        return min(retry_after, policy.retry_after_cap) + min(jitter, policy.base)

    def succeeded(self) -> None:
        """The host gave an answer."""
        self._left = min(self._left + 1, self._policy.budget)


class Trial:
    """The attempts at one piece of work."""

    def __init__(
        self, retries: Retries, *, host: str, what: str, report: Report, sleep: Callable[[float], Awaitable[object]]
    ) -> None:
        self._retries = retries
        self._host = host
        self._what = what
        self._report = report
        self._sleep = sleep
        self._failures = 0
        self._held = 0
        self.attempts = 1

    async def after(self, setback: Setback) -> None:
        """Wait for the next attempt. Raises the setback's error when there is none.

        A wait that all have to share, and whose end is known, is no failure of this piece of work: those are counted
        by themselves.
        """
        if setback.held and setback.foreseen:
            self._held += 1
            delay: float | None = None if self._held >= self._retries.attempts else 0.0
        else:
            self._failures += 1
            delay = self._retries.delay(self._failures, setback.retry_after)
        if delay is None:
            raise setback.error.at(host=self._host, attempts=self.attempts)
        self.attempts += 1
        if setback.held:
            return
        self._report(Retrying(self._host, self._what, self.attempts, delay, setback.error.what))
        await self._sleep(delay)

    def progressed(self) -> None:
        """Something was gained: failures are counted from none again."""
        self._failures = self._held = 0
