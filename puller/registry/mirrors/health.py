"""Health: which hosts have failed lately, and for how long others are asked before them. Pure but for the clock."""

from collections.abc import Callable
from dataclasses import dataclass

# Half a minute lets a restarted mirror come back soon; doubled each time, so that a dead one costs one try in ten
# minutes at last. Who has lied is not believed before those are over: wrong bytes cost a whole blob each time.
FIRST = 30.0
LONGEST = 600.0


@dataclass(slots=True)
class _Failing:
    failures: int
    until: float
    reason: str


class Health:
    """Of all hosts that one client asks. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failing: dict[str, _Failing] = {}

    def is_distrusted(self, host: str) -> bool:
        """Whether others are to be asked first."""
        failing = self._failing.get(host)
        return failing is not None and self._clock() < failing.until

    def reason(self, host: str) -> str:
        """Why; "" where it is not distrusted."""
        return self._failing[host].reason if self.is_distrusted(host) else ""

    def note_failure(self, host: str, reason: str, *, lied: bool = False) -> None:
        """It has failed, or `lied`. Failures that come while it is distrusted anyway are of one and the same time."""
        failing = self._failing.setdefault(host, _Failing(0, 0.0, ""))
        if self._clock() >= failing.until:
            failing.failures += 1
        wait = LONGEST if lied else min(LONGEST, FIRST * 2.0 ** min(failing.failures - 1, 16))
        failing.until = max(failing.until, self._clock() + wait)
        failing.reason = reason

    def note_success(self, host: str) -> None:
        """It has given what was asked for. That ends no distrust: one that serves manifests may fail for blobs."""
        failing = self._failing.get(host)
        if failing is not None and self._clock() >= failing.until:
            del self._failing[host]
