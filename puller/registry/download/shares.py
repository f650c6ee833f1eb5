"""Shares: how the connections to one registry are divided among the blobs that come from it at the same time.

Every blob has one as its own, and one more stays free for whatever comes next: what is fetched in pieces divides the
rest. A piece that is under way is not stopped when others come, but nothing follows it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

QUIET = 60.0  # seconds that a host is asked in single streams after it said that it is asked too much


class Shares:
    """`total` connections are to be had."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._blobs = 0
        self._wide = 0
        self._quiet_until = float("-inf")
        self._refusing: set[str] = set()

    @contextmanager
    def blob(self) -> Iterator[None]:
        """One blob or document is under way."""
        self._blobs += 1
        try:
            yield
        finally:
            self._blobs -= 1

    @contextmanager
    def wide(self) -> Iterator[None]:
        """One of the blobs would have more than one."""
        self._wide += 1
        try:
            yield
        finally:
            self._wide -= 1

    def each(self, now: float) -> int:
        """How many connections a blob that is fetched in pieces may have now, the first one counted."""
        if now < self._quiet_until:
            return 1
        return 1 + max(0, self._total - self._blobs - 1) // max(1, self._wide)

    def throttled(self, now: float) -> None:
        """The host has asked us to ask less."""
        self._quiet_until = now + QUIET

    def refused(self, netloc: str) -> None:
        """This host answers ranges wrongly, or not at all."""
        self._refusing.add(netloc)

    def serves_ranges(self, netloc: str) -> bool:
        """Whether nothing speaks against asking this host for ranges."""
        return netloc not in self._refusing
