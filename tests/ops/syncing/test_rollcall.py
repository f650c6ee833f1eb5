"""Roll call: what a target's list of tags spares, and when it does not do."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from puller.errors import NotFound, Unavailable, Unsupported
from puller.mirror.config import RECHECK
from puller.ops.syncing.rollcall import LEAST, PAGE
from tests.ops.syncing.mirroring import made
from tests.ops.syncing.story import NOON, Story, actions, item, mirror, patterns, story, tags

DAY = RECHECK.total_seconds()
NAMES = [str(number) for number in range(2 * LEAST)]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Story]:
    """A run has brought everything."""
    with story(tmp_path) as begun:
        for name in NAMES:
            begun.up.put(made(name), name)
        assert begun.sync(mirror()).is_well
        yield begun


def test_where_nothing_has_changed_a_target_is_asked_for_its_list_alone(told: Story) -> None:
    report = told.sync(mirror())
    assert set(actions(report).values()) == {"unchanged"}
    assert item(report, "0").why == "as it was brought, and listed there"
    assert told.down.asked == {"list": 1}
    assert told.up.asked == {"list": 1, "head": len(NAMES)}


def test_a_plan_asks_no_more_than_that_either(told: Story) -> None:
    assert set(actions(told.plan(mirror())).values()) == {"unchanged"}
    assert told.down.asked == {"list": 1}


def test_immutable_tags_cost_two_lists_and_nothing_else(told: Story) -> None:
    one = mirror(immutable=patterns(".*"))
    assert item(told.sync(one), "0").why == "immutable, and listed there"
    assert (told.up.asked, told.down.asked) == ({"list": 1}, {"list": 1})


def test_a_tag_that_has_moved_at_the_source_is_asked_after_and_brought(told: Story) -> None:
    told.up.put(made("moved"), "3")
    report = told.sync(mirror())
    assert item(report, "3").action == "changed"
    assert told.down.names["3"] == made("moved").descriptor
    assert told.down.asked["named"] == 1


def test_a_tag_that_is_not_listed_is_asked_after_and_brought_again(told: Story) -> None:
    del told.down.names["3"]
    assert {name: action for name, action in actions(told.sync(mirror())).items() if action != "unchanged"} == {
        "3": "new"
    }
    assert told.down.asked["named"] == 1


def test_a_tag_that_somebody_else_has_moved_is_found_within_a_day(told: Story) -> None:
    told.down.put(made("theirs"), "3")
    assert actions(told.sync(mirror()))["3"] == "unchanged"
    told.now = NOON + DAY + 60
    report = told.sync(mirror())
    assert item(report, "3").why.startswith("somebody else moved it there")
    assert told.down.names["3"] == made("3").descriptor
    assert told.down.asked["named"] == len(NAMES)
    assert actions(told.sync(mirror()))["3"] == "unchanged"
    assert told.down.asked == {"list": 1}


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=50)])
def test_recheck_says_how_long_a_list_will_do(told: Story, length: timedelta) -> None:
    told.sync(mirror(recheck=length))
    assert told.down.asked == {"named": len(NAMES)}


def test_a_clock_that_was_set_back_makes_no_list_do_for_longer(told: Story) -> None:
    told.now = NOON - 5 * DAY
    told.sync(mirror())
    assert told.down.asked == {"named": len(NAMES)}


@pytest.mark.parametrize("error", [Unsupported("no lists"), Unavailable("down")])
def test_a_target_that_gives_no_list_is_asked_after_each(told: Story, error: Unavailable) -> None:
    told.down.faults["list"] = error
    assert set(actions(told.sync(mirror())).values()) == {"unchanged"}
    assert told.down.asked == {"list": 1, "named": len(NAMES)}


def test_of_a_repository_that_is_not_there_no_tag_is_asked_after(tmp_path: Path) -> None:
    with story(tmp_path) as begun:
        for name in NAMES:
            begun.up.put(made(name), name)
        begun.down.faults["list"] = NotFound("no such repository")
        assert set(actions(begun.sync(mirror())).values()) == {"new"}
        assert begun.down.asked == {"list": 1}
        assert begun.down.names == begun.up.names


def test_of_a_repository_that_is_there_each_tag_is_asked_after_before_anything_is_brought(tmp_path: Path) -> None:
    with story(tmp_path) as begun:
        for name in NAMES:
            begun.up.put(made(name), name)
        begun.down.put(made("theirs"), "0", "other")
        report = begun.sync(mirror())
        assert item(report, "0").there == str(made("theirs").descriptor.digest)
        assert begun.down.asked["named"] == len(NAMES)


def test_a_few_tags_are_asked_after_each_by_itself(told: Story) -> None:
    told.sync(mirror(tags=tags(*NAMES[: LEAST - 1])))
    assert told.down.asked == {"named": LEAST - 1}


def test_a_list_that_is_much_longer_than_what_is_wanted_is_not_read_to_its_end(tmp_path: Path) -> None:
    with story(tmp_path) as begun:
        theirs = made("theirs")
        begun.down.put(theirs, *(f"a{number}" for number in range(PAGE * LEAST)))
        for name in NAMES[:LEAST]:
            begun.up.put(made(name), name)
        for _ in range(2):
            assert begun.sync(mirror()).is_well
        assert begun.down.asked == {"list": 1, "named": LEAST}


def test_what_was_not_wholly_well_is_no_look(told: Story) -> None:
    told.now = NOON + 2 * DAY
    told.down.faults["named 3"] = Unavailable("down")
    assert not told.sync(mirror()).is_well
    del told.down.faults["named 3"]
    assert told.sync(mirror()).is_well
    assert told.down.asked == {"named": len(NAMES)}


def test_a_plan_is_no_look(told: Story) -> None:
    told.now = NOON + 2 * DAY
    for _ in range(2):
        told.plan(mirror())
        assert told.down.asked == {"named": len(NAMES)}


def test_what_was_brought_in_another_manner_is_asked_after(told: Story) -> None:
    told.sync(mirror(verify="deep"))
    assert told.down.asked["named"] == len(NAMES)


def test_a_directory_is_asked_without_requests_and_so_always(tmp_path: Path) -> None:
    with story(tmp_path) as begun:
        for name in NAMES:
            begun.up.put(made(name), name)
        one = mirror(target="oci:/srv/app")
        for _ in range(2):
            assert begun.sync(one).is_well
        assert begun.shelves["oci:/srv/app"].asked == {"named": len(NAMES)}


def test_of_two_mirrors_between_the_same_places_neither_looks_for_the_other(tmp_path: Path) -> None:
    with story(tmp_path) as begun:
        for name in NAMES:
            begun.up.put(made(name), name)
        early, late = (mirror(tags=tags(*half), line=n) for n, half in enumerate((NAMES[:LEAST], NAMES[LEAST:])))
        assert begun.sync(early, late).is_well
        begun.down.put(made("theirs"), NAMES[-1])
        begun.now = NOON + DAY + 600
        assert begun.sync(early, late, only=[early]).is_well
        assert item(begun.sync(early, late, only=[late]), NAMES[-1]).why.startswith("somebody else moved it there")


def test_a_tag_that_is_selected_again_is_asked_after(told: Story) -> None:
    told.now = NOON + 2 * DAY
    assert told.sync(mirror(tags=tags(*NAMES[1:]))).is_well
    told.down.put(made("theirs"), "0")
    assert item(told.sync(mirror()), "0").why.startswith("somebody else moved it there")
