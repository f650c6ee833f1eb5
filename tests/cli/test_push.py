"""`puller push`: what it prints, what it changes, how it ends."""

import json
from pathlib import Path

import pytest

from testregistry import TestRegistry
from testregistry.auth import Bearer
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE, OLD
from tests.cli.serving import serving

pytestmark = pytest.mark.slow  # many small tests: for `make test`


@pytest.fixture
def name(puller: Puller, registry: TestRegistry) -> str:
    """The name of an image of today that is in the store."""
    registry.add("app:1", IMAGE)
    assert puller(registry.name("app:1"), "-q").code == 0
    return registry.name("app:1")


@pytest.fixture
def old(puller: Puller, registry: TestRegistry) -> str:
    """The name of an image of the graph."""
    registry.add("old:1", OLD)
    assert puller(registry.name("old:1"), "-q").code == 0
    return registry.name("old:1")


def manifest(registry: TestRegistry, repository: str, tag: str) -> tuple[str, bytes]:
    found = registry.storage.manifest(repository, tag)
    assert found is not None
    return found[0].media_type, found[0].raw


def test_an_image_goes_to_another_registry_and_its_digest_stays(puller: Puller, name: str, other: TestRegistry) -> None:
    end = puller("push", name, other.name("copy:2"))
    assert end.code == 0
    assert end.out.startswith(f"pushed {other.name('copy:2')}  {IMAGE.digest}  2 layers, ")
    assert [line.split()[-1] for line in end.err.splitlines()[1:]] == ["pushed"] * 4
    assert manifest(other, "copy", "2") == (IMAGE.media_type, IMAGE.raw)


def test_a_second_push_sends_nothing(puller: Puller, name: str, other: TestRegistry) -> None:
    puller("push", name, other.name("copy:2"))
    end = puller("push", name, other.name("copy:2"))
    assert "nothing to send" in end.out
    assert [line.split()[-1] for line in end.err.splitlines()[1:]] == ["exists"] * 4


def test_an_image_goes_where_its_own_name_says(puller: Puller, name: str, registry: TestRegistry) -> None:
    registry.journal.clear()
    end = puller("push", name, "-q")
    assert (end.code, end.out, end.err) == (0, f"{name}  {IMAGE.digest}\n", "")
    assert {request.method for request in registry.journal} == {"HEAD"}


@pytest.mark.parametrize(
    ("words", "media_type"),
    [
        ((), "application/vnd.docker.distribution.manifest.v2+json"),
        (("--format", "oci"), "application/vnd.oci.image.manifest.v1+json"),
        (("--format", "schema1"), "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    ],
)
def test_an_image_of_the_graph_goes_in_the_form_that_is_wanted(
    puller: Puller, old: str, other: TestRegistry, words: tuple[str, ...], media_type: str
) -> None:
    end = puller("push", old, other.name("copy:2"), *words)
    assert (end.code, end.out.split()[0]) == (0, "pushed")
    found, raw = manifest(other, "copy", "2")
    assert found == media_type
    assert puller("inspect", old).code == 0
    assert puller(other.name("copy:2"), "-q").code == 0
    assert json.loads(raw)["schemaVersion"] == (1 if "schema1" in words else 2)


def test_all_tags_go_each_by_its_name(puller: Puller, name: str, old: str, other: TestRegistry) -> None:
    puller("tag", name, other.name("copy:new"))
    puller("tag", old, other.name("copy:old"))
    end = puller("push", other.name("copy"), "--all-tags")
    assert end.code == 0
    assert [line.split()[1] for line in end.out.splitlines()] == [other.name("copy:new"), other.name("copy:old")]
    assert set(other.storage.repository("copy").tags) == {"new", "old"}


def test_a_report_says_what_was_sent(puller: Puller, old: str, other: TestRegistry, home: Path) -> None:
    report = home / "report.json"
    assert puller("push", old, other.name("copy:2"), "--format", "schema1", "--report", str(report)).code == 0
    (push,) = json.loads(report.read_text())["pushes"]
    assert push["reference"] == other.name("copy:2")
    assert [blob["outcome"] for blob in push["blobs"]] == ["pushed"] * 3
    assert push["totals"] == {"sent": sum(blob["sent"] for blob in push["blobs"]), "hashed": 0}
    assert push["error"] is None


def test_events_come_as_json(puller: Puller, name: str, other: TestRegistry) -> None:
    end = puller("push", name, other.name("copy:2"), "--json")
    events = [json.loads(line) for line in end.out.splitlines()]
    assert events[-1]["event"] == "pushed"
    assert sum(event["event"] == "delivered" for event in events) == 4


def test_a_tag_that_is_not_there_is_told_as_by_every_verb(puller: Puller, name: str) -> None:
    end = puller("push", name.removesuffix(":1") + ":latest")
    assert end.code == 1
    assert end.err.startswith("puller: there is no image of this name or ID")
    assert f"{name.removesuffix(':1')}:latest" in end.err


def test_a_repository_that_is_not_there_is_told(puller: Puller) -> None:
    end = puller("push", "busybox", "--all-tags")
    assert (end.code, end.err.splitlines()[0]) == (
        1,
        "puller: there is no image in the repository busybox  [ContentMissing]",
    )


def test_who_may_not_push_is_told_so_and_no_password_shows(puller: Puller, name: str, home: Path) -> None:
    with serving(auth=Bearer({"ann": "marker-secret"})) as locked:
        end = puller("push", name, locked.name("copy:2"))
        assert end.code == 1
        assert "Unauthorized" in end.err
        (home / ".docker").mkdir()
        login = {"auths": {locked.host: {"username": "ann", "password": "marker-secret"}}}
        (home / ".docker" / "config.json").write_text(json.dumps(login))
        assert puller("push", name, locked.name("copy:2"), "--plain-http", locked.host).code == 0


@pytest.mark.parametrize(
    "words",
    [("push", "a:1", "b:1", "--all-tags"), ("push", "a:1", "--all-tags"), ("push", "a:1", "NOT A NAME"), ("push",)],
)
def test_wrong_words_end_with_2(puller: Puller, words: tuple[str, ...]) -> None:
    assert puller(*words).code == 2


def test_a_form_for_an_image_of_today_points_to_convert(puller: Puller, name: str) -> None:
    end = puller("push", name, "--format", "oci")
    assert end.code == 1
    assert "puller convert" in end.err
