"""Blobs that another repository of the target has since an earlier run of a sync."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from testregistry.images import image, layer
from tests.cli.conftest import Puller
from tests.cli.mirrored import Mirrored, mirrored

BASE = layer({"base": b"b" * 10_000})


@pytest.fixture
def world(puller: Puller, tmp_path: Path) -> Iterator[Mirrored]:
    with mirrored(puller, tmp_path, "registry") as made:
        made.up.add("app:1", image(BASE))
        made.write("app", "web")
        made.up.add("web:1", image(layer({"other": b"o"})))
        yield made


def test_a_layer_that_an_earlier_run_brought_elsewhere_is_mounted(world: Mirrored) -> None:
    world.sync()
    world.up.add("web:2", image(BASE, layer({"own": b"x"})))
    end = world.sync()
    assert end.code == 0, end.err
    assert world.up.journal.gets(BASE.digest) == 0
    asked = [parse_qs(request.query) for request in world.down.journal.find("POST")]
    lent = [query["from"] for query in asked if query.get("mount") == [BASE.digest]]
    assert lent == [[world.target("app").partition("/")[2]]]


def test_who_has_lost_it_lends_nothing_and_it_is_brought(world: Mirrored) -> None:
    world.sync()
    (name,) = [one.name for one in world.down.storage if one.name.endswith("app")]
    world.down.storage.drop_blob(name, BASE.digest)
    made = image(BASE, layer({"own": b"x"}))
    world.up.add("web:2", made)
    end = world.sync()
    assert end.code == 0, end.err
    assert world.there("web")["2"] == made.digest
