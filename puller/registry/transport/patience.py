"""Patience: how long to wait for what, so that no wait on a network is without end (RELIABILITY R7)."""

from collections.abc import Callable
from dataclasses import dataclass

from puller.errors import ConnectionLost


@dataclass(frozen=True, slots=True)
class Patience:
    """Deadlines in seconds. There is none on a whole body: a large blob may take hours if it keeps its pace.

    `minimum_rate` is in bytes per second, judged over each `window` seconds of waiting, so that a server that sends
    one byte now and then is left although it never stalls (N6).
    """

    connect: float = 15.0
    first_byte: float = 60.0
    stall: float = 30.0
    minimum_rate: int = 1024
    window: float = 30.0
    overdue: float = 5.0  # a request is told as pending, where somebody listens


class Pace:
    """Judges how fast bytes come. Only time spent waiting for them counts: a slow disk is not the server's fault."""

    def __init__(self, patience: Patience, clock: Callable[[], float]) -> None:
        self._patience = patience
        self._clock = clock
        self._asked = 0.0
        self._idle = 0.0
        self._waited = 0.0
        self._received = 0

    def ask(self) -> None:
        """A wait for bytes begins."""
        self._asked = self._clock()

    def receive(self, size: int) -> None:
        """The wait is over and brought `size` bytes, perhaps none.

        Raises ConnectionLost after a stall, and when a whole window of waiting brought too few.
        """
        waited = self._clock() - self._asked
        self._idle = 0.0 if size else self._idle + waited
        self._waited += waited
        self._received += size
        if self._idle >= self._patience.stall:
            raise ConnectionLost("the body stalls", wanted=f"a byte every {self._patience.stall:g} s")
        if self._waited < self._patience.window:
            return
        rate = self._received / self._waited
        if rate < self._patience.minimum_rate:
            wanted = f"at least {self._patience.minimum_rate} bytes/s over {self._patience.window:g} s"
            raise ConnectionLost("the body creeps", wanted=wanted, got=f"{rate:.0f} bytes/s")
        self._waited = 0.0
        self._received = 0
