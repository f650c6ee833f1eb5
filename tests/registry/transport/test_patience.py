import pytest

from puller.errors import ConnectionLost
from puller.registry.transport.patience import Pace, Patience

PATIENCE = Patience(stall=10, minimum_rate=100, window=30)


class Line:
    """A pace whose waits are told instead of waited."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pace = Pace(PATIENCE, lambda: self.now)

    def wait(self, seconds: float, size: int) -> None:
        self.pace.ask()
        self.now += seconds
        self.pace.receive(size)


def test_n5_silence_is_a_stall_when_it_adds_up() -> None:
    line = Line()
    for _ in range(19):
        line.wait(0.5, 0)
    with pytest.raises(ConnectionLost, match="stalls"):
        line.wait(0.5, 0)


def test_n6_one_byte_a_second_is_no_stall_but_creeps() -> None:
    line = Line()
    for _ in range(29):
        line.wait(1, 1)
    with pytest.raises(ConnectionLost, match="creeps"):
        line.wait(1, 1)


def test_a_rate_just_enough_goes_on_for_hours() -> None:
    line = Line()
    for _ in range(10_000):
        line.wait(1, 100)


def test_a_fast_start_does_not_pay_for_a_slow_end() -> None:
    line = Line()
    line.wait(30, 10_000_000)
    for _ in range(29):
        line.wait(1, 1)
    with pytest.raises(ConnectionLost, match="creeps"):
        line.wait(1, 1)


def test_time_the_consumer_takes_is_not_held_against_the_server() -> None:
    line = Line()
    for _ in range(100):
        line.now += 3600
        line.wait(0.1, 1000)
