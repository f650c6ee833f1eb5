"""Turns: names of mirrors, what overlaps, what runs together."""

from datetime import UTC

import pytest

from puller.mirror.schedule import Schedule
from puller.ops.syncing.turns import MOST_MISSED, keyed, passed, turns_of, upcoming
from tests.ops.syncing.watchful import DAY, HOUR, MINUTE, NOON, key, mirror, ran


def test_mirrors_of_one_source_and_target_have_names_of_their_own() -> None:
    found = [name for name, _ in keyed([mirror("a"), mirror("b"), mirror("a"), mirror("a")])]
    assert found == [key("a"), key("b"), f"{key('a')} #2", f"{key('a')} #3"]


def test_a_mirror_without_a_schedule_has_no_turn() -> None:
    assert [turn.key for turn in turns_of([mirror("a"), mirror("b", "@daily")])] == [key("b")]


@pytest.mark.parametrize(
    ("schedule", "minutes", "missed", "last"),
    [("every 10m", 35, 3, 30), ("every 1h", 59, 0, 0), ("*/10 * * * *", 35, 3, 30), ("0 * * * *", 60, 1, 60)],
)
def test_r13_the_times_due_during_a_run_are_counted(schedule: str, minutes: int, missed: int, last: int) -> None:
    found = passed(Schedule.parse(schedule), NOON, NOON + minutes * MINUTE, UTC)
    assert found == (missed, NOON + last * MINUTE)


@pytest.mark.parametrize("schedule", ["* * * * *", "every 1m"])
def test_r13_a_run_of_the_year_1970_is_not_counted_minute_by_minute(schedule: str) -> None:
    due = upcoming(Schedule.parse(schedule), ran(0, NOON + 1), NOON + 2, UTC)
    assert due <= NOON + MINUTE + 1
    assert passed(Schedule.parse("* * * * *"), 0, NOON, UTC) == (MOST_MISSED, NOON)


def test_a_run_whose_clock_was_set_back_meanwhile_has_skipped_nothing() -> None:
    assert passed(Schedule.parse("0 * * * *"), NOON, NOON - DAY, UTC) == (0, NOON)
    assert passed(Schedule.parse("every 1h"), NOON, NOON - DAY, UTC) == (0, NOON)
    assert upcoming(Schedule.parse("0 * * * *"), ran(NOON, NOON - DAY), NOON - DAY, UTC) == NOON - DAY + HOUR
