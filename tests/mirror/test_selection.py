"""Which tags are taken, and the reasons that are given."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from puller.mirror.selection import TagRule, Verdict, by_age, by_name
from puller.mirror.version import Range

TAGS = ["latest", "14.1", "15.0", "15.4", "15.4-alpine", "16.0-rc1", "16.1", "16.1-alpine", "18.0", "edge"]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def pattern(*texts: str) -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, texts))


def chosen(verdicts: list[Verdict]) -> list[str]:
    return [verdict.tag for verdict in verdicts if verdict.chosen]


def why(verdicts: list[Verdict], tag: str) -> str:
    return next(verdict.why for verdict in verdicts if verdict.tag == tag)


def test_without_a_rule_all_are_taken() -> None:
    assert chosen(by_name(TAGS, TagRule())) == TAGS


def test_patterns_match_whole_tags_and_deny_wins() -> None:
    verdicts = by_name(TAGS, TagRule(allow=pattern(r"1[56]\..*"), deny=pattern(".*-alpine", ".*rc.*")))
    assert chosen(verdicts) == ["15.0", "15.4", "16.1"]
    assert why(verdicts, "16.0-rc1") == "denied by .*rc.*"
    assert why(verdicts, "edge") == "allowed by no pattern"


def test_versions_are_taken_without_flavour_unless_one_is_named() -> None:
    wanted = Range.parse(">=15 <18")
    plain = by_name(TAGS, TagRule(versions=wanted))
    assert chosen(plain) == ["15.0", "15.4", "16.1"]
    assert why(plain, "15.4-alpine") == "no version and nothing behind it"
    assert why(plain, "16.0-rc1") == "a pre-release"
    assert why(plain, "18.0") == "not in >=15 <18"
    assert chosen(by_name(TAGS, TagRule(versions=wanted, suffix="-alpine"))) == ["15.4-alpine", "16.1-alpine"]
    assert "16.0-rc1" in chosen(by_name(TAGS, TagRule(versions=wanted, prereleases=True)))


def test_the_newest_are_counted_after_everything_else() -> None:
    verdicts = by_name(TAGS, TagRule(deny=pattern("latest", "edge"), versions=Range.parse("*"), newest=2))
    assert chosen(verdicts) == ["16.1", "18.0"]
    assert why(verdicts, "15.4") == "not among the newest 2 by version"


def test_exact_tags_need_no_list_and_are_never_dropped() -> None:
    rule = TagRule(exact=("edge", "latest"))
    assert not rule.lists
    assert chosen(by_name([], rule)) == ["edge", "latest"]
    both = TagRule(exact=("edge",), versions=Range.parse(">=16"), newest=1)
    assert both.lists
    assert chosen(by_name(TAGS, both)) == ["edge", "18.0"]


@pytest.mark.parametrize("newest", [None, 1])
def test_age_counts_from_creation_and_an_unknown_one_keeps_the_tag(newest: int | None) -> None:
    rule = TagRule(max_age=timedelta(days=90), newest=newest, newest_by="created")
    created = {"15.4": NOW - timedelta(days=100), "16.1": NOW - timedelta(days=10), "18.0": NOW - timedelta(days=5)}
    verdicts = by_age(by_name(["15.4", "16.1", "18.0", "edge"], rule), created, rule, NOW)
    assert chosen(verdicts) == (["16.1", "18.0", "edge"] if newest is None else ["18.0", "edge"])
    assert why(verdicts, "15.4") == "100 days old, more than 90"
    assert why(verdicts, "edge").endswith("its age is not known")
