"""Lengths of time as Go writes them."""

from datetime import timedelta

import pytest

from puller.mirror.duration import every, parse


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90m", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        (".5s", timedelta(milliseconds=500)),
        ("1ms2us", timedelta(microseconds=1002)),
    ],
)
def test_lengths_are_read(text: str, length: timedelta) -> None:
    assert parse(text) == length


@pytest.mark.parametrize("text", ["", "5", "-1h", "h", "1d", "1h x", "9" * 400 + "h", "999999999h", "１h"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        parse(text)


@pytest.mark.parametrize(("minutes", "schedule"), [(5, "every 5m"), (120, "every 2h"), (2880, "every 2d")])
def test_an_interval_is_told_in_the_largest_unit(minutes: int, schedule: str) -> None:
    assert every(timedelta(minutes=minutes)) == schedule


@pytest.mark.parametrize("seconds", [0, 30, 90])
def test_an_interval_is_in_whole_minutes(seconds: int) -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        every(timedelta(seconds=seconds))
