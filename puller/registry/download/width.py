"""Width: over how many connections one blob should come. Pure: it is told the time, and decides.

A line is measured in epochs. Where the reader waits for bytes a good part of its time, twice as many connections are
tried; they stay if more bytes come by them, else it goes back and lets some time pass. A server that throttles, or
answers ranges wrongly, is asked in one stream from then on.
"""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class RangePolicy:
    """Sizes in bytes, times in seconds.

    `most` connections for one blob; `window` bytes held at most beyond what the reader has taken, in pieces of `piece`;
    nothing is tried where less than `least` is left. `share` of a blob is the most that is under way beyond what the
    reader has, and so the most that a kill costs (RELIABILITY R6). `hunger` is the part of the time that the reader
    waits before more is tried; `gain` by how much more has to be brought then, `loss` with what part of it a trial is
    over at once; `enough` a rate at which one stream is as fast as those who read it.
    An epoch lasts `epoch` seconds and a piece for each connection, but not longer than `longest`; `rest` is how long
    nothing is tried after what brought nothing, twice as long each time.
    """

    most: int = 8
    window: int = 32 * MIB
    piece: int = 4 * MIB
    least: int = 32 * MIB
    share: float = 0.05
    hunger: float = 0.25
    gain: float = 1.2
    loss: float = 0.9
    enough: float = 256.0 * MIB
    epoch: float = 0.3
    longest: float = 4.0
    rest: float = 8.0

    def __post_init__(self) -> None:
        if not (self.most >= 1 and self.piece >= 1 and self.window >= 2 * self.piece):
            raise ValueError("a window of two pieces is the least")

    def pieces(self, size: int) -> int:
        """How many pieces of a blob of `size` bytes may be under way at a time."""
        return int(size * self.share) // self.piece

    def suits(self, size: int, left: int) -> bool:
        """Whether pieces may be tried for a blob of `size` bytes of which so many are left."""
        return self.pieces(size) >= 2 and left >= self.least


RANGES = RangePolicy()


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where an epoch began: a time, bytes received and seconds waited until then."""

    now: float
    received: int
    waited: float


class Width:
    """Decides for one blob. `wanted` is the answer at any time."""

    def __init__(self, policy: RangePolicy) -> None:
        self._policy = policy
        self._begun: _Mark | None = None
        self._settling = False
        self._before: tuple[int, float] | None = None  # connections and rate before the trial that is on
        self._rest = policy.rest
        self._rested = float("-inf")
        self._is_final = False
        self.wanted = 1

    def observe(self, now: float, received: int, waited: float, *, limit: int) -> None:
        """What has come so far, and how long the reader has waited for it; `limit`: connections that are to be had."""
        policy, begun = self._policy, self._begun
        if begun is None:
            self._begun = _Mark(now, received, waited)
        elif not self._is_final and self._is_over(begun, now, received):
            self._begun = _Mark(now, received, waited)
            rate = (received - begun.received) / (now - begun.now)
            if self._settling:
                self._settle(now, rate)
            else:
                self._judge(now, rate, (waited - begun.waited) / (now - begun.now), min(limit, policy.most))

    def broken(self, now: float) -> None:
        """A line broke: perhaps there are too many."""
        self._go_back(now, max(1, self.wanted // 2))

    def stop(self) -> None:
        """One stream, for the rest of this blob."""
        self.wanted = 1
        self._is_final = True

    def _is_over(self, begun: _Mark, now: float, received: int) -> bool:
        elapsed = now - begun.now
        is_enough = received - begun.received >= self.wanted * self._policy.piece
        return elapsed > 0 and (elapsed >= self._policy.longest or (is_enough and elapsed >= self._policy.epoch))

    def _settle(self, now: float, rate: float) -> None:
        """New connections are slow at first, but those that were there before should not have become slower."""
        self._settling = False
        if self._before is not None and rate < self._policy.loss * self._before[1]:
            self._go_back(now, self._before[0])

    def _judge(self, now: float, rate: float, hunger: float, limit: int) -> None:
        policy = self._policy
        is_hungry = hunger >= policy.hunger
        before, self._before = self._before, None
        if before is not None and limit >= self.wanted:
            connections, earlier = before
            # Where the reader has become the slower one, no more can be gained than it takes.
            if rate < earlier * (policy.gain if is_hungry else 1.0):
                self._go_back(now, connections)
                return
            self._rest = policy.rest
        if is_hungry and rate < policy.enough and now >= self._rested and limit > self.wanted:
            self._before = self.wanted, rate
            self._settling = True
            self.wanted = min(2 * self.wanted, limit)

    def _go_back(self, now: float, connections: int) -> None:
        self.wanted = connections
        self._before = None
        self._settling = True
        self._rested = now + self._rest
        self._rest *= 2
