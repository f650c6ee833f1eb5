"""`puller pull --from-store`: what other local places have is taken from there, and told."""

import json
from pathlib import Path
from typing import Any

import pytest

from testregistry import TestRegistry, images
from tests.archive.building import layout, packed, replaced
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, IMAGE, TOP


def report_of(path: Path) -> dict[str, dict[str, Any]]:
    """By role, what the one pull of a report says of its blobs."""
    (pulled,) = json.loads(path.read_text())["pulls"]
    return {blob["role"]: blob for blob in pulled["blobs"]}


def test_another_store_gives_all_it_has_and_the_line_and_the_report_say_so(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    other = tmp_path / "other"
    assert puller("pull", "--no-unpack", "--store", str(other), registry.name("app:1")).code == 0
    registry.journal.clear()
    report = tmp_path / "report.json"
    words = ("--no-unpack", "--from-store", str(other), "--report", str(report))
    end = puller("pull", *words, registry.name("app:1"))
    assert end.code == 0
    assert " copied" in end.out
    assert " fetched" not in end.out
    assert end.err.count("  copied  ") == 3
    assert [request.method for request in registry.journal] == ["HEAD"]
    blobs = report_of(report)
    assert {blob["outcome"] for blob in blobs.values()} == {"copied"}
    assert {blob["origin"]["host"] for blob in blobs.values()} == {f"file:{other}"}
    assert puller("verify", "--all").code == 0


def test_archives_and_several_places_are_taken_in_their_order(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    parts = layout((IMAGE, "app:1"))
    one, two = tmp_path / "one.tar", tmp_path / "two.tar"
    one.write_bytes(packed([part for part in parts if TOP.digest[7:] not in part[0]]))
    two.write_bytes(packed(parts))
    report = tmp_path / "report.json"
    words = ("--no-unpack", "--from-store", str(one), "--from-store", str(two), "--report", str(report))
    assert puller("pull", *words, registry.name("app:1")).code == 0
    hosts = {blob["digest"]: blob["origin"]["host"] for blob in report_of(report).values()}
    assert (hosts[BASE.digest], hosts[TOP.digest]) == (f"file:{one}", f"file:{two}")


def test_what_is_wrong_in_a_place_is_fetched_and_warned_of(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    registry.add("app:1", IMAGE)
    place = tmp_path / "place.tar"
    parts = replaced(layout((IMAGE, "")), f"blobs/sha256/{BASE.digest[7:]}", bytes(BASE.size))
    place.write_bytes(packed(parts))
    end = puller("pull", "--no-unpack", "--from-store", str(place), registry.name("app:1"))
    assert end.code == 0
    assert f"warning: file:{place} holds other bytes under {BASE.digest[7:19]}" in end.err
    assert registry.journal.gets(BASE.digest) == 1
    assert puller("verify", "--all").code == 0


@pytest.mark.parametrize("kind", ["folder", "file", "nothing"])
def test_a_place_that_is_none_ends_the_pull_before_any_request(
    puller: Puller, registry: TestRegistry, tmp_path: Path, kind: str
) -> None:
    registry.add("app:1", images.image(BASE))
    place = tmp_path / "place"
    if kind == "folder":
        place.mkdir()
    elif kind == "file":
        place.write_text("no archive")
    end = puller("pull", "--from-store", str(place), registry.name("app:1"))
    assert end.code == 2
    assert str(place) in end.err
    assert registry.journal.requests == []
