"""Text from outside is shown without power over the terminal (THREATS C22)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.model.text import SHOWN_LENGTH, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcödé, 日本語 ✓", "plain text, ünïcödé, 日本語 ✓"),
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("\x1b[2J\x1b[31mred", "\\x1b[2J\\x1b[31mred"),
        ("a\rb\nc\td", "a\\x0db\\x0ac\\x09d"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("right\u202eto left\u2066", "right\\u202eto left\\u2066"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\u2028separator", "line\\u2028separator"),
        ("no-break\u00a0space", "no-break\\xa0space"),
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("", ""),
    ],
)
def test_c22_what_a_terminal_could_act_on_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_c22_whatever_comes_out_is_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()


@given(st.text())
def test_c22_what_is_shown_can_be_encoded(text: str) -> None:
    printable(text + "\ud800").encode("utf-8")


def test_long_text_is_cut_and_says_so() -> None:
    assert printable("x" * SHOWN_LENGTH) == "x" * SHOWN_LENGTH
    assert printable("x" * (SHOWN_LENGTH + 1)) == "x" * SHOWN_LENGTH + "…"
    assert printable("abcdef", limit=3) == "abc…"
