"""Times: what the recorded vectors do not reach. They are all in test_imageid."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import InvalidManifest
from puller.legacy.gotime import GoTime

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: datetime.timezone(datetime.timedelta(minutes=m)))


def written(text: str) -> str:
    return GoTime.parse(f'"{text}"'.encode()).encode().decode()[1:-1]


@given(st.datetimes(timezones=ZONES, min_value=datetime.datetime(1, 1, 1)))
def test_a_time_keeps_its_moment_its_zone_and_its_fraction(moment: datetime.datetime) -> None:
    text = moment.isoformat()
    found = written(text)
    assert datetime.datetime.fromisoformat(found) == moment
    assert found.endswith("Z") == (not moment.utcoffset())
    assert written(found) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2015-02-29T00:00:00Z", "2015-03-01T00:00:00Z"),
        ("2016-02-31T00:00:00Z", "2016-03-02T00:00:00Z"),
        ("1900-02-29T00:00:00Z", "1900-03-01T00:00:00Z"),
        ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"),
        ("2015-01-00T00:00:00Z", "2014-12-31T00:00:00Z"),
        ("2015-03-00T00:00:00Z", "2015-02-28T00:00:00Z"),
        ("2015-01-01T00:00:00+99:99", "2015-01-01T00:00:00+100:39"),
        ("2015-01-01T00:00:00+-1:30", "2015-01-01T00:00:00-00:30"),
        ("2015-01-01T00:00:00--1:00", "2015-01-01T00:00:00+01:00"),
        # More than nine digits pass where they make a small number, and count as nanoseconds.
        ("2015-01-01T00:00:00.0123456789Z", "2015-01-01T00:00:00.123456789Z"),
        ("2015-01-01T00:00:00.00000000001Z", "2015-01-01T00:00:00.000000001Z"),
    ],
)
def test_odd_times_come_out_as_go_normalised_them(text: str, expected: str) -> None:
    assert written(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2x15-01-01T00:00:00Z", "2015-01-xxT00:00:00Z", "2015-01-32T00:00:00Z", "2015-01-01T00:00:00x01:00",
        "2015-01-01T00:00:00+0x:00", "2015-01-01T00:00:00+01-00", "2015-01-01T00:00:00.99999999999999999999Z",
        "2015-01-01T00:00:٣3Z", "２015-01-01T00:00:00Z", "2015-01-01T00:0:00Z",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_gos_words(text: str) -> None:
    with pytest.raises(InvalidManifest, match=r'^parsing time ""'):
        written(text)


def test_a_fraction_beyond_64_bits_cannot_be_read_and_one_of_ten_digits_is_out_of_range() -> None:
    with pytest.raises(InvalidManifest, match=r'cannot parse "Z"" as "05"$'):
        written("2015-01-01T00:00:00.99999999999999999999Z")
    with pytest.raises(InvalidManifest, match=r"fractional second out of range$"):
        written("2015-01-01T00:00:00.9999999999Z")


def test_text_after_the_time_is_refused() -> None:
    with pytest.raises(InvalidManifest, match=r"extra text: x$"):
        GoTime.parse(b'"2015-01-01T00:00:00Z"x')


def test_a_year_that_json_cannot_hold_is_refused_when_written() -> None:
    before = GoTime.parse(b'"0000-01-00T00:00:00Z"')
    assert (before.year, before.month, before.day) == (-1, 12, 31)
    with pytest.raises(InvalidManifest, match=r"year outside of range \[0,9999\]"):
        before.encode()


def test_the_default_is_gos_zero_time() -> None:
    assert GoTime().encode() == b'"0001-01-01T00:00:00Z"'
