"""`puller sync` and registries that lie, swamp or vanish: what is there stays, and nothing else is touched."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from testregistry import faults
from testregistry.journal import Request
from tests.cli.conftest import Puller
from tests.cli.mirrored import Mirrored, image, mirrored

pytestmark = pytest.mark.slow  # many small tests: for `make test`

ESCAPES = ["../../etc/cron.d/x", "a/b", "..", ".", "x" * 129, "a\x00b", "a\nb", "", "-x", "con:1"]


@pytest.fixture
def world(puller: Puller, tmp_path: Path) -> Iterator[Mirrored]:
    with mirrored(puller, tmp_path, "oci") as made:
        for repository in ("app", "web"):
            made.up.add(f"{repository}:1", image(repository))
        made.write("app", "web", prune={"enabled": True, "max": "100%", "keep": 0})
        yield made


@pytest.mark.parametrize("tag", ESCAPES)
def test_a5_a_list_with_what_is_no_tag_is_refused_and_writes_nothing(world: Mirrored, tmp_path: Path, tag: str) -> None:
    document = json.dumps({"name": "app", "tags": ["1", tag]}).encode()
    world.up.faults.append(faults.body(None, document, kind="tags", repository="app", times=None))
    before = {path for path in tmp_path.rglob("*") if path.name != "report.json" and "home" not in path.parts}
    end = world.sync()
    assert end.code == 1
    ((source, error),) = world.report()["problems"]
    assert (source, error["error"]) == (f"{world.up.host}/app", "ProtocolViolation")
    assert world.there("web") == {"1": image("web").digest}
    after = {path for path in tmp_path.rglob("*") if path.name != "report.json" and "home" not in path.parts}
    assert all("web" in path.parts or path == tmp_path / "web" for path in after - before)


def test_a_tag_that_vanished_since_it_was_listed_fails_alone(world: Mirrored) -> None:
    document = json.dumps({"name": "app", "tags": ["1", "gone"]}).encode()
    world.up.faults.append(faults.body(None, document, kind="tags", repository="app", times=None))
    end = world.sync()
    assert end.code == 1
    assert world.actions("app") == {"1": "new", "gone": "failed"}


def test_a_tag_that_moves_between_two_questions_is_brought_as_it_was_named_first(world: Mirrored) -> None:
    moved = image("moved")
    world.write("app", tags=["1"])

    def move(request: Request) -> None:
        if (request.method, request.repository) == ("HEAD", "app"):
            world.up.tag("app:1", moved.digest)

    world.up.add("app:moved", moved)
    world.up.on_answer.append(move)
    end = world.sync()
    assert end.code == 0, end.err
    assert world.there("app") == {"1": image("app").digest}
    world.up.on_answer.clear()
    world.sync()
    assert world.there("app") == {"1": moved.digest}


def test_a_registry_that_is_gone_fails_its_mirrors_and_removes_nothing(world: Mirrored) -> None:
    assert world.sync().code == 0
    world.up.faults.append(faults.drop(None, repository="app", times=None))
    assert world.sync().code == 1
    assert world.there("app") == {"1": image("app").digest}
    assert world.actions("web") == {"1": "unchanged"}
