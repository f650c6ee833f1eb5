"""Health: which hosts have failed lately, and for how long others are asked before them. Pure but for the clock, and
for the processes of this machine that are told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

# Half a minute lets a restarted mirror come back soon; doubled each time, so that a dead one costs one try in ten
# minutes at last. Who has lied is not believed before those are over: wrong bytes cost a whole blob each time.
FIRST = 30.0
LONGEST = 600.0


class Shared(Protocol):
    """What all processes of a machine know of hosts."""

    def note_failure(self, host: str, seconds: float) -> None:
        """Have all ask others before it for so long."""
        ...

    def note_success(self, host: str) -> None:
        """It has given what was asked for."""
        ...

    def distrusted_for(self, host: str) -> tuple[float, int]:
        """Seconds for which others are to be asked before it, and its failures in a row."""
        ...


@dataclass(slots=True)
class _Failing:
    failures: int
    until: float
    reason: str


class Health:
    """Of all hosts that one client asks. `clock` is monotonic, in seconds. `shared` hears of all, and is heard."""

    def __init__(self, clock: Callable[[], float], shared: Shared | None = None) -> None:
        self._clock = clock
        self._shared = shared
        self._failing: dict[str, _Failing] = {}

    def is_distrusted(self, host: str) -> bool:
        """Whether others are to be asked first."""
        return self._fails(host) or (self._shared is not None and self._shared.distrusted_for(host)[0] > 0)

    def reason(self, host: str) -> str:
        """Why; "" where it is not distrusted."""
        if self._fails(host):
            return self._failing[host].reason
        return "another process had to do without it" if self.is_distrusted(host) else ""

    def note_failure(self, host: str, reason: str, *, lied: bool = False) -> None:
        """It has failed, or `lied`. Failures that come while it is distrusted anyway are of one and the same time."""
        failing = self._failing.setdefault(host, _Failing(0, 0.0, ""))
        is_new = self._clock() >= failing.until
        if is_new:
            known = 0 if self._shared is None else self._shared.distrusted_for(host)[1]
            failing.failures = max(failing.failures, known) + 1
        wait = LONGEST if lied else min(LONGEST, FIRST * 2.0 ** min(failing.failures - 1, 16))
        failing.until = max(failing.until, self._clock() + wait)
        failing.reason = reason
        if self._shared is not None and (is_new or lied):
            self._shared.note_failure(host, wait)

    def note_success(self, host: str) -> None:
        """It has given what was asked for. That ends no distrust: one that serves manifests may fail for blobs."""
        if host in self._failing and not self._fails(host):
            del self._failing[host]
        if self._shared is not None:
            self._shared.note_success(host)

    def _fails(self, host: str) -> bool:
        failing = self._failing.get(host)
        return failing is not None and self._clock() < failing.until
