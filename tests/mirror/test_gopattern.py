"""Patterns of Go: what they find there, found here."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.mirror.gopattern import anywhere, whole


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (r"3\.\d+", ["3.19"], ["3.19-rc1", "13.1", "3."]),
        ("a|b", ["axe", "cab"], ["cap"]),  # ^a|b$
        ("(a|b)", ["a", "b"], ["axe", "cab"]),
        ("(?i)latest", ["Latest"], ["latest1"]),
        ("(?i)a|b", ["AXE", "caB"], ["cap"]),
        ("[[:digit:]]+[[:alpha:]]?", ["12a"], ["12ab", "a"]),
        ("a{,2}", ["a{,2}"], ["aa", "a"]),
        ("a{1,2}", ["a", "aa"], ["aaa"]),
        ("[]x]", ["]", "x"], ["a"]),
        ("[a&&b[]+", ["a&[b"], ["c"]),
        (r"v1\z", ["v1"], ["v12"]),
        ("(?<n>a)(?P<m>b)", ["ab"], ["a"]),
        ("", [], ["a"]),
    ],
)
def test_what_stands_alone_there_is_matched_whole(text: str, inside: list[str], outside: list[str]) -> None:
    pattern = whole(text)
    assert [name for name in (*inside, *outside) if pattern.fullmatch(name)] == inside


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("alpine", ["alpine", "1.2-alpine3"], ["alpin"]),
        (r"^1\.13\.[12]-alpine-perl$", ["1.13.1-alpine-perl"], ["1.13.3-alpine-perl", "11.13.1-alpine-perl"]),
        ("^1|2$", ["10", "32"], ["21"]),
        (r"\$", ["a$b"], ["ab"]),
        (r"^a\$", ["a$b"], ["ba$"]),
        ("(?i)^V1$", ["v1", "V1"], ["v12"]),
    ],
)
def test_what_is_sought_anywhere_there_is_found_anywhere(text: str, inside: list[str], outside: list[str]) -> None:
    pattern = anywhere(text)
    assert [name for name in (*inside, *outside) if pattern.fullmatch(name)] == inside


@pytest.mark.parametrize("text", ["(?=a)", r"\pL", r"\Qa.b\E", "a++", "a**", "(?U)a*", "[", "(", "[[:^alpha:]]", r"\8"])
def test_what_cannot_be_told_in_our_way_is_refused(text: str) -> None:
    for read in (whole, anywhere):
        with pytest.raises(ValueError, match=r"no regular expression|no set of characters"):
            read(text)


@given(st.text("ab.-1", max_size=6), st.lists(st.text("ab.-1", max_size=6), max_size=5))
def test_plain_patterns_mean_the_same_in_both(text: str, names: list[str]) -> None:
    for name in names:
        assert bool(anywhere(text).fullmatch(name)) == bool(re.search(text, name))
        assert bool(whole(text).fullmatch(name)) == bool(re.search(f"^{text}$", name))
