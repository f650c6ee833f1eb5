"""Versions as Docker compared them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.legacy.version import compare
from tests.legacy.golden import recorded

TEXTS = st.text(alphabet="0123456789.+-v ", max_size=12)


@pytest.mark.parametrize("case", recorded("misc")["version_compare"], ids=lambda case: f"{case['a']!r}~{case['b']!r}")
def test_versions_compare_as_recorded_of_the_original(case: dict[str, Any]) -> None:
    assert compare(case["a"], case["b"]) == case["cmp"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1.12", "1.12", 0), ("1.0.0", "1", 0), ("1", "1.0.1", -1), ("1.0.1", "1", 1), ("1.0.1", "1.0.2", -1),
        ("1.0.2", "1.0.3", -1), ("1.0.3", "1.1", -1), ("1.1", "1.1.1", -1), ("1.1.1", "1.1.2", -1),
        ("1.1.2", "1.2", -1), ("1.12.1", "1.1.11", 1), ("1.0.2.1", "1.0.2", 1),
    ],
)  # fmt: skip
def test_versions_compare_as_upstream_tests_them(one: str, other: str, expected: int) -> None:
    assert compare(one, other) == expected


@pytest.mark.parametrize("text", ["-9223372036854775809", "-" + "9" * 30])
def test_a_number_out_of_range_is_the_nearest_there_is(text: str) -> None:
    assert compare(text, "-9223372036854775808") == 0
    assert compare(text.replace("-", ""), "9223372036854775807") == 0


def test_digits_of_other_scripts_are_no_numbers() -> None:
    assert compare("٣", "0") == 0


@given(TEXTS, TEXTS)
def test_comparing_the_other_way_round_turns_the_answer_round(one: str, other: str) -> None:
    assert compare(one, other) == -compare(other, one)


@given(TEXTS, TEXTS, TEXTS)
def test_comparing_is_transitive(a: str, b: str, c: str) -> None:
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0
