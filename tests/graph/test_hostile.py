"""Directories that somebody prepared: nothing in them is followed, waited for, or believed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from puller.errors import ContentCorrupt, ContentMissing
from puller.graph.graph import DiskGraph
from tests.graph.images import graph_at, named, plant, register
from tests.graph.recorded import quiet

FILES = ["json", "layersize", "checksum", "v1Compatibility", "parent"]


def a_link(path: Path) -> None:
    secret = path.parents[3] / "secret"
    secret.write_text("0")
    path.symlink_to(secret)


def a_directory(path: Path) -> None:
    path.mkdir()


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("put", [a_link, a_directory, os.mkfifo, a_device])
@pytest.mark.parametrize("name", FILES)
def test_h1_what_is_no_file_is_damage_and_never_read(
    root: Path, graph: DiskGraph, name: str, put: Callable[[Path], None]
) -> None:
    folder = plant(root, "a")
    (folder / name).unlink(missing_ok=True)
    put(folder / name)
    with pytest.raises(ContentCorrupt):
        graph.get(named("a"))
    assert not graph.has(named("a"))


@pytest.mark.timeout(10)
@pytest.mark.parametrize("put", [a_link, a_directory, os.mkfifo])
def test_h1_tar_data_and_tarsum_are_files_too(root: Path, graph: DiskGraph, put: Callable[[Path], None]) -> None:
    folder = plant(root, "a")
    for name in ("tar-data.json.gz", "tarsum"):
        put(folder / name)
        if put is a_link:
            (root.parent / "secret").unlink(missing_ok=True)
    with pytest.raises(ContentCorrupt):
        list(graph.layer_tar(named("a")))
    with pytest.raises(ContentCorrupt):
        graph.tarsum(named("a"))


def test_h1_a_link_in_the_place_of_an_images_folder_is_no_image(root: Path, graph: DiskGraph) -> None:
    folder = plant(root, "a")
    folder.rename(root / "elsewhere")
    folder.symlink_to(root / "elsewhere")
    assert graph.ids() == []
    with pytest.raises(ContentMissing):
        graph.get(named("a"))


def test_d6_a_file_that_is_too_long_is_not_read_to_its_end(root: Path, graph: DiskGraph) -> None:
    folder = plant(root, "a")
    os.truncate(folder / "json", 1 << 40)
    with pytest.raises(ContentCorrupt, match="json is too large"):
        graph.get(named("a"))


def test_a_parent_that_is_no_id_leads_nowhere(root: Path, graph: DiskGraph) -> None:
    (plant(root, "a") / "parent").write_text("../../etc")
    assert graph.get(named("a")).parent == "../../etc"
    assert graph.by_parent() == {}
    for ask in (graph.line, graph.generate_v1_compatibility):
        with pytest.raises(ContentMissing):
            ask(named("a"))


def test_json_that_says_another_id_is_no_image(root: Path, graph: DiskGraph) -> None:
    plant(root, "a", json=b'{"id":"%s"}' % named("b").encode())
    with pytest.raises(ContentCorrupt) as error:
        graph.get(named("a"))
    assert error.value.what == f"Image stored at '{named('a')}' has wrong id '{named('b')}'"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"created":null}', b'{"id":1}', b'{"id":"abc"}'])
def test_broken_json_is_damage_and_harms_no_other_image(root: Path, graph: DiskGraph, text: bytes) -> None:
    plant(root, "a", json=text)
    other = register(graph, "b")
    with pytest.raises(ContentCorrupt):
        graph.get(named("a"))
    assert set(graph.ids()) == {named("a"), other}
    assert graph.heads() == [other]
    graph.delete(named("a"))
    assert graph.ids() == [other]


def test_what_follows_the_first_value_of_json_is_not_looked_at(root: Path, graph: DiskGraph) -> None:
    plant(root, "a", json=b'{"comment":"x"} trailing')
    assert graph.get(named("a")).image.id == named("a")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("put", [a_link, os.mkfifo, a_device])
def test_h1_scratch_that_somebody_prepared_is_neither_followed_nor_waited_for(
    root: Path, graph: DiskGraph, put: Callable[[Path], None]
) -> None:
    scratch = root / "graph" / "_tmp"
    (scratch / "locks").mkdir(parents=True)
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    (scratch / named("left")).symlink_to(outside)
    put(scratch / named("other"))
    register(graph, "a")
    assert graph.has(named("a"))
    assert (outside / "file").read_text() == "stays"


def test_h1_a_link_where_an_image_is_to_be_made_is_refused(root: Path, graph: DiskGraph) -> None:
    scratch = root / "graph" / "_tmp"
    scratch.mkdir(parents=True)
    outside = root.parent / "outside"
    outside.mkdir()
    (scratch / named("a")).symlink_to(outside)
    with pytest.raises(ContentCorrupt):
        register(graph, "a")
    assert list(outside.iterdir()) == []
    assert not graph.has(named("a"))


@pytest.mark.parametrize("path", ["graph", "graph/_tmp", "graph/_tmp/locks"])
def test_h1_nothing_is_removed_where_a_link_in_place_of_a_directory_leads(
    root: Path, graph: DiskGraph, path: str
) -> None:
    register(graph, "a")
    with graph.holding([named("a")]):
        outside = root.parent / "outside"
        (root / path).rename(outside)
    (root / path).symlink_to(outside)
    below = {"graph": "_tmp/", "graph/_tmp": "", "graph/_tmp/locks": ""}[path]
    for name in (f"{below}{named('theirs')}", f"{below}image-theirs", f"{below}held-{named('theirs')}"):
        (outside / name).write_text("stays")
    before = sorted(outside.rglob("*"))
    for change in (
        lambda: register(graph_at(root), "b"),
        lambda: graph_at(root).delete(named("a")),
        lambda: graph_at(root).set_checksum(named("a"), "x"),
        lambda: graph_at(root).sweep(),
    ):
        if path == "graph/_tmp/locks" and change.__code__.co_names[1:] == ("set_checksum", "named"):
            continue
        with pytest.raises(ContentCorrupt, match="symbolic link"):
            change()
    assert sorted(outside.rglob("*")) == before


def test_a_damaged_image_can_be_retained_and_told(root: Path, graph: DiskGraph) -> None:
    plant(root, "a", json=b"")
    with graph.holding([named("a")]), pytest.raises(ContentCorrupt, match="EOF"):
        graph.stored(named("a"))
    quiet(0)
