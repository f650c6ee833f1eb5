"""A sync that remembers nothing, at a directory of an earlier run: it takes over what is whole and brings the rest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Puller
from tests.cli.mirrored import Mirrored, image, index, mirrored

pytestmark = pytest.mark.slow  # each runs several syncs
PLATFORM = "linux/amd64"


@pytest.fixture
def world(puller: Puller, tmp_path: Path) -> Iterator[Mirrored]:
    """An index of two images and an image, in a registry."""
    with mirrored(puller, tmp_path, "oci") as made:
        made.up.add("app:multi", index("app"))
        made.up.add("app:one", image("one"))
        yield made


def lost(world: Mirrored, name: str = "lost") -> tuple[str, str]:
    """The words of a run over a state in which nothing stands."""
    return "--state", str(world.folder / name)


def held(world: Mirrored) -> set[str]:
    return {f"sha256:{path.name}" for path in (world.folder / "app" / "blobs" / "sha256").iterdir()}


def wanted() -> set[str]:
    return {content.digest for made in (index("app"), image("one")) for content in made.content()}


def test_what_is_whole_is_taken_over_without_being_asked_for(world: Mirrored) -> None:
    world.write("app")
    assert world.sync().code == 0
    assert world.sync(*lost(world)).code == 0
    assert world.actions() == {"multi": "unchanged", "one": "unchanged"}
    assert world.asked("GET", "manifest") == world.asked("GET", "blob") == 0


def test_of_an_index_that_a_run_before_has_brought_in_part_the_rest_is_brought(world: Mirrored) -> None:
    world.write("app", platforms=[PLATFORM])
    assert world.sync().code == 0
    assert held(world) < wanted()
    world.write("app")
    assert world.sync(*lost(world)).code == 0
    assert world.actions()["one"] == "unchanged"
    assert held(world) == wanted()
    assert world.sync(*lost(world)).code == 0
    assert world.actions() == {"multi": "unchanged", "one": "unchanged"}
    assert world.asked("GET", "blob") == 0


def test_a_plan_says_that_the_rest_would_be_brought_and_writes_nothing(puller: Puller, world: Mirrored) -> None:
    world.write("app", platforms=[PLATFORM])
    assert world.sync().code == 0
    before = sorted(path for path in (world.folder / "app").rglob("*"))
    world.write("app")
    told = puller("plan", str(world.file), *lost(world))
    assert told.code == 0, told.err
    assert "nobody knows how much of it" in told.out
    assert sorted(path for path in (world.folder / "app").rglob("*")) == before


@pytest.mark.parametrize("what", ["config", "layer", "child"])
def test_of_what_somebody_has_taken_out_of_a_directory_the_rest_is_brought(world: Mirrored, what: str) -> None:
    world.write("app")
    assert world.sync().code == 0
    first = image("app")  # of the index
    gone = {"child": first.digest, "layer": first.layers[1].digest, "config": first.config.digest}[what]
    (world.folder / "app" / "blobs" / "sha256" / gone.partition(":")[2]).unlink()
    assert world.sync(*lost(world)).code == 0
    assert held(world) == wanted()
