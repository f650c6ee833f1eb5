"""Directories that syncs prune: what is taken away stays there as long as undo reaches back, and goes after that."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from puller.errors import NoSpace, StoreUnusable
from puller.mirror.config import Mirror
from puller.mirror.known import UNDO_WINDOW
from puller.mirror.state import State
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from tests.ops.syncing.mirroring import Shelf, made
from tests.ops.syncing.story import Story, item, mirror, story, with_prune

PLACE = "oci:/srv/mirror/app"
IMAGES = {f"v{number}": made(f"image {number}") for number in range(4)}
DAY = 86400.0


class Directory(Shelf):
    """A directory: what it was told to keep until when, and whether it had the name then."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.retained: list[tuple[Digest, float, bool]] = []
        self.collected = 0

    async def retain(self, descriptor: Descriptor, until: float) -> None:
        self._ask("retain")
        self.retained.append((descriptor.digest, until, descriptor in self.names.values()))

    async def collect(self) -> None:
        self._ask("collect")
        self.collected += 1


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Story]:
    """Four tags that nobody has mirrored so far."""
    with story(tmp_path) as opened:
        for tag, image in IMAGES.items():
            opened.up.put(image, tag)
        yield opened


def directed(told: Story) -> tuple[Directory, Mirror]:
    """A directory, and a mirror that prunes there."""
    directory = told.shelves.shelves[PLACE] = Directory(PLACE)
    return directory, with_prune(mirror(target=PLACE), keep=1, share=None)


def test_a_directory_keeps_what_is_taken_away_from_before_that_as_long_as_undo_reaches_back(told: Story) -> None:
    directory, rule = directed(told)
    told.sync(rule)
    del told.up.names["v3"]
    told.sync(rule)
    assert directory.retained == [(IMAGES["v3"].descriptor.digest, told.now + UNDO_WINDOW, True)]


def test_a_directory_keeps_what_is_overwritten_too(told: Story) -> None:
    directory, rule = directed(told)
    told.sync(rule)
    told.up.put(IMAGES["v3"], "v2")
    told.sync(rule)
    assert directory.retained == [(IMAGES["v2"].descriptor.digest, told.now + UNDO_WINDOW, True)]


def test_what_a_directory_cannot_keep_is_not_taken_away(told: Story) -> None:
    directory, rule = directed(told)
    told.sync(rule)
    del told.up.names["v3"]
    directory.faults["retain"] = NoSpace("the disk is full")
    report = told.sync(rule)
    assert not report.is_well
    assert "v3" in directory.names
    assert told.state.tombstones("r2") == []


def test_a_directory_is_collected_once_a_day(told: Story) -> None:
    directory, rule = directed(told)
    told.sync(rule)
    told.sync(rule)
    assert directory.collected == 1
    told.now += DAY
    told.sync(rule)
    assert directory.collected == 2


def test_what_was_pruned_is_told_whatever_becomes_of_the_collection(told: Story) -> None:
    directory, rule = directed(told)
    told.sync(rule)
    del told.up.names["v3"]
    told.state = Forgetful(told.state)  # type: ignore[assignment]  # a state, but for what it forgets
    report = told.sync(rule)
    assert item(report, "v3").action == "pruned"
    assert "v3" not in directory.names
    assert any("the state cannot be used" in text for text in report.warnings)


class Forgetful:
    """A state that cannot tell when anything was done last."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def last(self, key: str) -> None:
        raise StoreUnusable("the state cannot be used")


def test_a_directory_that_cannot_be_collected_is_a_warning(told: Story) -> None:
    directory, rule = directed(told)
    directory.faults["collect"] = StoreUnusable("permission denied")
    report = told.sync(rule)
    assert report.is_well
    assert any("not needed any more" in warning for warning in report.warnings)
