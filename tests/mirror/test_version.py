"""Versions in tags, and ranges of them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import InvalidConfig
from puller.mirror.version import Range, Version


@pytest.mark.parametrize(
    ("tag", "numbers", "pre", "rest"),
    [
        ("v1.2.3-alpine", (1, 2, 3), (), "-alpine"),
        ("15", (15,), (), ""),
        ("15.4-bookworm", (15, 4), (), "-bookworm"),
        ("1.2.3-rc.1-alpine3.19", (1, 2, 3), (5, 1), "-alpine3.19"),
        ("3.9b1", (3, 9), (2, 1), ""),
        ("1.2-alpha", (1, 2), (1,), ""),
        ("12-bullseye", (12,), (), "-bullseye"),
        ("1.2.3+build", (1, 2, 3), (), "+build"),
        ("8.0-mariadb", (8, 0), (), "-mariadb"),
    ],
)
def test_a_tag_is_numbers_perhaps_a_pre_release_and_a_rest(
    tag: str, numbers: tuple[int, ...], pre: tuple[int, ...], rest: str
) -> None:
    parsed = Version.parse(tag)
    assert parsed is not None
    assert (parsed[0].numbers, parsed[0].pre, parsed[1]) == (numbers, pre, rest)


@pytest.mark.parametrize("tag", ["latest", "", "v", "bookworm-1", "1..2", "1." * 9, "9" * 13, "１"])
def test_what_does_not_begin_with_numbers_is_no_version(tag: str) -> None:
    assert Version.parse(tag) is None


def test_a_pre_release_comes_before_its_release_and_missing_numbers_are_none() -> None:
    tags = ["1.0.0-alpha", "1.0.0-beta.2", "1.0.0-beta.11", "1.0-rc1", "1.0.0", "1.0.1", "1.10", "2"]
    versions = [parsed[0] for tag in tags if (parsed := Version.parse(tag))]
    assert sorted(versions) == versions
    assert Version((1,)) == Version((1, 0, 0))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=15 <18", ["15", "15.4", "17.9.9"], ["14.9", "18", "18-rc1"]),
        (">=1.2, !=1.3", ["1.2", "1.4"], ["1.1", "1.3.0"]),
        ("^1.2", ["1.2", "1.9.9"], ["1.1", "2", "2.0-rc1"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.2.2", "1.3"]),
        ("1.x", ["1", "1.9"], ["2", "0.9"]),
        ("15", ["15", "15.3"], ["16", "14"]),
        ("=15", ["15", "15.0"], ["15.3"]),
        ("1.2 || 1.4", ["1.2.7", "1.4"], ["1.3"]),
        ("*", ["0.1", "99"], []),
        ("3.12 - 3.13", ["3.12", "3.13.9"], ["3.11", "3.14", "3.14-rc1"]),
        ("1.2.3 - 1.4.5 || 2", ["1.2.3", "1.4.5", "2.1"], ["1.2", "1.4.6"]),
        ("v1.2.3", ["1.2.3"], ["1.2.4"]),
    ],
)
def test_a_range_admits_what_lies_in_it(text: str, inside: list[str], outside: list[str]) -> None:
    wanted = Range.parse(text)
    for tag in (*inside, *outside):
        parsed = Version.parse(tag)
        assert parsed is not None
        assert wanted.admits(parsed[0]) is (tag in inside), tag


@pytest.mark.parametrize(
    "text", ["", ">=", ">=1.x", "1.x.3", "latest", ">=1 <", "1 ||", "1.2.3-alpine", "1 - x", "1 - 2 - 3"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="no range"):
        Range.parse(text)


@given(st.text(max_size=40))
def test_no_text_is_more_than_a_version_a_range_or_an_error(text: str) -> None:
    Version.parse(text)
    with suppress(InvalidConfig):
        Range.parse(text)
