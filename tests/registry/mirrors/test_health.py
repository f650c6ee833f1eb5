"""How long a host that has failed is asked after others."""

from puller.registry.mirrors.health import FIRST, LONGEST, Health
from tests.registry.scene import Time

HOST = "mirror.example:5000"


def test_a_host_that_has_done_nothing_wrong_is_trusted() -> None:
    health = Health(Time().clock)

    assert not health.is_distrusted(HOST)
    assert health.reason(HOST) == ""


def test_n9_a_host_that_failed_is_distrusted_for_a_while_and_no_other_is() -> None:
    time = Time()
    health = Health(time.clock)
    health.note_failure(HOST, "cannot connect")

    assert health.is_distrusted(HOST)
    assert health.reason(HOST) == "cannot connect"
    assert not health.is_distrusted("mirror.example:5001")
    time.now += FIRST
    assert not health.is_distrusted(HOST)


def test_each_failure_after_the_last_distrust_is_over_doubles_it_up_to_a_cap() -> None:
    time = Time()
    health = Health(time.clock)
    waits = []
    for _ in range(8):
        health.note_failure(HOST, "cannot connect")
        start = time.now
        while health.is_distrusted(HOST):
            time.now += FIRST
        waits.append(time.now - start)

    assert waits == [30, 60, 120, 240, 480, 600, 600, 600]


def test_failures_of_requests_that_were_under_way_together_count_once() -> None:
    time = Time()
    health = Health(time.clock)
    for _ in range(6):
        health.note_failure(HOST, "cannot connect")
    time.now += FIRST

    assert not health.is_distrusted(HOST)


def test_a_host_that_lied_is_distrusted_for_longest_at_once() -> None:
    time = Time()
    health = Health(time.clock)
    health.note_failure(HOST, "served wrong bytes", lied=True)
    time.now += LONGEST - 1

    assert health.is_distrusted(HOST)
    time.now += 1
    assert not health.is_distrusted(HOST)


def test_a_success_ends_no_distrust_that_is_under_way() -> None:
    health = Health(Time().clock)
    health.note_failure(HOST, "the server fails")
    health.note_success(HOST)

    assert health.is_distrusted(HOST)


def test_a_success_afterwards_lets_the_next_failure_count_as_the_first() -> None:
    time = Time()
    health = Health(time.clock)
    health.note_failure(HOST, "cannot connect")
    time.now += FIRST
    health.note_success(HOST)
    health.note_failure(HOST, "cannot connect")
    time.now += FIRST

    assert not health.is_distrusted(HOST)


class Neighbours:
    """What other processes know."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self.distrusted: dict[str, tuple[float, int]] = {}

    def note_failure(self, host: str, seconds: float) -> None:
        self.told.append((host, seconds))

    def note_success(self, host: str) -> None:
        self.distrusted.pop(host, None)

    def distrusted_for(self, host: str) -> tuple[float, int]:
        return self.distrusted.get(host, (0.0, 0))


def test_what_other_processes_found_out_counts_and_they_are_told() -> None:
    neighbours = Neighbours()
    neighbours.distrusted[HOST] = (12.0, 2)
    health = Health(Time().clock, neighbours)
    assert health.is_distrusted(HOST)
    assert health.reason(HOST) == "another process had to do without it"
    health.note_failure(HOST, "cannot connect")
    health.note_failure(HOST, "cannot connect")

    assert neighbours.told == [(HOST, 4 * FIRST)]
    health.note_success(HOST)
    assert neighbours.distrusted == {}
