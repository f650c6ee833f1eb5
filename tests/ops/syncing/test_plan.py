"""plan and apply: all that would be done is told, and no more than that is done."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from puller.errors import NotFound
from puller.mirror.plan import Plan
from puller.model.event import Stumbled
from puller.model.platform import Platform
from puller.ops.syncing import forecast
from tests.ops.syncing.mirroring import Image, indexed, made
from tests.ops.syncing.story import DOWN, UP, Story, actions, item, mirror, patterns, story, tags

ONE, TWO, THREE = made("one"), made("two"), made("three")


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Story]:
    with story(tmp_path) as begun:
        begun.up.put(ONE, "1")
        begun.up.put(TWO, "2")
        yield begun


def sized(image: Image) -> int:
    return sum(map(len, image.content.values()))


def test_every_tag_is_told_with_a_reason(told: Story) -> None:
    told.sync(mirror(tags=tags("1", "2")))
    told.up.put(THREE, "1", "3")
    told.up.put(ONE, "4")
    made_plan = told.plan(mirror(tags=tags(allow=patterns("[123]"))))
    assert [(i.tag, i.action, i.why) for i in made_plan.items] == [
        ("1", "changed", f"moved from {ONE.descriptor.digest.short} to {THREE.descriptor.digest.short}"),
        ("2", "unchanged", "as it was brought"),
        ("3", "new", "not there: allowed by [123]"),
        ("4", "out", "allowed by no pattern"),
    ]


def test_a_plan_changes_nothing(told: Story) -> None:
    told.plan(mirror())
    assert told.down.names == {}
    assert told.porter.carried == []
    assert told.state.known_at(DOWN) == []
    assert told.state.runs(9) == []


def test_a_forecast_counts_pulls_bytes_and_disk(told: Story) -> None:
    forecast = told.plan(mirror()).forecast
    size = sized(ONE) + sized(TWO)
    assert (forecast.requests, forecast.pulls) == ({"up.example": 6}, {"up.example": 2})
    assert (forecast.bytes, forecast.disk, forecast.unknown) == ({"up.example": size}, {DOWN: size}, 0)


def test_what_several_tags_share_counts_once_and_is_read_once(told: Story) -> None:
    for number in range(5):
        told.up.put(ONE, f"again-{number}")
    forecast = told.plan(mirror()).forecast
    assert forecast.bytes == {"up.example": sized(ONE) + sized(TWO)}
    assert told.up.asked["get"] == 2


def test_what_goes_to_two_places_is_fetched_once_and_takes_room_twice(told: Story) -> None:
    other = mirror(target="oci:/srv/app", line=9)
    forecast = told.plan(mirror(), other).forecast
    size = sized(ONE) + sized(TWO)
    assert forecast.bytes == {"up.example": size}
    assert forecast.disk == {DOWN: size, "oci:/srv/app": size}


def test_no_more_than_some_documents_are_kept_at_hand(told: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = told.plan(mirror(), mirror(target="oci:/srv/app", line=9)).forecast
    monkeypatch.setattr(forecast, "MAX_KNOWN", 1)
    assert told.plan(mirror(), mirror(target="oci:/srv/app", line=9)).forecast == whole
    assert told.up.asked["get"] > 2  # read again


def test_what_the_target_has_is_left_out_of_account(told: Story) -> None:
    told.down.content |= ONE.content
    two = {digest: blob for digest, blob in TWO.content.items() if len(blob) == 1000}
    told.down.content |= two
    forecast = told.plan(mirror()).forecast
    assert forecast.bytes == {"up.example": sized(TWO) - 1000}
    assert forecast.pulls == {"up.example": 1}


def test_of_an_index_only_the_platforms_that_are_wanted_count(told: Story) -> None:
    index = indexed(amd64=ONE, arm64=TWO)
    told.up.put(index, "both")
    one = mirror(tags=tags("both"), platforms=(Platform.parse("linux/arm64"),))
    forecast = told.plan(one).forecast
    assert forecast.bytes == {"up.example": sized(TWO) + (index.descriptor.size or 0)}
    assert forecast.pulls == {"up.example": 2}


@pytest.mark.parametrize("index", ["sparse", "rewritten", "single"])
def test_a_platform_that_no_image_has_is_told_before_a_sync_fails_of_it(told: Story, index: Any) -> None:
    told.up.put(indexed(amd64=ONE, arm64=TWO), "both")
    one = mirror(tags=tags("both"), platforms=(Platform.parse("linux/s390x"),), index=index)
    made_plan = told.plan(one)
    found = item(made_plan, "both")
    assert (found.action, found.why, found.transfer) == ("failed", "no image for this platform", None)
    assert found.error is not None
    assert (found.error["wanted"], found.error["got"]) == ("linux/s390x", "linux/amd64, linux/arm64")
    assert (made_plan.forecast.requests, made_plan.forecast.unknown) == ({}, 0)
    assert Plan.decode(made_plan.encode(), "plan") == made_plan


def test_a_platform_that_is_missing_among_others_is_no_failure(told: Story) -> None:
    told.up.put(indexed(amd64=ONE, arm64=TWO), "both")
    one = mirror(tags=tags("both"), platforms=(Platform.parse("linux/s390x"), Platform.parse("linux/arm64")))
    made_plan = told.plan(one)
    assert actions(made_plan) == {"both": "new"}
    assert (made_plan.forecast.pulls, made_plan.forecast.unknown) == ({"up.example": 2}, 0)


def test_an_index_is_read_once_for_all_tags_that_name_it_whatever_it_lacks(told: Story) -> None:
    index = indexed(amd64=ONE, arm64=TWO)
    told.up.put(index, *(f"t{number}" for number in range(20)))
    rule, lacks = tags(allow=patterns("t.*")), (Platform.parse("linux/s390x"),)
    assert set(actions(told.plan(mirror(tags=rule, platforms=lacks))).values()) == {"failed", "out"}
    assert (told.up.asked["get"], told.up.asked["head"]) == (1, 20)
    told.plan(mirror(tags=rule, platforms=(Platform.parse("linux/arm64"),)))
    assert told.up.asked["get"] == 2  # the index, and its one image


def test_of_what_is_unchanged_a_plan_reads_no_index(told: Story) -> None:
    told.up.put(indexed(amd64=ONE, arm64=TWO), "both")
    one = mirror(tags=tags("both"), platforms=(Platform.parse("linux/arm64"),))
    told.sync(one)
    assert actions(told.plan(one)) == {"both": "unchanged"}
    assert (told.up.asked["get"], told.up.asked["head"]) == (0, 1)


def test_an_image_that_cannot_be_read_is_of_unknown_size(told: Story) -> None:
    del told.up.content[ONE.descriptor.digest]
    forecast = told.plan(mirror()).forecast
    assert forecast.unknown == 1
    assert forecast.bytes == {"up.example": sized(TWO)}


def test_lists_that_cannot_be_had_are_told(told: Story) -> None:
    told.up.faults["list"] = NotFound("no such repository")
    assert told.plan(mirror()).items == ()
    assert [event.source for event in told.events if isinstance(event, Stumbled)] == [UP]


def test_a_plan_is_done_just_so_whatever_its_source_says_by_then(told: Story) -> None:
    made_plan = Plan.decode(told.plan(mirror()).encode(), "plan")
    told.up.put(THREE, "1", "3")
    report = told.apply(made_plan)
    assert actions(report) == {"1": "new", "2": "new"}
    assert told.down.names == {"1": ONE.descriptor, "2": TWO.descriptor}
    assert "list" not in told.up.asked
    assert told.state.known(DOWN, "1") is not None


def test_what_was_moved_at_the_target_since_is_refused_by_itself(told: Story) -> None:
    told.sync(mirror())
    told.up.put(THREE, "1")
    told.up.put(ONE, "2")
    made_plan = told.plan(mirror())
    told.down.put(TWO, "1")
    report = told.apply(made_plan)
    error = item(report, "1").error
    assert error is not None
    assert (error["error"], error["what"]) == (
        "InvalidConfig",
        "the plan does not fit any more: the tag was moved since",
    )
    assert (error["wanted"], error["got"]) == (str(ONE.descriptor.digest), str(TWO.descriptor.digest))
    assert told.down.names == {"1": TWO.descriptor, "2": ONE.descriptor}
    assert not report.is_well


def test_a_tag_that_is_there_by_then_is_not_overwritten(told: Story) -> None:
    made_plan = told.plan(mirror(tags=tags("1")))
    told.down.put(THREE, "1")
    assert item(told.apply(made_plan), "1").error is not None
    assert told.down.names["1"] == THREE.descriptor


def test_a_plan_that_was_applied_before_does_nothing(told: Story) -> None:
    made_plan = told.plan(mirror())
    told.apply(made_plan)
    report = told.apply(made_plan)
    assert actions(report) == {"1": "unchanged", "2": "unchanged"}
    assert report.is_well
    assert told.porter.carried == []


def test_what_is_overwritten_by_a_plan_can_be_brought_back_as_well(told: Story) -> None:
    told.sync(mirror())
    told.up.put(THREE, "1")
    told.apply(told.plan(mirror()))
    assert [grave.root for grave in told.state.tombstones("r3")] == [str(ONE.descriptor.digest)]


def test_of_what_a_plan_says_nothing_nothing_becomes(told: Story) -> None:
    made_plan = told.plan(mirror())
    only = replace(made_plan, items=tuple(i for i in made_plan.items if i.tag == "2"))
    told.apply(only)
    assert list(told.down.names) == ["2"]
