"""looking: which tags are wanted where age counts, and what finding that out costs."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from puller.errors import Unavailable
from puller.mirror.state import State
from puller.model.platform import Platform
from puller.ops.syncing.dates import parsed_date
from tests.ops.syncing.mirroring import indexed, made
from tests.ops.syncing.story import NOON, Story, actions, item, mirror, patterns, story, tags

TODAY = datetime.fromtimestamp(NOON, UTC)


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat().replace("+00:00", "Z")


OLD, NEW, NEWER = (made(f"{days} days", created=ago(days)) for days in (400, 20, 3))
RECENT = mirror(tags=tags(max_age=timedelta(days=90)))


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Story]:
    with story(tmp_path) as begun:
        begun.up.put(OLD, "old")
        begun.up.put(NEW, "new")
        begun.up.put(NEWER, "newer")
        yield begun


def test_what_is_too_old_is_left_out(told: Story) -> None:
    assert actions(told.sync(RECENT)) == {"new": "new", "newer": "new"}


def test_a_plan_says_how_old(told: Story) -> None:
    assert item(told.plan(RECENT), "old").why == "400 days old, more than 90"


def test_dates_are_asked_for_once_a_digest_for_all_time(told: Story) -> None:
    told.up.put(OLD, "older", "oldest")
    told.sync(RECENT)
    assert told.up.asked == {"list": 1, "head": 5, "get": 6}
    told.sync(RECENT)
    assert told.up.asked == {"list": 1, "head": 5}


def test_the_newest_are_kept_by_creation(told: Story) -> None:
    report = told.sync(mirror(tags=tags(newest=1, newest_by="created")))
    assert actions(report) == {"newer": "new"}


def test_immutable_tags_that_are_there_are_not_asked_for_their_dates_either(told: Story) -> None:
    one = replace(RECENT, immutable=patterns("new.*"))
    told.sync(one)
    told.sync(one)
    assert told.up.asked == {"list": 1, "head": 1}  # of `old`, which is not there


def test_an_index_is_as_old_as_its_image_for_the_first_platform(told: Story, tmp_path: Path) -> None:
    told.up.names.clear()
    told.up.put(indexed(amd64=OLD, arm64=NEW), "both")
    assert actions(told.sync(RECENT)) == {}
    arm = replace(RECENT, platforms=(Platform.parse("linux/arm64"),))
    assert actions(told.sync(arm)) == {}  # the first answer is remembered by digest
    with State.open(tmp_path / "other") as fresh:
        again = Story(fresh, told.shelves)
        assert actions(again.sync(arm)) == {"both": "new"}


def test_a_date_that_cannot_be_had_keeps_the_tag_and_is_told(told: Story) -> None:
    told.up.faults[f"get {OLD.descriptor.digest}"] = Unavailable("try again later")
    report = told.sync(RECENT)
    assert actions(report) == {"old": "new", "new": "new", "newer": "new"}
    assert report.warnings == (f"up.example/app@{OLD.descriptor.digest}: its age could not be had: try again later",)


def test_an_image_that_does_not_say_when_it_was_made_is_brought(told: Story) -> None:
    told.up.put(made("whenever", created=""), "undated")
    report = told.sync(RECENT)
    assert actions(report)["undated"] == "new"


def test_a_tag_that_cannot_be_looked_up_fails_by_itself(told: Story) -> None:
    told.up.faults["head old"] = Unavailable("try again later")
    assert actions(told.sync(RECENT)) == {"old": "failed", "new": "new", "newer": "new"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2024-03-01T12:00:00Z", datetime(2024, 3, 1, 12, tzinfo=UTC)),
        ("2024-03-01T12:00:00.123456789Z", datetime(2024, 3, 1, 12, 0, 0, 123456, UTC)),
        ("2024-03-01T12:00:00+02:00", datetime(2024, 3, 1, 10, tzinfo=UTC)),
        ("2024-03-01T12:00:00", datetime(2024, 3, 1, 12, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
        ("99999-01-01T00:00:00Z", None),
    ],
)
def test_dates_are_read_as_go_writes_them(text: str, found: datetime | None) -> None:
    assert parsed_date(text) == found
