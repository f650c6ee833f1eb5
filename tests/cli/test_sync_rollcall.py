"""`puller sync` and the lists of tags of its targets: what they leave out must cost nobody what a tag named."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.ops.syncing.rollcall import LEAST
from testregistry import faults
from testregistry.journal import Request
from tests.cli.conftest import Puller
from tests.cli.mirrored import Mirrored, image, mirrored

pytestmark = pytest.mark.slow  # many small tests: for `make test`

TAGS = [str(number) for number in range(LEAST)]


@pytest.fixture
def world(puller: Puller, tmp_path: Path) -> Iterator[Mirrored]:
    """Enough tags for the target to be asked for its list, and none of them mirrored yet."""
    with mirrored(puller, tmp_path, "registry") as made:
        for tag in TAGS:
            made.up.add(f"app:{tag}", image(f"app {tag}"))
        yield made


def overwritten(world: Mirrored) -> int:
    """How many tags the last run has moved, as undo knows of it."""
    runs = json.loads(world.puller("undo", "--json", "--config", str(world.file)).out)["runs"]
    return sum(run["overwritten"] for run in runs if run["run"] == world.report()["run"])


def test_h3_a_target_that_says_of_its_list_that_there_is_no_repository_loses_no_tag_for_good(world: Mirrored) -> None:
    theirs = image("theirs")
    world.down.add("copy/app:1", theirs)
    world.down.faults.append(faults.status(404, kind="tags", times=None))
    world.write("app", backup="{tag}-before")
    end = world.sync()
    assert end.code == 0, end.err
    assert world.there("app")["1"] == image("app 1").digest
    assert world.there("app")["1-before"] == theirs.digest
    assert overwritten(world) == 1
    assert world.puller("undo", world.report()["run"], "--overwritten").code == 0
    assert world.there("app")["1"] == theirs.digest


def test_h3_a_tag_that_comes_to_a_new_repository_while_it_is_filled_is_kept_for_undo(world: Mirrored) -> None:
    theirs = image("theirs")

    def come(request: Request) -> None:
        if (request.method, request.kind) == ("GET", "tags"):
            world.down.add("copy/app:3", theirs)

    world.down.on_answer.append(come)
    world.write("app")
    end = world.sync()
    assert end.code == 0, end.err
    assert world.there("app")["3"] == image("app 3").digest
    assert overwritten(world) == 1


def test_a_plan_for_a_new_repository_with_backups_can_be_applied(world: Mirrored) -> None:
    world.write("app", backup="{tag}-before")
    plan = str(world.folder / "plan.json")
    assert world.puller("plan", str(world.file), "--output", plan).code == 0
    theirs = image("theirs")
    world.down.add("copy/app:2", theirs)
    end = world.puller("apply", plan)
    assert "the plan does not fit any more" in end.err
    assert world.there("app") == {tag: image(f"app {tag}").digest for tag in TAGS} | {"2": theirs.digest}
