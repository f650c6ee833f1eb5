"""`puller sync --locked`: what comes is what was locked, whatever its tags name by now."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from testregistry import faults
from tests.cli.conftest import Puller
from tests.cli.mirrored import Mirrored, image, mirrored

pytestmark = pytest.mark.slow  # many small tests: for `make test`

ONE, TWO, THREE = image("one"), image("two"), image("three")


@pytest.fixture
def world(puller: Puller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrored]:
    """Two tags that are locked; then one has moved, and there is a new one."""
    monkeypatch.chdir(tmp_path)
    with mirrored(puller, tmp_path, "registry") as made:
        made.up.add("app:1.0", ONE)
        made.up.add("app:2.0", TWO)
        made.write("app")
        assert puller("lock", str(made.file)).code == 0
        made.up.add("app:2.0", THREE)
        made.up.add("app:3.0", THREE)
        made.up.journal.clear()
        yield made


def test_a_tag_that_has_moved_is_brought_as_it_was_locked_and_no_other_comes(world: Mirrored) -> None:
    end = world.sync("--locked", "puller.lock")

    assert end.code == 0, end.err
    assert world.there("app") == {"1.0": ONE.digest, "2.0": TWO.digest}


def test_nobody_is_asked_for_lists_or_tags_and_a_second_time_for_nothing(world: Mirrored) -> None:
    world.sync("--locked", "puller.lock")
    asked = {(request.method, request.kind) for request in world.up.journal}
    world.sync("--locked", "puller.lock")

    assert asked == {("GET", "manifest"), ("GET", "blob")}
    assert len(world.up.journal) == 0
    assert set(world.actions().values()) == {"unchanged"}


def test_a_locked_digest_that_its_source_has_lost_is_a_failure_of_that_tag_alone(world: Mirrored) -> None:
    world.up.faults.append(faults.status(TWO.digest, 404, times=None))

    end = world.sync("--locked", "puller.lock")

    assert end.code == 1
    assert world.there("app") == {"1.0": ONE.digest}


def test_a_named_tag_that_is_not_locked_is_left_out_with_a_warning_and_nothing_is_pruned(world: Mirrored) -> None:
    world.sync()
    world.write("app", tags=["1.0", "3.0"], prune={"enabled": True, "keep": 0, "max": 100})

    end = world.sync("--locked", "puller.lock")

    assert end.code == 0, end.err
    assert "app:3.0: not in the lock file, and left out" in end.err
    assert "nothing is pruned" in end.err
    assert world.there("app") == {"1.0": ONE.digest, "2.0": THREE.digest, "3.0": THREE.digest}


def test_where_none_of_the_named_tags_is_locked_nothing_comes(world: Mirrored) -> None:
    world.write("app", tags=["3.0"])

    end = world.sync("--locked", "puller.lock")

    assert end.code == 0
    assert "app:3.0: not in the lock file, and left out" in end.err
    assert world.actions() == {}


def test_age_and_number_were_decided_when_it_was_locked(world: Mirrored) -> None:
    world.write("app", tags={"semver": ">=1", "newest": 1, "max-age": "1h"})

    world.sync("--locked", "puller.lock")

    assert sorted(world.there("app")) == ["1.0", "2.0"]


def test_a_pattern_of_repositories_finds_those_that_are_locked_without_a_catalog(
    world: Mirrored,
) -> None:
    entry = {"from": f"{world.up.host}/*", "to": f"{world.down.host}/all/*"}
    world.file.write_text(json.dumps({"puller": 1, "mirrors": [entry]}))

    end = world.sync("--locked", "puller.lock")

    assert end.code == 0, end.err
    assert all(request.kind != "catalog" for request in world.up.journal)
    assert world.actions() == {"1.0": "new", "2.0": "new"}


def test_a_plan_with_a_lock_is_of_the_locked_digests(world: Mirrored, puller: Puller, tmp_path: Path) -> None:
    end = puller("plan", "--locked", "puller.lock", "--state", str(tmp_path / "s"), "-o", "p", str(world.file))

    assert end.code == 0, end.err
    items = json.loads(Path("p").read_text())["items"]
    assert {item["tag"]: item["digest"] for item in items} == {"1.0": ONE.digest, "2.0": TWO.digest}


def test_a_sync_without_its_lock_file_is_refused(world: Mirrored) -> None:
    assert world.sync("--locked", "none.lock").code == 2
    assert len(world.up.journal) == 0
