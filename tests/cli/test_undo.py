"""`puller undo`: what can be brought back, and bringing it back, as the verb tells it."""

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from puller.mirror.runlock import only_run
from puller.mirror.state import State
from puller.mirror.statefile import VERSION
from tests.cli.conftest import Form, Puller
from tests.cli.mirrored import Mirrored, image, mirrored

pytestmark = pytest.mark.slow  # each runs several syncs
PRUNE = {"enabled": True, "keep": 1, "max": "100%"}


@pytest.fixture
def world(puller: Puller, tmp_path: Path, form: Form) -> Iterator[Mirrored]:
    """Three tags, mirrored; then one is gone, one has moved, and that is mirrored, too."""
    with mirrored(puller, tmp_path, form) as made:
        for tag in ("1", "2", "3"):
            made.up.add(f"app:{tag}", image(f"app {tag}"))
        made.write("app", prune=PRUNE)
        assert made.sync().code == 0
        made.up.storage.untag("app", "1")
        made.up.add("app:2", image("app 2 anew"))
        assert made.sync().code == 0
        assert made.there("app") == {"2": image("app 2 anew").digest, "3": image("app 3").digest}
        yield made


def run_of(world: Mirrored) -> str:
    found: str = world.report()["run"]
    return found


def test_a_run_is_listed_with_what_it_took_away(puller: Puller, world: Mirrored) -> None:
    listed = puller("undo")
    assert listed.code == 0
    assert re.search(rf"^{run_of(world)} .* 1 +1 +{world.file}$", listed.out, re.MULTILINE)
    document: dict[str, Any] = json.loads(puller("undo", "--json", "--config", str(world.file)).out)
    assert [(run["run"], run["pruned"], run["overwritten"]) for run in document["runs"]] == [(run_of(world), 1, 1)]


def test_a_state_of_a_newer_version_hides_no_other(puller: Puller, home: Path, world: Mirrored) -> None:
    newer = home / ".local" / "state" / "puller" / "mirrors" / "a-newer"
    with State.open(newer):
        pass
    with closing(sqlite3.connect(newer / "state.db")) as database:
        database.execute(f"UPDATE meta SET value = {VERSION + 1}")
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
        database.commit()
    listed = puller("undo")
    assert (listed.code, run_of(world) in listed.out) == (0, True)
    assert "passed over: the state was made by a newer version" in listed.err
    assert puller("undo", run_of(world)).code == 0
    assert puller("undo", "--state", str(newer)).code == 2


def test_what_was_pruned_comes_back_by_the_name_of_its_run_alone(puller: Puller, world: Mirrored) -> None:
    undone = puller("undo", run_of(world))
    assert undone.code == 0, undone.err
    assert "1 of 1 tag back" in undone.out
    assert "--overwritten also brings back 1 tag that it moved" in undone.out
    assert world.there("app")["1"] == image("app 1").digest
    assert world.there("app")["2"] == image("app 2 anew").digest


def test_what_is_back_stays_when_the_next_sync_runs(puller: Puller, world: Mirrored) -> None:
    assert puller("undo", run_of(world), "--overwritten").code == 0
    before = world.there("app")
    assert before == {tag: image(f"app {tag}").digest for tag in ("1", "2", "3")}
    assert world.sync().code == 0
    assert world.there("app") == before
    world.up.add("app:2", image("app 2 once more"))
    assert world.sync().code == 0
    assert world.there("app") == before | {"2": image("app 2 once more").digest}


def test_a_second_undo_has_nothing_to_do(puller: Puller, world: Mirrored) -> None:
    run = run_of(world)
    puller("undo", run, "--overwritten")
    again = puller("undo", run, "--overwritten")
    assert again.code == 0
    assert "has taken away nothing that is not back by now" in again.out
    assert puller("undo").out == "there is nothing to undo\n"


def test_a_tag_that_names_something_else_by_now_is_left_and_fails_the_undo(puller: Puller, world: Mirrored) -> None:
    world.up.add("app:1", image("app 1 anew"))
    assert world.sync().code == 0
    [run] = [one["run"] for one in json.loads(puller("undo", "--json").out)["runs"]]
    undone = puller("undo", run, "--json")
    assert undone.code == 1
    [tag] = json.loads(undone.out)["tags"]
    assert (tag["name"], tag["outcome"]) == ("1", "moved")
    assert world.there("app")["1"] == image("app 1 anew").digest


def test_a_run_that_nobody_knows_is_a_wrong_word(puller: Puller, world: Mirrored) -> None:
    undone = puller("undo", "20200101T000000Z-abcd")
    assert undone.code == 2
    assert "no such run" in undone.err
    assert puller("undo", "--overwritten").code == 2


def test_while_a_run_is_at_work_nothing_is_undone(puller: Puller, world: Mirrored) -> None:
    [folder] = (path.parent for path in world.folder.rglob("state.db"))
    with only_run(folder):
        undone = puller("undo", run_of(world), "--state", str(folder))
    assert undone.code == 1
    assert "another run holds this state" in undone.err
    assert "1" not in world.there("app")


def test_h6_a_state_that_was_set_aside_takes_no_tombstone_with_it(puller: Puller, world: Mirrored) -> None:
    run = run_of(world)
    [path] = world.folder.rglob("state.db")
    path.write_bytes(b"no database" * 1000)
    undone = puller("undo", run, "--config", str(world.file))
    assert undone.code == 0, undone.err
    assert "the state was damaged" in undone.err
    assert world.there("app")["1"] == image("app 1").digest
    with State.read(path.parent) as state:
        assert state.warnings == ()


def test_what_a_registry_has_freed_is_brought_again(puller: Puller, world: Mirrored) -> None:
    if world.form == "registry":
        world.down.storage.drop_manifest("copy/app", image("app 1").digest)
        world.down.storage.drop_blob("copy/app", image("app 1").layers[1].digest)
    undone = puller("undo", run_of(world))
    assert undone.code == 0, undone.out
    assert ("fetched" in undone.out) == (world.form == "registry")
    assert world.there("app")["1"] == image("app 1").digest


@pytest.mark.parametrize("form", ["oci"])
def test_what_one_state_may_want_back_no_run_of_another_frees(puller: Puller, world: Mirrored) -> None:
    run, old = run_of(world), image("app 1")
    for path in (world.folder / "app" / "blobs" / "sha256").iterdir():
        os.utime(path, (1e9, 1e9))  # as if it had not come today
    other = world.sync("--state", str(world.folder / "other"))
    assert other.code == 0, other.err
    world.up.storage.drop_manifest("app", old.digest)
    for content in old.content():
        if content.digest not in (old.digest, image("app 3").layers[0].digest):
            world.up.storage.drop_blob("app", content.digest)
    undone = puller("undo", run, "--overwritten")
    assert undone.code == 0, undone.out
    assert "fetched" not in undone.out
    assert world.there("app") == {tag: image(f"app {tag}").digest for tag in ("1", "2", "3")}
