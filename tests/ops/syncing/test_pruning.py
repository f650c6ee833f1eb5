"""What a sync takes away: only what syncs have brought, a few at a time, with a tombstone, and nothing in doubt."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from puller.errors import (
    ConnectionLost,
    DigestMismatch,
    NotFound,
    Unauthorized,
    Unavailable,
    Unsupported,
)
from puller.mirror.config import Mirror
from puller.model.digest import Digest
from tests.ops.syncing.mirroring import Shelf, made
from tests.ops.syncing.story import DOWN, UP, Story, actions, item, mirror, patterns, story, tags, with_prune

OTHER = "up.example/other"
IMAGES = {f"v{number}": made(f"image {number}") for number in range(10)}
DAY = 86400.0


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Story]:
    """Ten tags, mirrored once."""
    with story(tmp_path) as opened:
        for tag, image in IMAGES.items():
            opened.up.put(image, tag)
        opened.sync(pruning())
        yield opened


def pruning(*, tags_of: Any = None, source: str = UP, **more: Any) -> Mirror:
    rule = {"keep": 1, "most": None, "share": 0.3, **more}
    return with_prune(mirror(source=source, tags=tags_of or tags()), **rule)


def gone(shelf: Shelf, *names: str) -> None:
    for name in names:
        del shelf.names[name]


def test_a_tag_that_is_gone_at_the_source_goes_and_can_be_brought_back(told: Story) -> None:
    gone(told.up, "v3")
    report = told.sync(pruning())
    assert item(report, "v3").action == "pruned"
    assert item(report, "v3").line == 3
    assert set(told.down.names) == set(IMAGES) - {"v3"}
    [tombstone] = told.state.tombstones("r2")
    assert (tombstone.target, tombstone.name, tombstone.kind) == (DOWN, "v3", "pruned")
    assert Digest.of(tombstone.raw) == IMAGES["v3"].descriptor.digest == Digest.parse(tombstone.root)
    assert tombstone.source == UP
    assert told.state.known(DOWN, "v3") is None
    assert report.is_well
    assert "v3" not in actions(told.sync(pruning()))


def test_without_prune_nothing_goes(told: Story) -> None:
    gone(told.up, "v3")
    assert "v3" not in actions(told.sync(mirror()))
    assert "v3" in told.down.names


def test_what_somebody_else_has_put_at_a_place_stays(told: Story) -> None:
    told.down.put(made("theirs"), "theirs")
    gone(told.up, "v3")
    assert "theirs" not in actions(told.sync(pruning()))
    assert "theirs" in told.down.names


def test_what_somebody_else_has_moved_since_stays_and_is_theirs_from_then_on(told: Story) -> None:
    theirs = made("theirs")
    told.down.put(theirs, "v3")
    gone(told.up, "v3")
    report = told.sync(pruning())
    assert item(report, "v3").action == "kept"
    assert "somebody else has moved it" in item(report, "v3").why
    assert told.down.names["v3"] == theirs.descriptor
    assert "v3" not in actions(told.sync(pruning()))


def test_what_is_gone_at_the_target_already_is_no_failure(told: Story) -> None:
    gone(told.up, "v3")
    gone(told.down, "v3")
    report = told.sync(pruning())
    assert "gone already" in item(report, "v3").why
    assert told.state.tombstones("r2") == []
    assert report.is_well


@pytest.mark.parametrize(
    "fault",
    [
        {"list": Unavailable("503")},
        {"list": NotFound("no such repository")},
        {"head v5": Unavailable("500")},
        {"head v5": ConnectionLost("cut")},
    ],
    ids=["list-503", "list-404", "head-500", "head-cut"],
)
def test_h3_where_anything_failed_nothing_goes(told: Story, fault: dict[str, Any]) -> None:
    gone(told.up, "v3")
    told.up.faults |= fault
    report = told.sync(pruning())
    assert not report.is_well
    assert set(told.down.names) == set(IMAGES)
    assert told.down.asked["untag"] == 0
    told.up.faults.clear()
    assert item(told.sync(pruning()), "v3").action == "pruned"


def test_h3_where_an_image_was_not_brought_nothing_goes(told: Story) -> None:
    gone(told.up, "v3")
    new = made("new")
    told.up.put(new, "v11")
    told.porter.faults[str(new.descriptor.digest)] = ConnectionLost("cut")
    assert item(told.sync(pruning()), "v3").action == "kept"
    assert "v3" in told.down.names


def test_h3_an_empty_list_takes_nothing(told: Story) -> None:
    gone(told.up, *IMAGES)
    told.sync(pruning(share=None, keep=0))
    assert set(told.down.names) == set(IMAGES)


def test_h3_half_a_list_takes_nothing(told: Story) -> None:
    gone(told.up, *list(IMAGES)[:5])
    report = told.sync(pruning())
    assert {name: action for name, action in actions(report).items() if action != "unchanged"} == dict.fromkeys(
        list(IMAGES)[:5], "kept"
    )
    assert "5 of 10 would go, more than the 3 that `max` lets go in one run" in item(report, "v0").why
    assert set(told.down.names) == set(IMAGES)
    assert report.is_well


def test_h3_a_rule_that_selects_nothing_any_more_takes_nothing(told: Story) -> None:
    rule = tags(allow=patterns("w.*"))
    report = told.sync(pruning(tags_of=rule, share=None, keep=0))
    assert set(actions(report).values()) == {"kept"}
    assert set(told.down.names) == set(IMAGES)


def test_h3_lists_of_referrers_are_no_selection(told: Story) -> None:
    listed = f"sha256-{IMAGES['v0'].descriptor.digest.hex}"
    told.up.put(IMAGES["v0"], listed)
    told.sync(pruning())
    rule = replace(pruning(tags_of=tags(allow=patterns("w.*")), share=None, keep=0), referrers=True)
    assert set(actions(told.sync(rule)).values()) <= {"kept"}
    assert set(told.down.names) == {*IMAGES, listed}


def test_a_tag_waits_for_its_time_of_grace_and_no_longer(told: Story) -> None:
    rule = pruning(grace=timedelta(days=2))
    gone(told.up, "v3")
    assert item(told.sync(rule), "v3").action == "waiting"
    told.now += DAY
    assert item(told.sync(rule), "v3").action == "waiting"
    told.now += DAY
    assert item(told.sync(rule), "v3").action == "pruned"


@pytest.mark.parametrize("fault", ["list", "head v5", "empty"])
def test_h3_r13_an_outage_is_no_time_of_grace(told: Story, fault: str) -> None:
    rule = pruning(grace=timedelta(days=2))
    names = dict(told.up.names)
    if fault == "empty":
        told.up.names.clear()
    else:
        gone(told.up, "v3", "v4")
        told.up.faults[fault] = Unavailable("503")
    told.sync(rule)
    told.now += 3 * DAY
    told.up.faults.clear()
    told.up.names.update(names)
    gone(told.up, "v3", "v4")  # which half a list would look like
    report = told.sync(rule)
    assert item(report, "v3").action == item(report, "v4").action == "waiting"
    assert set(told.down.names) == set(IMAGES)


def test_a_tag_that_came_back_has_its_time_of_grace_anew(told: Story) -> None:
    rule = pruning(grace=timedelta(days=2))
    gone(told.up, "v3")
    told.sync(rule)
    told.up.put(IMAGES["v3"], "v3")
    told.now += DAY
    assert item(told.sync(rule), "v3").action == "unchanged"
    gone(told.up, "v3")
    told.now += 2 * DAY
    assert item(told.sync(rule), "v3").action == "waiting"


def test_what_another_mirror_of_the_same_place_selects_is_not_pruned(told: Story) -> None:
    few, rest = tags(allow=patterns("v[0-4]")), tags(allow=patterns("v[5-9]"))
    report = told.sync(pruning(tags_of=few, share=None), pruning(tags_of=rest, share=None))
    assert set(actions(report).values()) == {"unchanged"}
    assert set(told.down.names) == set(IMAGES)


def test_what_a_mirror_without_prune_has_brought_is_not_pruned_by_another(told: Story) -> None:
    few = tags(allow=patterns("v[0-8]"))
    report = told.sync(pruning(tags_of=few), mirror(tags=few))
    assert item(report, "v9").action == "kept"
    assert "without `prune`" in item(report, "v9").why


def test_h3_where_another_mirror_of_the_same_place_could_not_be_looked_at_nothing_goes(told: Story) -> None:
    told.shelves[OTHER].faults["list"] = Unavailable("503")
    gone(told.up, "v3")
    told.sync(pruning(), pruning(source=OTHER))
    assert set(told.down.names) == set(IMAGES)


def test_what_came_from_a_repository_that_is_not_mirrored_any_more_stays(told: Story) -> None:
    told.shelves[OTHER].put(made("other"), "other")
    report = told.sync(pruning(source=OTHER, share=None, keep=0))
    assert actions(report) == {"other": "new"}
    assert set(told.down.names) == {*IMAGES, "other"}


def test_of_two_rules_for_one_place_the_strictest_counts(told: Story) -> None:
    gone(told.up, "v3", "v4")
    report = told.sync(pruning(), pruning(most=1))
    assert item(report, "v3").action == item(report, "v4").action == "kept"


def test_one_that_cannot_be_taken_away_stops_no_other(told: Story) -> None:
    gone(told.up, "v3", "v4")
    told.down.faults["untag v3"] = Unsupported("others share its digest")
    report = told.sync(pruning())
    assert item(report, "v3").error is not None
    assert item(report, "v4").error is None
    assert set(told.down.names) == set(IMAGES) - {"v4"}
    assert not report.is_well


@pytest.mark.parametrize("error", [Unsupported("shared"), DigestMismatch("moved"), Unauthorized("no")], ids=repr)
def test_where_nothing_has_gone_there_is_nothing_to_undo(told: Story, error: Any) -> None:
    gone(told.up, "v3")
    told.down.faults["untag v3"] = error
    told.sync(pruning())
    assert told.state.undoable() == []
    assert told.state.known(DOWN, "v3") is not None


def test_r1_where_it_is_not_known_whether_a_tag_has_gone_it_can_be_undone(told: Story) -> None:
    gone(told.up, "v3")
    told.down.faults["untag v3"] = ConnectionLost("cut")
    told.sync(pruning())
    assert [tombstone.name for tombstone in told.state.tombstones("r2")] == ["v3"]
    told.down.faults.clear()
    assert item(told.sync(pruning()), "v3").action == "pruned"


def test_what_cannot_be_kept_for_undo_does_not_go(told: Story) -> None:
    gone(told.up, "v3")
    told.down.faults[f"get {IMAGES['v3'].descriptor.digest}"] = Unavailable("503")
    report = told.sync(pruning())
    assert item(report, "v3").error is not None
    assert "v3" in told.down.names
    assert told.down.asked["untag"] == 0


def test_r1_the_tombstone_is_on_the_disk_before_the_tag_goes(told: Story, tmp_path: Path) -> None:
    seen: list[bytes] = []
    untag = told.down.untag

    async def looked(tag: str, expected: Digest) -> None:
        seen.append((tmp_path / "state" / "tombstones.jsonl").read_bytes())
        await untag(tag, expected)

    told.down.untag = looked  # type: ignore[method-assign]  # this shelf's alone
    gone(told.up, "v3")
    told.sync(pruning())
    assert len(seen) == 1
    assert b'"name":"v3"' in seen[0]


def test_a_disk_that_keeps_no_tombstone_keeps_the_tag(told: Story, tmp_path: Path) -> None:
    gone(told.up, "v3")
    (tmp_path / "state" / "tombstones.jsonl").mkdir()
    assert item(told.sync(pruning()), "v3").error is not None
    assert "v3" in told.down.names
    assert told.down.asked["untag"] == 0


def test_a_plan_says_what_would_go_asks_the_target_nothing_of_it_and_changes_nothing(told: Story) -> None:
    gone(told.up, "v3")
    plan = told.plan(pruning())
    assert item(plan, "v3").action == "pruned"
    assert item(plan, "v3").there == str(IMAGES["v3"].descriptor.digest)
    assert "v3" in told.down.names
    assert told.down.asked["named v3"] == 0
    waiting = pruning(grace=timedelta(days=1))
    told.plan(waiting)
    told.now += 2 * DAY
    assert item(told.plan(waiting), "v3").action == "waiting"  # no plan begins a time of grace


def test_what_a_plan_says_is_taken_away_and_nothing_else(told: Story) -> None:
    gone(told.up, "v3")
    plan = told.plan(pruning())
    gone(told.up, "v4")
    report = told.apply(plan)
    assert {name: action for name, action in actions(report).items() if action != "unchanged"} == {"v3": "pruned"}
    assert set(told.down.names) == set(IMAGES) - {"v3"}
    assert [tombstone.name for tombstone in told.state.tombstones(report.run)] == ["v3"]


def test_what_has_moved_since_a_plan_stays(told: Story) -> None:
    gone(told.up, "v3")
    plan = told.plan(pruning())
    told.down.put(made("theirs"), "v3")
    assert item(told.apply(plan), "v3").action == "kept"
    assert "v3" in told.down.names


def test_images_that_were_brought_by_digest_alone_are_not_judged(told: Story) -> None:
    digest = str(IMAGES["v0"].descriptor.digest)
    told.sync(pruning(tags_of=tags(digest)))
    report = told.sync(pruning(tags_of=tags(allow=patterns("v.*"))))
    assert set(actions(report).values()) == {"unchanged"}
