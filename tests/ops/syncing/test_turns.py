"""Turns: names of mirrors, what overlaps, what runs together."""

from datetime import UTC

import pytest

from puller.mirror.config import Mirror, Place
from puller.mirror.schedule import Schedule
from puller.ops.syncing.turns import MOST_MISSED, Turn, keyed, overlap, passed, together, turns_of, upcoming
from tests.ops.syncing.watchful import DAY, HOUR, MINUTE, NOON, key, mirror, ran


def names(mirrors: list[tuple[str, Mirror]]) -> list[str]:
    return [one.source.name.partition("/")[2] for _, one in mirrors]


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


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Place("registry", "r/a"), Place("registry", "r/a"), True),
        (Place("registry", "r/a"), Place("registry", "r/b"), False),
        (Place("registry", "r/*"), Place("registry", "r/b"), True),
        (Place("registry", "r/x/*"), Place("registry", "r/b"), False),
        (Place("registry", "r/*/x"), Place("registry", "r/b/*"), True),
        (Place("registry", "r/a/*"), Place("registry", "r/b/*"), False),
        (Place("registry", "r/a"), Place("oci", "r/a"), False),
        (Place("oci", "/srv/all"), Place("oci", "/srv/all/"), True),
        (Place("oci", "/srv/all"), Place("oci", "/srv/all/debian"), True),
        (Place("oci", "/srv/all"), Place("oci", "/srv/allother"), False),
        (Place("store", ""), Place("store", ""), True),
    ],
)
def test_targets_that_may_be_one_repository_are_told(one: Place, other: Place, expected: bool) -> None:
    assert overlap(one, other) is expected
    assert overlap(other, one) is expected


def test_mirrors_that_do_not_prune_run_alone() -> None:
    one, other = mirror("a", "@daily", to="down.example/x"), mirror("b", "@daily", to="down.example/x")
    due = [Turn(key, mirror, Schedule.parse("@daily")) for key, mirror in keyed([one, other])][:1]
    assert names(together(due, [one, other])) == ["a"]


def test_what_prunes_brings_along_what_shares_its_target_also_without_a_schedule() -> None:
    one = mirror("a", "@daily", to="down.example/x")
    pruned, by_hand = mirror("b", "@weekly", to="down.example/x", prune=True), mirror("c", to="down.example/x")
    every = [by_hand, pruned, mirror("d", "@daily"), one]
    due = [turn for turn in turns_of(every) if turn.mirror is one]
    assert names(together(due, every)) == ["c", "b", "a"]
