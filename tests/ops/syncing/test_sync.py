"""sync: what each run asks, brings and says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from puller.errors import NoSpace, NotFound, Unavailable
from puller.mirror.known import Known
from puller.mirror.state import State
from puller.model.event import Mirrored, Settled, Stumbled, Synced
from puller.model.platform import Platform
from puller.model.sync import Manner
from tests.ops.syncing.mirroring import indexed, made
from tests.ops.syncing.story import DOWN, UP, Story, actions, item, mirror, patterns, story, tags

ONE, TWO, THREE = made("one"), made("two"), made("three")


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Story]:
    with story(tmp_path) as begun:
        begun.up.put(ONE, "1")
        begun.up.put(TWO, "2")
        yield begun


def test_what_is_not_there_is_brought_and_remembered(told: Story) -> None:
    report = told.sync(mirror())
    assert actions(report) == {"1": "new", "2": "new"}
    assert report.is_well
    assert told.down.names == told.up.names
    known = told.state.known(DOWN, "1")
    assert known is not None
    assert (known.source, known.tag, known.digest, known.root) == (UP, "1", str(ONE.descriptor.digest), known.digest)


def test_a_run_without_news_is_one_question_a_tag_on_each_side(told: Story) -> None:
    told.sync(mirror())
    report = told.sync(mirror())
    assert actions(report) == {"1": "unchanged", "2": "unchanged"}
    assert told.up.asked == {"list": 1, "head": 2}
    assert told.down.asked == {"named": 2}


def test_an_immutable_tag_that_is_there_costs_nothing_at_its_source(told: Story) -> None:
    one = mirror(tags=tags("1", "2"), immutable=patterns("1"))
    told.sync(one)
    report = told.sync(one)
    assert item(report, "1").why == "immutable, and there"
    assert told.up.asked == {"head": 1}
    assert told.down.asked == {"named": 2}


def test_an_immutable_tag_that_the_target_has_lost_is_asked_for_again(told: Story) -> None:
    one = mirror(immutable=patterns(".*"))
    told.sync(one)
    del told.down.names["1"]
    assert actions(told.sync(one)) == {"1": "new", "2": "unchanged"}
    assert told.up.asked["head"] == 1


def test_exact_tags_are_not_listed(told: Story) -> None:
    assert actions(told.sync(mirror(tags=tags("2")))) == {"2": "new"}
    assert told.up.asked == {"head": 1}


def test_a_digest_is_brought_under_its_digest_and_never_asked_for_again(told: Story) -> None:
    digest = str(ONE.descriptor.digest)
    report = told.sync(mirror(tags=tags(digest)))
    assert item(report, digest).action == "new"
    assert [transfer.tag for transfer in told.porter.carried] == [None]
    assert actions(told.sync(mirror(tags=tags(digest)))) == {digest: "unchanged"}
    assert told.up.asked == {}
    assert told.down.asked == {"exists": 1}


def test_a_digest_can_be_given_a_tag(told: Story) -> None:
    digest = str(ONE.descriptor.digest)
    told.sync(mirror(tags=tags(digest), renamed="pinned"))
    assert told.carried() == ["pinned"]


def test_a_tag_that_moved_is_brought_and_nothing_else(told: Story) -> None:
    told.sync(mirror())
    told.up.put(THREE, "1")
    report = told.sync(mirror())
    assert actions(report) == {"1": "changed", "2": "unchanged"}
    moved = item(report, "1")
    assert moved.why == f"moved from {ONE.descriptor.digest.short} to {THREE.descriptor.digest.short}"
    assert moved.there == str(ONE.descriptor.digest)
    assert told.carried() == ["1"]


def test_what_a_tag_named_before_is_kept_for_undo(told: Story) -> None:
    told.sync(mirror())
    told.up.put(THREE, "1")
    told.sync(mirror())
    (grave,) = told.state.tombstones("r2")
    assert (grave.target, grave.name, grave.root) == (DOWN, "1", str(ONE.descriptor.digest))
    assert grave.raw == ONE.content[ONE.descriptor.digest]
    assert (grave.kind, grave.source) == ("overwritten", UP)


def test_an_index_that_something_else_is_made_of_is_kept_for_undo(told: Story) -> None:
    both = indexed(amd64=ONE, arm64=TWO)
    told.up.put(both, "1", "2")
    told.porter.makes[str(both.descriptor.digest)] = ONE
    told.sync(mirror())
    single = mirror(platforms=(Platform("linux", "amd64"),), index="single", referrers=True)
    told.sync(single)
    graves = told.state.tombstones("r2")
    assert {(one.name, one.root) for one in graves} == {(tag, str(both.descriptor.digest)) for tag in ("1", "2")}
    told.now += 90_000
    told.sync(single)
    assert told.carried() == ["1", "2"]
    assert told.state.tombstones("r3") == []


def test_what_a_tag_named_before_and_is_lost_stops_nothing_and_is_told(told: Story) -> None:
    told.sync(mirror())
    told.up.put(THREE, "1")
    del told.down.content[ONE.descriptor.digest]
    carried = item(told.sync(mirror()), "1").carried
    assert carried is not None
    assert carried.warnings == ("what 1 named before cannot be brought back: no such manifest",)


def test_a_backup_tag_is_named_after_the_tag_it_keeps(told: Story) -> None:
    told.sync(mirror(backup="old-{tag}"))
    assert [transfer.backup for transfer in told.porter.carried] == [None, None]
    told.up.put(THREE, "1")
    told.sync(mirror(backup="old-{tag}"))
    (transfer,) = told.porter.carried
    assert (transfer.backup, transfer.replaces) == ("old-1", str(ONE.descriptor.digest))


def test_no_backup_goes_over_a_tag_that_is_brought(told: Story) -> None:
    told.sync(mirror(backup="2"))
    told.up.put(THREE, "1")
    error = item(told.sync(mirror(backup="2")), "1").error
    assert error is not None
    assert (error["error"], error["got"]) == ("InvalidConfig", "2")
    assert told.down.names == {"1": ONE.descriptor, "2": TWO.descriptor}


def test_what_somebody_else_has_moved_at_the_target_is_put_right(told: Story) -> None:
    told.sync(mirror())
    told.down.put(THREE, "1")
    report = told.sync(mirror())
    assert item(report, "1").why == f"somebody else moved it there, to {THREE.descriptor.digest.short}"
    assert told.down.names["1"] == ONE.descriptor


def test_what_is_there_already_is_adopted_without_being_read(told: Story) -> None:
    told.down.put(ONE, "1")
    report = told.sync(mirror())
    assert item(report, "1").why == "there already"
    assert told.carried() == ["2"]
    assert told.state.known(DOWN, "1") is not None


@pytest.mark.parametrize("more", [{"referrers": True}, {"verify": "deep"}])
def test_what_is_there_and_was_to_be_brought_in_another_manner_is_not_adopted(
    told: Story, more: dict[str, Any]
) -> None:
    told.down.put(ONE, "1")
    assert actions(told.sync(mirror(**more)))["1"] == "changed"


def test_another_manner_brings_the_same_image_again(told: Story) -> None:
    told.sync(mirror())
    report = told.sync(mirror(referrers=True))
    assert actions(report) == {"1": "changed", "2": "changed"}
    assert item(report, "1").why == "to be brought in another manner than before"
    assert actions(told.sync(mirror(referrers=True))) == {"1": "unchanged", "2": "unchanged"}


def test_r13_one_image_that_fails_stops_nothing(told: Story) -> None:
    told.porter.faults[str(ONE.descriptor.digest)] = Unavailable("down for today", host="up.example")
    report = told.sync(mirror())
    assert actions(report) == {"1": "new", "2": "new"}
    assert not report.is_well
    assert item(report, "1").error == {"error": "Unavailable", "what": "down for today", "host": "up.example"}
    assert item(report, "2").carried is not None
    assert told.state.known(DOWN, "1") is None


def test_r13_a_tag_that_cannot_be_looked_up_stops_nothing(told: Story) -> None:
    told.up.faults["head 1"] = Unavailable("try again later")
    report = told.sync(mirror())
    assert actions(report) == {"1": "failed", "2": "new"}


def test_r13_a_list_that_cannot_be_had_stops_no_other(told: Story) -> None:
    told.up.faults["list"] = NotFound("no such repository")
    told.shelves["up.example/other"].put(THREE, "3")
    report = told.sync(mirror(), mirror(source="up.example/other", target="down.example/other", line=9))
    assert actions(report) == {"3": "new"}
    assert report.problems == ((UP, {"error": "NotFound", "what": "no such repository"}),)
    assert not report.is_well


def test_tags_of_one_digest_go_one_after_the_other(told: Story) -> None:
    for number in range(20):
        told.up.put(ONE, f"again-{number}")
    told.sync(mirror())
    assert told.porter.most == 2  # one of each digest
    assert len(told.porter.carried) == 22


def test_r13_many_tags_are_asked_for_a_few_at_a_time(told: Story) -> None:
    for number in range(2000):
        told.up.put(ONE, f"t{number}")
    told.sync(mirror())
    assert 1 < told.up.most <= 16


def test_events_tell_of_every_tag_every_mirror_and_the_end(told: Story) -> None:
    report = told.sync(mirror())
    assert [event.item.tag for event in told.events if isinstance(event, Settled)] == ["1", "2"]
    (mirrored,) = [event for event in told.events if isinstance(event, Mirrored)]
    assert (mirrored.source, mirrored.counts, mirrored.failed, mirrored.fetched) == (UP, {"new": 2}, 0, 200)
    assert told.events[-1] == Synced(report)


def test_a_mirror_whose_list_fails_is_told_of_as_well(told: Story) -> None:
    told.up.faults["list"] = NotFound("no such repository")
    told.sync(mirror())
    kinds = [type(event) for event in told.events]
    assert kinds == [Stumbled, Mirrored, Synced]


def test_the_report_is_kept_in_the_state(told: Story) -> None:
    report = told.sync(mirror())
    kept = told.state.report("r1")
    assert kept is not None
    assert (kept["run"], kept["counts"], kept["well"]) == ("r1", {"new": 2}, True)
    assert report.ended >= report.started


def test_patterns_that_match_nothing_are_warned_of(told: Story) -> None:
    rule = tags(allow=patterns("1", "9.*"))
    report = told.sync(mirror(tags=rule, immutable=patterns("x.*")))
    assert report.warnings == (
        f"{UP}: no tag is allowed by 9.*",
        f"{UP}: no tag that is wanted is immutable by x.*",
    )
    assert report.is_well


def test_an_empty_list_is_warned_of_and_fails_nothing(told: Story) -> None:
    told.up.names.clear()
    report = told.sync(mirror())
    assert (report.items, report.warnings) == ((), (f"{UP} has no tags",))


def test_two_mirrors_that_want_one_tag_bring_it_once(told: Story) -> None:
    report = told.sync(mirror(tags=tags("1")), mirror(line=9))
    assert [(i.tag, i.line, i.action) for i in report.items] == [("1", 3, "new"), ("2", 9, "new")]


def test_two_mirrors_that_bring_other_images_under_one_name_are_told_so(told: Story) -> None:
    told.shelves["up.example/other"].put(THREE, "1")
    report = told.sync(mirror(tags=tags("1")), mirror(source="up.example/other", line=9))
    assert [(i.source, i.action) for i in report.items] == [(UP, "new"), ("up.example/other", "failed")]
    error = report.items[1].error
    assert error is not None
    assert (error["error"], error["where"]) == ("InvalidConfig", "lines 3 and 9")


def test_only_some_mirrors_run_where_that_is_asked_for(told: Story) -> None:
    other = mirror(source="up.example/other", target="down.example/other", line=9)
    told.shelves["up.example/other"].put(THREE, "3")
    report = told.sync(mirror(), other, only=[other])
    assert actions(report) == {"3": "new"}
    assert told.up.asked == {}


def test_nothing_new_is_begun_below_the_reserve(told: Story) -> None:
    told.left = 50
    report = told.sync(mirror(reserve=51))
    assert told.carried() == []
    error = item(report, "1").error
    assert error is not None
    assert (error["error"], error["wanted"], error["got"]) == ("RateLimited", "51 in reserve", "50 left")
    assert told.sync(mirror(reserve=10)).is_well


def test_where_no_quota_is_told_the_reserve_holds_nothing_up(told: Story) -> None:
    assert told.sync(mirror(reserve=1000)).is_well


def test_images_whose_pulls_are_counted_do_not_begin_all_at_once(told: Story) -> None:
    for number in range(30):
        told.up.put(made(f"seed {number}"), f"t{number}")
    told.left = 40
    told.sync(mirror(reserve=30))
    assert told.porter.most <= 3


def test_what_undo_has_taken_away_is_not_brought_again_until_its_source_moves(told: Story) -> None:
    told.sync(mirror())
    told.state.hold(DOWN, "1", str(ONE.descriptor.digest))
    told.down.put(THREE, "1")
    report = told.sync(mirror())
    assert item(report, "1").action == "unchanged"
    told.up.put(TWO, "1")
    assert actions(told.sync(mirror()))["1"] == "changed"
    assert told.state.held(DOWN, "1") is None


def test_what_was_remembered_of_another_source_counts_by_its_digest(told: Story) -> None:
    told.sync(mirror())
    told.shelves["up.example/moved"].put(ONE, "1")
    report = told.sync(mirror(source="up.example/moved"))
    assert actions(report) == {"1": "unchanged"}


class Forgetful(State):
    """A state whose disk is full."""

    def remember(self, known: Known) -> None:
        raise NoSpace("the disk is full")


def test_what_cannot_be_remembered_is_told_of_its_tag(tmp_path: Path) -> None:
    with Forgetful.open(tmp_path / "state") as state:
        told = Story(state)
        told.up.put(ONE, "1")
        brought = item(told.sync(mirror()), "1")
    assert brought.carried is not None
    assert brought.error == {"error": "NoSpace", "what": "the disk is full"}


def test_the_manner_goes_with_each_transfer(told: Story) -> None:
    told.sync(mirror(tags=tags("1"), referrers=True, verify="deep"))
    assert told.porter.carried[0].manner == Manner(referrers=True, verify="deep")


def test_what_refers_to_an_image_is_looked_for_again_after_a_day(told: Story) -> None:
    one = mirror(referrers=True)
    told.sync(one)
    told.now += 86_000
    assert actions(told.sync(one)) == {"1": "unchanged", "2": "unchanged"}
    assert told.carried() == []
    told.now += 400
    told.porter.brings = 0
    report = told.sync(one)
    assert told.carried() == ["1", "2"]
    assert actions(report) == {"1": "unchanged", "2": "unchanged"}
    assert told.state.tombstones("r3") == []
    told.sync(one)
    assert told.carried() == []


def test_lists_of_referrers_are_no_tags_where_these_come_with_their_images(told: Story) -> None:
    name = f"sha256-{ONE.descriptor.digest.hex}"
    told.up.put(THREE, name, f"{name}.sig")
    report = told.sync(mirror(referrers=True))
    assert sorted(actions(report)) == ["1", "2"]
    made = told.plan(mirror(referrers=True))
    whys = {item(made, tag).why for tag in (name, f"{name}.sig")}
    assert whys == {"it belongs to what refers to an image, and comes with that"}
    assert {name, f"{name}.sig"} <= actions(told.sync(mirror())).keys()
