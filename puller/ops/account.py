"""Account: what ledgers of pulls and of pushes have in common: whom they tell, by which clock, and warnings."""

import time
from collections.abc import Callable

from puller.model.descriptor import Descriptor
from puller.model.event import Event, Report, Subject, Warned


class Account:
    """Of one piece of work on `reference`; events go on to whoever listens. `root` is what the name stands for."""

    def __init__(self, reference: Subject, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._reference = reference
        self._report = report
        self._clock = clock
        self._started = clock()
        self._warnings: list[str] = []
        self.root: Descriptor | None = None

    def now(self) -> float:
        """Seconds of the clock that durations are measured by."""
        return self._clock()

    def elapsed(self) -> float:
        """Seconds since it was opened."""
        return self._clock() - self._started

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        self._report(event)

    def warn(self, text: str) -> None:
        """Something was done, but look."""
        self._warnings.append(text)
        self._report(Warned(self._reference, text))
