"""Pool: the buffers of all pieces that one client fetches ahead, so that they are bounded however many blobs come."""

from collections.abc import Iterator
from contextlib import contextmanager

from puller.registry.download.width import RANGES, RangePolicy


class Pool:
    """As many buffers as make the policy's window; those who fetch in pieces at the same time have equal parts of it.

    A buffer is one byte longer than a piece, so that a body too long shows.
    """

    def __init__(self, policy: RangePolicy = RANGES) -> None:
        self.policy = policy
        self._total = policy.window // policy.piece
        self._out = 0
        self._users = 0
        self._free: list[bytearray] = []

    @contextmanager
    def user(self) -> Iterator[None]:
        """Somebody fetches in pieces; when nobody does, no memory is kept."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._free.clear()

    def take(self, *, having: int) -> bytearray | None:
        """A buffer for one who has so many; None where that is its part, or there is none."""
        if self._out >= self._total or having >= max(1, self._total // max(1, self._users)):
            return None
        self._out += 1
        return self._free.pop() if self._free else bytearray(self.policy.piece + 1)

    def give(self, buffer: bytearray) -> None:
        """It is not used any more."""
        self._out -= 1
        self._free.append(buffer)

    def lose(self) -> None:
        """One is not used any more, but somebody may still write to it: another takes its place."""
        self._out -= 1
