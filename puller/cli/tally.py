"""Tally: how far a long look at the store has come, on stderr: live on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from puller.cli.lines import counted, size_text
from puller.cli.screen import PLAIN_INTERVAL

LIVE_INTERVAL = 0.1  # seconds between two changes of a live line


class Tally:
    """Counts blobs, or what else `noun` says, and their bytes. Leaving it takes the live line away."""

    def __init__(
        self, word: str, noun: str = "blob", *, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._word = word
        self._noun = noun
        self._out = out or sys.stderr
        self._live = self._out.isatty()
        self._clock = clock
        self._told = clock()
        self._count = 0
        self._size = 0

    def add(self, name: object, size: int) -> None:
        """One more, of `size` bytes."""
        self._count, self._size = self._count + 1, self._size + size
        now = self._clock()
        if now - self._told < (LIVE_INTERVAL if self._live else PLAIN_INTERVAL):
            return
        self._told = now
        line = f"{self._word} {counted(self._count, self._noun)}, {size_text(self._size)} so far"
        self._out.write(f"\r\x1b[K{line}" if self._live else f"{line}\n")
        self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()
