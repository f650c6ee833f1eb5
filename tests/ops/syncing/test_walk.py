"""walk: what goes of a place is what none of the mirrors wants that come to it, and only where all of that is known."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from puller.errors import NotFound, Unavailable
from puller.mirror.config import Mirror
from puller.model.sync import Carried, SyncReport, Transfer
from tests.ops.syncing.mirroring import Porter, made
from tests.ops.syncing.story import DOWN, Story, item, mirror, patterns, story, tags, with_prune

ONE, TWO, THREE = made("one"), made("two"), made("three")
ALL: dict[str, Any] = {"share": None, "keep": 0}


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Story]:
    with story(tmp_path) as begun:
        for number in range(10):
            begun.up.put(ONE, f"{number}")
        begun.sync(mirror())
        yield begun


def pruned(report: SyncReport) -> list[str]:
    return [item.name for item in report.items if item.action == "pruned" and item.error is None]


def only(*names: str, **more: Any) -> Mirror:
    """A mirror of these tags, which prunes the rest."""
    return with_prune(mirror(tags=tags(*names)), **(ALL | more))


def test_what_is_not_wanted_any_more_goes(told: Story) -> None:
    report = told.sync(only("0", "1"))
    assert pruned(report) == [str(number) for number in range(2, 10)]
    assert sorted(told.down.names) == ["0", "1"]
    assert report.is_well


def test_without_being_asked_nothing_goes(told: Story) -> None:
    report = told.sync(mirror(tags=tags("0")))
    assert [i.tag for i in report.items] == ["0"]
    assert len(told.down.names) == 10


def test_what_another_mirror_wants_at_the_same_place_stays(told: Story) -> None:
    more = with_prune(mirror(tags=tags("2", "3"), line=9), **ALL)
    report = told.sync(only("0", "1"), more)
    assert sorted(told.down.names) == ["0", "1", "2", "3"]
    assert report.is_well


def test_what_a_mirror_wants_that_is_not_of_this_run_stays_too(told: Story) -> None:
    pruning, other = only("0", "1"), with_prune(mirror(tags=tags("2"), line=9), **ALL)
    told.sync(pruning, other, only=[pruning])
    assert sorted(told.down.names) == ["0", "1", "2"]
    assert told.carried() == []


def test_h3_where_another_mirrors_list_is_not_known_nothing_goes(told: Story) -> None:
    other = with_prune(mirror(source="up.example/other", line=9), **ALL)
    told.shelves["up.example/other"].faults["list"] = NotFound("no such repository")
    for chosen in (None, [only("0", "1")]):
        report = told.sync(only("0", "1"), other, only=chosen)
        assert pruned(report) == []
        assert item(report, "5").action == "kept"


def test_h3_where_a_catalog_is_not_known_that_may_come_to_the_place_nothing_goes(told: Story) -> None:
    star = mirror(source="up.example/*", target="down.example/*", line=9)
    report = told.sync(only("0", "1"), star)
    assert pruned(report) == []
    assert [source for source, _ in report.problems] == ["up.example/*"]


def test_h3_where_one_image_fails_nothing_goes(told: Story) -> None:
    told.up.put(TWO, "1")
    told.porter.faults[str(TWO.descriptor.digest)] = Unavailable("try again later")
    report = told.sync(only("0", "1"))
    assert pruned(report) == []
    assert len(told.down.names) == 10


def test_h3_an_empty_list_removes_nothing(told: Story) -> None:
    told.up.names.clear()
    report = told.sync(with_prune(mirror(), **ALL))
    assert pruned(report) == []
    assert len(told.down.names) == 10


def test_a_date_that_is_not_known_holds_all_back(told: Story) -> None:
    told.up.faults["get"] = Unavailable("try again later")
    report = told.sync(with_prune(mirror(tags=tags(allow=patterns("[01]"), max_age=timedelta(days=9))), **ALL))
    assert pruned(report) == []


def test_backups_stay(told: Story) -> None:
    told.down.put(THREE, "old-1")
    told.sync(with_prune(mirror(tags=tags("0"), backup="old-{tag}"), **ALL))
    assert sorted(told.down.names) == ["0", "old-1"]


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
def test_signatures_and_lists_of_referrers_stay_where_these_are_brought(told: Story, suffix: str) -> None:
    name = f"sha256-{ONE.descriptor.digest.hex}{suffix}"
    told.up.put(THREE, name)
    told.sync(mirror())
    told.sync(with_prune(mirror(tags=tags(allow=patterns("0")), referrers=True), **ALL))
    assert sorted(told.down.names) == ["0", name]


def test_a_plan_tells_what_goes_and_only_that_goes(told: Story) -> None:
    made_plan = told.plan(only("0", "1"))
    assert len(told.down.names) == 10
    assert [i.name for i in made_plan.items if i.action == "pruned"] == [str(number) for number in range(2, 10)]
    told.down.put(THREE, "5")  # by somebody else, since
    report = told.apply(made_plan)
    assert sorted(told.down.names) == ["0", "1", "5"]
    assert item(report, "5").action == "kept"
    assert len(told.state.tombstones("r3")) == 7


def test_what_undo_has_brought_back_is_not_pruned_by_an_old_plan(told: Story) -> None:
    one = with_prune(mirror(tags=tags("0")), **ALL)
    made_plan = told.plan(one)
    told.state.forget(DOWN, "3")  # as undo does
    report = told.apply(made_plan)
    assert sorted(told.down.names) == ["0", "3"]
    assert (item(report, "3").action, report.is_well) == ("kept", True)
    again = told.apply(made_plan)
    assert "gone already" in item(again, "4").why
    assert sorted(told.down.names) == ["0", "3"]


def test_nothing_is_pruned_by_a_plan_where_something_was_not_brought(told: Story) -> None:
    told.up.put(TWO, "1")
    made_plan = told.plan(only("0", "1"))
    told.porter.faults[str(TWO.descriptor.digest)] = Unavailable("try again later")
    report = told.apply(made_plan)
    assert pruned(report) == []
    assert item(report, "5").why == "something of this place was not brought"


def test_items_stand_in_the_order_of_the_configuration(told: Story) -> None:
    other = mirror(source="up.example/other", target="down.example/other", line=1)
    told.shelves["up.example/other"].put(TWO, "z", "a")
    report = told.sync(only("1", "0"), other)
    found: list[tuple[str, str]] = [(i.target, i.tag) for i in report.items]
    assert found[:2] == [(DOWN, "1"), (DOWN, "0")]
    assert found[-2:] == [("down.example/other", "z"), ("down.example/other", "a")]


class Faulty(Porter):
    """A carrier with a fault of its own."""

    async def carry(self, transfer: Transfer) -> Carried:
        raise ZeroDivisionError


def test_a_fault_of_this_program_ends_the_run_and_stands_in_its_report(told: Story) -> None:
    told.porter = Faulty(told.shelves)
    told.up.put(TWO, "1")
    with pytest.raises(ZeroDivisionError):
        told.sync(mirror())
    kept = told.state.report("r2")
    assert kept is not None
    assert kept["error"]["error"] == "ZeroDivisionError"
    assert kept["well"] is False
