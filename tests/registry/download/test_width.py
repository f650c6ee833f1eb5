"""How many connections: a line and a reader that are arithmetic, and a clock that nobody waits for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from puller.registry.download.width import MIB, RANGES, RangePolicy, Width

MB = 1e6
EVER = 1e12


@dataclass
class Line:
    """`rate` bytes a second by so many connections; a reader that takes `reader` bytes a second."""

    rate: Callable[[int], float]
    reader: float = EVER
    limit: int = 8
    policy: RangePolicy = RANGES

    def __post_init__(self) -> None:
        self.width = Width(self.policy)
        self.now = self.received = self.waited = 0.0
        self.seen: list[int] = []

    def run(self, seconds: float) -> list[int]:
        """Every answer in turn, for so long, looked at for every MiB."""
        end = self.now + seconds
        while self.now < end:
            line = self.rate(min(self.width.wanted, self.limit))
            took = MIB / min(line, self.reader)
            self.now += took
            self.received += MIB
            self.waited += took - MIB / self.reader
            self.width.observe(self.now, int(self.received), self.waited, limit=self.limit)
            if not self.seen or self.seen[-1] != self.width.wanted:
                self.seen.append(self.width.wanted)
        return self.seen


def each(rate: float, ceiling: float = EVER) -> Callable[[int], float]:
    """So much by each connection, so much by all together."""
    return lambda connections: min(connections * rate, ceiling)


@pytest.mark.parametrize(
    ("line", "steps"),
    [
        (Line(each(50 * MB)), [1, 2, 4, 8]),
        (Line(each(1 * MB)), [1, 2]),
        (Line(each(20 * MB), limit=3), [1, 2, 3]),
        (Line(each(20 * MB), limit=1), [1]),
        (Line(each(20 * MB), policy=replace(RANGES, most=4)), [1, 2, 4]),
        (Line(each(20 * MB, ceiling=20 * MB)), [1, 2, 1]),
        (Line(each(20 * MB, ceiling=45 * MB)), [1, 2, 4, 2]),
        (Line(lambda connections: 20 * MB / connections), [1, 2, 1]),
        (Line(each(400 * MB), reader=500 * MB), [1]),  # fast enough
        (Line(each(100 * MB), reader=120 * MB), [1]),  # the reader is the slower one
        (Line(each(50 * MB), reader=150 * MB), [1, 2, 4]),
    ],
    ids=[
        "fast",
        "slow",
        "limited",
        "alone",
        "capped",
        "full",
        "full by two",
        "worse",
        "enough",
        "reader",
        "reader by three",
    ],
)
def test_connections_grow_while_more_comes_by_them(line: Line, steps: list[int]) -> None:
    assert line.run(7) == steps


def test_a_slow_line_is_measured_by_what_it_brings_and_not_by_the_clock() -> None:
    assert Line(each(1 * MB)).run(40) == [1, 2, 4, 8]


def test_after_what_brought_nothing_it_is_tried_again_more_and_more_rarely() -> None:
    line = Line(each(20 * MB, ceiling=20 * MB))
    times = []
    for _ in range(4):
        while line.width.wanted == 1:
            line.run(0.1)
        times.append(line.now)
        while line.width.wanted == 2:
            line.run(0.1)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[0] == pytest.approx(RANGES.rest, abs=2.5)
    assert waits[1] == pytest.approx(2 * RANGES.rest, abs=2.5)
    assert waits[2] == pytest.approx(4 * RANGES.rest, abs=2.5)


def test_what_trials_cost_is_little() -> None:
    # Two connections that together bring a fifth less, as where one core serves both.
    line = Line(lambda connections: 100 * MB if connections == 1 else 80 * MB)
    line.run(20)
    assert line.received / line.now >= 0.985 * 100 * MB


def test_a_line_that_breaks_halves_them_and_lets_time_pass() -> None:
    line = Line(each(20 * MB))
    line.run(5)
    line.width.broken(line.now)
    assert line.width.wanted == 4
    line.run(RANGES.rest - 1)
    assert line.width.wanted == 4
    line.run(4)
    assert line.width.wanted == 8


def test_one_stream_is_not_less_than_one() -> None:
    line = Line(each(20 * MB))
    line.width.broken(0.0)
    assert line.width.wanted == 1


def test_once_stopped_it_stays_one_stream() -> None:
    line = Line(each(20 * MB))
    line.run(5)
    line.width.stop()
    line.seen.clear()
    assert line.run(100) == [1]


def test_a_clock_that_stands_still_changes_nothing() -> None:
    width = Width(replace(RANGES, epoch=0, longest=0, hunger=0))
    for received in range(0, 100 * MIB, MIB):
        width.observe(5.0, received, 0.0, limit=8)
    assert width.wanted == 1


def test_a_trial_that_others_cut_short_proves_nothing() -> None:
    line = Line(each(20 * MB))
    while line.width.wanted == 1:
        line.run(0.1)
    line.limit = 1
    line.run(2)
    line.limit = 8
    assert line.run(4)[-1] == 8


@pytest.mark.parametrize("wrong", [{"most": 0}, {"piece": 0}, {"piece": 20 * MIB}])
def test_a_policy_that_cannot_be_kept_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="window"):
        replace(RANGES, **wrong)
