"""ledger: what a run is said to have come to: each tag once, under the mirror that it is of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.errors import ConnectionLost, Unavailable
from puller.model.event import Mirrored
from puller.ops.syncing.parts import parts_of
from puller.ops.syncing.tallies import Tallies
from puller.ops.syncing.turns import keyed
from tests.ops.syncing.mirroring import made
from tests.ops.syncing.story import UP, Story, mirror, story, with_prune

OTHER = "up.example/other"
ONE, TWO, THREE = made("one"), made("two"), made("three")


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Story]:
    with story(tmp_path) as opened:
        opened.up.put(ONE, "1")
        opened.up.put(TWO, "2")
        yield opened


def sums(told: Story) -> dict[str, tuple[dict[str, int], int]]:
    """What was told of each mirror: its counts, and how many failed."""
    return {event.source: (dict(event.counts), event.failed) for event in told.events if isinstance(event, Mirrored)}


def test_a_new_tag_that_fails_counts_once(told: Story) -> None:
    told.porter.faults[str(TWO.descriptor.digest)] = ConnectionLost("cut")
    report = told.sync(mirror())
    assert report.counts == {"new": 1, "failed": 1}
    assert sums(told) == {UP: ({"new": 1, "failed": 1}, 1)}


def test_a_changed_tag_that_fails_counts_once_in_reports_and_numbers(told: Story) -> None:
    told.sync(mirror())
    told.up.put(THREE, "1")
    told.porter.faults[str(THREE.descriptor.digest)] = ConnectionLost("cut")
    report = told.sync(mirror())
    assert report.counts == report.encode()["counts"] == {"failed": 1, "unchanged": 1}
    tallies, every = Tallies(0), keyed([mirror()])
    tallies.count(report, every)
    (tally,) = tallies.mirrors.values()
    assert (tally.images, tally.failing) == ({"failed": 1, "unchanged": 1}, 1)


def test_a_tag_that_could_not_be_pruned_counts_as_failed(told: Story) -> None:
    one = with_prune(mirror(), share=None, most=5)
    told.sync(one)
    del told.up.names["1"]
    told.down.faults["untag 1"] = Unavailable("no")
    assert told.sync(one).counts == {"unchanged": 1, "failed": 1}


def test_what_is_pruned_counts_for_the_mirror_that_brought_it(told: Story) -> None:
    told.shelves[OTHER].put(made("three"), "3", "4")
    both = with_prune(mirror(), share=None, most=5), with_prune(mirror(source=OTHER, line=9), share=None, most=5)
    told.sync(*both)
    del told.shelves[OTHER].names["4"]
    report = told.sync(*both)
    assert sums(told) == {UP: ({"unchanged": 2}, 0), OTHER: ({"unchanged": 1, "pruned": 1}, 0)}
    first, second = (part.items for part in parts_of(report, keyed(both)).values())
    assert [item.action for item in first] == ["unchanged", "unchanged"]
    assert [item.action for item in second] == ["unchanged", "pruned"]
