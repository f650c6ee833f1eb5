"""Hosts that want to be left alone, and the pace that somebody asks for."""

import pytest

from puller.registry.quota.allowance import Hold
from puller.registry.quota.distrust import Distrust
from puller.registry.quota.headers import LONGEST
from puller.registry.quota.pause import LENGTHS, Pace, Pause

NOW = 1_700_000_000.0
DAY = 86400.0
PROBE = Hold("me", 1, NOW + 3600)


def begun(before: Pause | None = None, end: float | None = None, *, sent: float = NOW, now: float = NOW) -> Pause:
    return Pause.begun(before, end, sent=sent, now=now, random=1.0)


def test_pauses_grow_while_it_lasts() -> None:
    pause, now, lengths = None, NOW, []
    for _ in range(6):
        pause = begun(pause, sent=now, now=now + 1)
        lengths.append(pause.until - pause.since)
        now = pause.until
    assert lengths == [*LENGTHS, LENGTHS[-1], LENGTHS[-1]]


def test_half_of_a_pause_is_chance() -> None:
    lengths = {chance: Pause.begun(None, None, sent=NOW, now=NOW, random=chance).until - NOW for chance in (0.0, 1.0)}
    assert lengths == {0.0: 0.5, 1.0: 1.0}


def test_refusals_of_requests_from_before_are_of_one_pause() -> None:
    pause = begun()
    assert begun(pause, sent=NOW - 3, now=NOW + 0.2) == pause


def test_a_time_that_is_told_is_waited_out_with_chance_on_top() -> None:
    pause = begun(end=NOW + 30)
    assert (pause.until, pause.told) == (NOW + 30.5, True)


def test_of_several_times_that_are_told_the_last_counts() -> None:
    pause = begun(begun(end=NOW + 30), NOW + 60, sent=NOW - 1, now=NOW + 1)
    assert pause.until == NOW + 60


def test_n7_a_time_that_is_told_is_bounded() -> None:
    assert begun(end=NOW + 1e12).until <= NOW + LONGEST + 1


def test_n7_a_pause_that_is_told_for_months_is_asked_about_once_a_day() -> None:
    assert begun(end=NOW + 100 * DAY).look == NOW + DAY
    assert begun(end=NOW + 60).look == NOW + 60.5


def test_after_a_pause_one_finds_out_whether_it_is_over() -> None:
    probed = begun().passed(PROBE, NOW + 2, lambda _: True)
    assert probed is not None
    assert probed.passed(Hold("other", 1, NOW + 3600), NOW + 2, lambda _: True) is None
    assert probed.passed(Hold("other", 1, NOW + 3600), NOW + 2, lambda holder: holder != "me") is not None
    assert probed.settled(PROBE).passed(Hold("other", 1, NOW + 3600), NOW + 2, lambda _: True) is not None


def test_l6_a_clock_that_is_set_back_makes_no_pause_longer() -> None:
    assert begun(end=NOW + 30).at(NOW - DAY).until == pytest.approx(NOW - DAY + 30.5)


def turns(interval: float, times: list[float], pace: Pace | None = None) -> list[float]:
    taken = []
    for now in times:
        pace, turn = Pace.step(pace, interval, now)
        taken.append(turn - NOW)
    return taken


def test_requests_are_spaced() -> None:
    assert turns(2.0, [NOW, NOW, NOW + 1, NOW + 9]) == [0, 2, 4, 9]


def test_l6_turns_that_are_far_ahead_are_of_a_clock_that_was_set_back() -> None:
    assert turns(2.0, [NOW], Pace(NOW + DAY, 2.0)) == [0]
    assert turns(2.0, [NOW], Pace(NOW + 6, 2.0)) == [6]


def test_distrust_lasts_as_long_as_it_is_said_and_counts_failures() -> None:
    first = Distrust.grown(None, 30, NOW)
    same = Distrust.grown(first, 30, NOW + 10)
    next_one = Distrust.grown(same, 60, NOW + 100)
    assert [(d.until - NOW, d.failures) for d in (first, same, next_one)] == [(30, 1), (40, 1), (160, 2)]


def test_l6_a_clock_that_is_set_back_makes_no_distrust_longer() -> None:
    assert Distrust.grown(None, 30, NOW).at(NOW - DAY).until == NOW - DAY + 30
