"""Ranges as Masterminds/semver reads them: which tags they admit."""

import pytest

from puller.errors import InvalidConfig
from puller.mirror.constraint import RELEASE, parse
from puller.mirror.selection import TagRule, by_name


def chosen(text: str, *tags: str) -> list[str]:
    rule = TagRule(allow=(RELEASE,), versions=parse(text))
    return [verdict.tag for verdict in by_name(tags, rule) if verdict.chosen]


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">= 3.12.0", ["3.12.0", "v3.12", "4.0.0"], ["3.11.9", "edge"]),
        ("3.12 - 3.13", ["3.12", "3.12.9", "3.13", "3.13.5"], ["3.11.9", "3.14", "3.13.1-rc1"]),
        ("1.2 - 1.4.5", ["1.2.0", "1.4.5"], ["1.4.6"]),
        (">11", ["12", "12.0.1"], ["11", "11.1"]),
        (">11.1", ["11.2", "12"], ["11.1", "11.1.1"]),
        ("<=11", ["11", "11.9.9"], ["12"]),
        ("<=11.1", ["11.1.7", "10"], ["11.2"]),
        ("<=1.2.3", ["1.2.3"], ["1.2.4"]),
        ("<11", ["10.9"], ["11", "11.0.1"]),
        ("=15", ["15", "15.3"], ["16"]),
        ("1.2", ["1.2", "1.2.7"], ["1.3"]),
        ("1.2.3", ["1.2.3"], ["1.2.4", "1.2"]),
        ("1.x || 3.*", ["1.9", "3.1.1"], ["2"]),
        (">=1, !=2", ["1.5", "3"], ["2", "2.4", "0.9"]),
        (">=1 !=1.2 <2", ["1.1", "1.3"], ["1.2", "1.2.9", "2"]),
        (">=1, !=1.2.3", ["1.2.4"], ["1.2.3"]),
        ("^1.2.x", ["1.2", "1.9"], ["2", "1.1"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3", "0.2.2"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^0.0", ["0.0.9"], ["0.1"]),
        ("^0", ["0.9"], ["1"]),
        ("~1", ["1.9"], ["2"]),
        ("~>1.2.3", ["1.2.3", "1.2.9"], ["1.3", "1.2.2"]),
        ("~0.0.0", ["0.0.0", "7"], []),
        ("*", ["0.1", "99"], ["1.2.3.4", "V1", "1.2-alpine", "latest"]),
        ("=>1.2, =<1.3", ["1.2", "1.3.9"], ["1.4"]),
    ],
)
def test_a_range_admits_what_it_admits_there(text: str, inside: list[str], outside: list[str]) -> None:
    assert chosen(text, *inside, *outside) == inside


def test_reasons_name_the_range_as_it_is_written() -> None:
    assert by_name(["11"], TagRule(versions=parse(">11")))[0].why == "not in >11"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ">=1.2-0",
        ">=1.0.0-rc1",
        "latest",
        ">*",
        "^*",
        "1.x.3",
        "!=1.2.3",
        "1 ||",
        ">=1<2",
        "1.2.3.4",
        "1 - 2 3.",
        " ".join(["!=1"] * 9),
    ],
)
def test_what_would_admit_pre_releases_and_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="no range"):
        parse(text)
