"""When a mirror is due, also over the days on which clocks are moved."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from puller.errors import InvalidConfig
from puller.mirror.schedule import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
NONE = timedelta(0)


def runs(text: str, start: datetime, number: int) -> list[str]:
    schedule, found, now = Schedule.parse(text), [], start
    for _ in range(number):
        now = schedule.after(now)
        found.append(now.strftime("%d. %H:%M %z"))
    return found


def test_a_cron_expression_is_due_in_its_time_zone() -> None:
    start = datetime(2026, 1, 10, 5, 0, tzinfo=BERLIN)
    assert runs("17 */6 * * *", start, 3) == ["10. 06:17 +0100", "10. 12:17 +0100", "10. 18:17 +0100"]


def test_l6_what_falls_into_the_skipped_hour_runs_once_right_after_it() -> None:
    start = datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN)  # clocks go from 2 to 3 on the 29th
    assert runs("30 2 * * *", start, 3) == ["29. 03:00 +0200", "30. 02:30 +0200", "31. 02:30 +0200"]


def test_l6_what_falls_into_the_doubled_hour_runs_once() -> None:
    start = datetime(2026, 10, 24, 12, 0, tzinfo=BERLIN)  # clocks go from 3 back to 2 on the 25th
    assert runs("30 2 * * *", start, 2) == ["25. 02:30 +0200", "26. 02:30 +0100"]


def test_l6_every_half_hour_goes_on_by_real_time() -> None:
    start = datetime(2026, 10, 25, 1, 30, tzinfo=BERLIN)
    seen = runs("*/30 * * * *", start, 5)
    assert seen == ["25. 02:00 +0200", "25. 02:30 +0200", "25. 02:00 +0100", "25. 02:30 +0100", "25. 03:00 +0100"]


def test_l6_a_daily_run_is_not_due_again_when_its_hour_comes_the_second_time() -> None:
    again = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=BERLIN)
    assert runs("30 2 * * *", again, 1) == ["26. 02:30 +0100"]


@pytest.mark.parametrize(("day", "expected"), [((2026, 3, 29), "06:30"), ((2026, 10, 25), "04:30")])
def test_l6_an_interval_is_of_real_time_when_clocks_are_moved(day: tuple[int, int, int], expected: str) -> None:
    last = datetime(*day, 0, 30, tzinfo=BERLIN)
    due = Schedule.parse("every 5h").after(last)
    assert due.strftime("%H:%M") == expected
    assert due.timestamp() - last.timestamp() == 5 * 3600


def test_l6_what_is_due_in_the_second_of_two_hours_is_not_taken_for_missed() -> None:
    now = datetime(2026, 10, 25, 2, 50, tzinfo=BERLIN)  # still summer time: 2:30 comes again in 40 minutes
    due = Schedule.parse("*/30 * * * *").due(now, now, jitter=NONE, random=lambda: 0)
    assert due.timestamp() - now.timestamp() == 600
    assert due.fold == 1


def test_an_interval_counts_from_the_last_run() -> None:
    last = datetime(2026, 1, 1, 3, 7, tzinfo=UTC)
    assert Schedule.parse("every 6h").after(last) == last + timedelta(hours=6)
    assert Schedule.parse("@daily").after(last) == datetime(2026, 1, 2, tzinfo=UTC)


def test_missed_runs_are_made_up_for_by_one() -> None:
    now = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
    due = Schedule.parse("0 * * * *").due(now - timedelta(days=3), now, jitter=NONE, random=lambda: 0.5)
    assert due == now


def test_runs_are_spread_over_the_jitter() -> None:
    now = datetime(2026, 1, 10, 12, 30, tzinfo=UTC)
    due = Schedule.parse("0 * * * *").due(now, now, jitter=timedelta(minutes=10), random=lambda: 0.5)
    assert due == datetime(2026, 1, 10, 13, 5, tzinfo=UTC)
    first = Schedule.parse("0 * * * *").due(None, now, jitter=timedelta(minutes=10), random=lambda: 0.5)
    assert first == now + timedelta(minutes=5)


def test_l6_a_clock_that_was_set_back_neither_stops_nor_storms() -> None:
    now = datetime(2026, 1, 10, 12, 30, tzinfo=UTC)
    due = Schedule.parse("0 * * * *").due(now + timedelta(days=1), now, jitter=NONE, random=lambda: 0)
    assert due == datetime(2026, 1, 10, 13, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "61 * * * *", "* * * *", "* * * * * *", "0 0 30 2 *", "every 0h", "every 6w", "6h", "x"]
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="no schedule"):
        Schedule.parse(text)


@pytest.mark.parametrize(("text", "got"), [("every 90s", "every 90s"), ("* * * *", "* * * *: five fields are wanted")])
def test_fields_are_asked_for_where_fields_were_meant(text: str, got: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        Schedule.parse(text)
    assert caught.value.got == got
