"""Images on disk: registered, read, asked for, removed, as moby's graph did; named after its tests where it has one."""

import gzip
import hashlib
import json
import stat
from pathlib import Path

import pytest

from puller.contracts.graph import NewImage
from puller.errors import ContentCorrupt, ContentMissing, InvalidManifest, InvalidReference, LayerError, StoreBusy
from puller.graph.graph import DiskGraph
from puller.legacy.v1image import V1Image
from tests.graph.images import archive, graph_at, left_in, named, new_image, plant, register, stack, v1_text
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import golden, layer, quiet


def test_init_a_graph_that_is_not_there_is_empty_and_is_not_made_by_looking(root: Path, graph: DiskGraph) -> None:
    assert graph.ids() == graph.heads() == []
    assert graph.by_parent() == {}
    assert not graph.has(named("a"))
    assert not root.exists()


def test_register_then_get_gives_what_was_registered(graph: DiskGraph) -> None:
    with layer(archive(f="1234")) as blob:
        graph.register(new_image("a", comment="testing"), blob, quiet)
    image = graph.get(named("a"))
    assert (image.image_id, image.parent, image.size) == (named("a"), "", 4)
    assert json.loads(image.config)["comment"] == "testing"
    assert (image.image.id, image.image.size, image.checksum, image.v1_compatibility) == (named("a"), 4, None, None)
    assert graph.ids() == [named("a")]


def test_mount_a_registered_image_has_its_tree(root: Path, graph: DiskGraph) -> None:
    stack(graph, ["base", "top"])
    assert [path.name for path in sorted((root / "vfs/dir" / named("top")).iterdir())] == ["base", "top"]


def test_files_are_private_and_those_that_docker_wrote(root: Path, graph: DiskGraph) -> None:
    register(graph, "a")
    folder = root / "graph" / named("a")
    assert sorted(path.name for path in folder.iterdir()) == ["json", "layersize", "tar-data.json.gz"]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)} == {0o700}
    assert left_in(root) == []


def test_the_same_layer_gives_the_same_tar_data_to_the_byte(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        register(graph_at(tmp_path / name), "a")
        found.append((tmp_path / name / "graph" / named("a") / "tar-data.json.gz").read_bytes())
    assert found[0] == found[1]
    assert found[0][4:8] == bytes(4)  # no time


def test_interrupted_register_leaves_nothing_and_can_be_repeated(root: Path, graph: DiskGraph) -> None:
    whole = archive(a="1" * 3000)
    with layer(whole[:1500]) as blob, pytest.raises((LayerError, EOFError)):
        graph.register(new_image("a"), blob, quiet)
    assert graph.ids() == []
    assert [path.name for path in (root / "graph").iterdir()] == ["_tmp"]
    assert left_in(root) == []
    assert list((root / "vfs/dir").iterdir()) == []
    with layer(whole) as blob:
        graph.register(new_image("a"), blob, quiet)
    assert graph.get(named("a")).size == 3000


def test_an_image_that_is_here_is_not_touched_and_its_layer_not_read(root: Path) -> None:
    driver = PlainVfs(root)
    graph = graph_at(root, driver)
    register(graph, "a")
    before = {path: path.read_bytes() for path in (root / "graph" / named("a")).iterdir()}
    register(graph, "a", content=b"no archive at all")
    assert {path: path.read_bytes() for path in (root / "graph" / named("a")).iterdir()} == before
    assert driver.made == [named("a")]


def test_a_missing_parent_is_told_before_anything_is_made(root: Path) -> None:
    driver = PlainVfs(root)
    graph = graph_at(root, driver)
    with pytest.raises(ContentMissing) as error:
        register(graph, "child", "nobody")
    assert error.value.what == f"could not find image: no such id: {named('nobody')}"
    assert driver.made == []
    assert graph.ids() == []


def test_an_image_without_a_layer_has_size_zero_and_no_tar_data(root: Path, graph: DiskGraph) -> None:
    graph.register(new_image("a"), None, quiet)
    assert graph.get(named("a")).size == 0
    assert not graph.is_exact(named("a"))
    assert not (root / "graph" / named("a") / "tar-data.json.gz").exists()


def test_a_config_is_kept_unchanged_and_a_parent_it_does_not_name_is_kept_beside_it(
    root: Path, graph: DiskGraph
) -> None:
    register(graph, "base")
    config = b'{ "parent_id":"sha256:%s", "unknown": 1.50 }' % named("strong").encode()
    new = NewImage(named("a"), named("base"), config=config, checksum="sha256:ab", v1_compatibility=b'{"id":"x"}\n')
    with layer(archive(f="1")) as blob:
        image = graph.register(new, blob, quiet)
    assert (image.config, image.parent, image.checksum) == (config, named("base"), "sha256:ab")
    assert image.v1_compatibility == b'{"id":"x"}\n'
    assert (root / "graph" / named("a") / "parent").read_text() == named("base")


def test_a_parent_that_the_config_names_by_its_strong_id_needs_no_file(root: Path, graph: DiskGraph) -> None:
    register(graph, "base")
    config = b'{"parent_id":"sha256:%s"}' % named("base").encode()
    graph.register(NewImage(named("a"), named("base"), config=config), None, quiet)
    assert not (root / "graph" / named("a") / "parent").exists()
    assert graph.get(named("a")).parent == named("base")


@pytest.mark.parametrize(
    ("config", "parent"),
    [
        (b'{"parent_id":"sha256:%s"}' % named("base").encode(), ""),
        (b'{"parent":"%s"}' % named("other").encode(), "base"),
        (b"{}", "base"),
    ],
)
def test_a_config_that_would_give_the_image_another_parent_is_refused(
    graph: DiskGraph, config: bytes, parent: str
) -> None:
    register(graph, "base")
    with pytest.raises(InvalidManifest, match="names another parent"):
        graph.register(NewImage(named("a"), named(parent) if parent else "", config=config), None, quiet)
    assert graph.ids() == [named("base")]


def test_a_config_with_another_id_is_refused(graph: DiskGraph) -> None:
    with pytest.raises(InvalidManifest) as error:
        graph.register(NewImage(named("a"), "", config=v1_text("b")), None, quiet)
    assert error.value.what == f"Image stored at '{named('a')}' has wrong id '{named('b')}'"


@pytest.mark.parametrize("image_id", ["", "abc", "../" + "a" * 61, "A" * 64, "a" * 64 + "\n"])
def test_what_is_no_id_is_never_a_path(root: Path, graph: DiskGraph, image_id: str) -> None:
    with pytest.raises(InvalidManifest, match="invalidimageid"):
        graph.register(NewImage(image_id, "", config=b"{}"), None, quiet)
    for ask in (graph.get, graph.is_exact, graph.tarsum, graph.delete, graph.generate_v1_compatibility):
        with pytest.raises(ContentMissing):
            ask(image_id)
    assert not graph.has(image_id)
    assert graph.stored(image_id) is None
    assert not root.exists()


def test_a_gzipped_layer_comes_back_uncompressed_byte_for_byte(graph: DiskGraph) -> None:
    register(graph, "base", content=golden("graph/layer0.tar"))
    register(graph, "a", "base", content=golden("graph/layer1.tar.gz"))
    assert b"".join(graph.layer_tar(named("a"))) == gzip.decompress(golden("graph/layer1.tar.gz"))
    assert graph.is_exact(named("a"))


def test_a_layer_in_a_window_of_a_larger_file_is_recorded_from_there(graph: DiskGraph) -> None:
    from puller.contracts.layers import LayerBlob

    whole = archive(f="12")
    with layer(b"x" * 512 + whole + b"y" * 512) as blob:
        graph.register(new_image("a"), LayerBlob(blob.fd, "none", None, start=512, size=len(whole)), quiet)
    assert b"".join(graph.layer_tar(named("a"))) == whole


def test_a_layer_without_tar_data_is_what_the_driver_finds_different(root: Path, graph: DiskGraph) -> None:
    register(graph, "a")
    (root / "graph" / named("a") / "tar-data.json.gz").unlink()
    assert b"aaa" in b"".join(graph.layer_tar(named("a")))
    assert not graph.is_exact(named("a"))


def test_g3_a_file_that_changed_on_the_disk_is_found_when_the_layer_is_put_together(
    root: Path, graph: DiskGraph
) -> None:
    register(graph, "a")
    (root / "vfs/dir" / named("a") / "a").write_text("aab")
    with pytest.raises(ContentCorrupt, match='file integrity checksum failed for "a"'):
        list(graph.layer_tar(named("a")))


DAMAGES = {
    "empty": b"",
    "no gzip": b"no gzip",
    "no json": gzip.compress(b"no json\n", mtime=0),
    "cut": gzip.compress(b"{}", mtime=0)[:-9],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_damaged_tar_data_is_told(root: Path, graph: DiskGraph, damage: bytes) -> None:
    register(graph, "a")
    (root / "graph" / named("a") / "tar-data.json.gz").write_bytes(damage)
    with pytest.raises(ContentCorrupt):
        list(graph.layer_tar(named("a")))


def test_delete_prefix_a_short_id_is_looked_up_and_deleted(graph: DiskGraph) -> None:
    register(graph, "a")
    graph.delete(graph.lookup(named("a")[:12]))
    assert graph.ids() == []


def test_delete_counts_and_the_same_id_can_come_back(root: Path, graph: DiskGraph) -> None:
    stack(graph, ["a", "b"])
    register(graph, "c")
    graph.delete(named("b"))
    assert len(graph.ids()) == 2
    with pytest.raises(ContentMissing) as error:
        graph.delete(named("b"))
    assert error.value.what == f"no such id: {named('b')}"
    assert not (root / "vfs/dir" / named("b")).exists()
    register(graph, "b", "a")
    graph.delete(named("b"))
    graph.delete(named("c"))
    assert graph.ids() == [named("a")]
    assert left_in(root) == []


def test_an_image_with_children_stays(graph: DiskGraph) -> None:
    base, _ = stack(graph, ["base", "top"])
    with pytest.raises(StoreBusy, match="has children") as error:
        graph.delete(base)
    assert error.value.got == named("top")[:12]
    assert graph.has(base)


def test_an_image_that_is_held_stays_until_it_is_let_go(root: Path, graph: DiskGraph) -> None:
    register(graph, "a")
    other = graph_at(root)
    with other.holding([named("a"), named("a"), named("not here yet")]):
        with other.holding([named("a")]):
            pass
        with pytest.raises(StoreBusy, match="in use"):
            graph.delete(named("a"))
    graph.delete(named("a"))
    assert left_in(root) == []


def test_an_error_of_a_holder_is_its_own(graph: DiskGraph) -> None:
    with pytest.raises(FileNotFoundError), graph.holding([named("a")]):
        Path("/nowhere/at/all").read_bytes()


def test_by_parent_two_children_of_one_image(graph: DiskGraph) -> None:
    base = register(graph, "base")
    children = sorted([register(graph, "one", "base"), register(graph, "two", "base")])
    assert graph.by_parent() == {base: children}
    assert graph.heads() == children


def test_by_parent_an_image_that_is_another_now_has_its_own_parent(root: Path, graph: DiskGraph) -> None:
    base, child = stack(graph, ["base", "child"])
    assert graph.by_parent() == {base: [child]}
    other = graph_at(root)
    other.delete(child)
    assert graph.by_parent() == {}
    plant(root, "child", "child")
    assert graph.by_parent() == {child: [child]}


def test_an_image_whose_parent_is_gone_is_nobodys_child(graph: DiskGraph) -> None:
    base, top = stack(graph, ["base", "top"])
    graph.delete(base, orphaning=True)
    assert graph.by_parent() == {}
    assert graph.heads() == [top]


def test_the_line_of_an_image_ends_at_its_base(graph: DiskGraph) -> None:
    ids = stack(graph, ["a", "b", "c"])
    assert [image.image_id for image in graph.line(ids[-1])] == ids[::-1]


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_g3_a_parent_cycle_is_refused(root: Path, graph: DiskGraph, names: list[str]) -> None:
    for name, parent in zip(names, [*names[1:], names[0]], strict=True):
        plant(root, name, parent)
    for ask in (graph.line, graph.generate_v1_compatibility):
        with pytest.raises(ContentCorrupt, match="its own ancestor"):
            ask(named(names[0]))
    assert graph.heads() == []
    assert set(graph.by_parent()) == set(graph.ids())


def test_an_image_without_a_tree_is_invisible(root: Path, graph: DiskGraph) -> None:
    register(graph, "a")
    (root / "vfs/dir" / named("a")).rename(root / "gone")
    assert graph.ids() == []
    assert not graph.has(named("a"))
    with pytest.raises(ContentMissing) as error:
        graph.get(named("a"))
    assert error.value.what == f"could not find image: no such id: {named('a')}"


def test_what_is_found_of_a_damaged_image_is_replaced_when_it_is_registered(root: Path, graph: DiskGraph) -> None:
    register(graph, "a")
    (root / "graph" / named("a") / "json").write_bytes(b"{")
    assert not graph.has(named("a"))
    register(graph, "a")
    assert graph.get(named("a")).config.startswith(b'{"id"')
    assert left_in(root) == []


def test_a_size_that_is_not_kept_is_measured_and_kept(root: Path, graph: DiskGraph) -> None:
    stack(graph, ["base", "top"])
    kept = root / "graph" / named("top") / "layersize"
    for text in (None, "-1", "-5"):
        kept.unlink()
        if text is not None:
            kept.write_text(text)
        image = graph.get(named("top"))
        assert (image.size, image.image.size, kept.read_text()) == (9, 9, "9")


@pytest.mark.parametrize("text", ["x", "", "1 ", "9223372036854775808", "1" * 300, "0x10"])
def test_a_size_that_is_no_number_is_damage(root: Path, graph: DiskGraph, text: str) -> None:
    register(graph, "a")
    (root / "graph" / named("a") / "layersize").write_text(text)
    with pytest.raises(ContentCorrupt, match=r"strconv\.ParseInt"):
        graph.get(named("a"))


def test_lookup_takes_the_one_id_that_begins_so(root: Path, graph: DiskGraph) -> None:
    for image_id in ("ab" + "0" * 62, "ab" + "1" * 62):
        image = V1Image.decode(b'{"id":"%s","created":"2015-01-02T03:04:05Z"}' % image_id.encode())
        graph.register(NewImage(image_id, "", image=image), None, quiet)
    (root / "graph" / ("abc" + "0" * 61)).mkdir()  # no tree
    assert graph.lookup("ab1") == "ab" + "1" * 62
    for prefix, kind, said in (
        ("ab", InvalidReference, "Multiple IDs found with provided prefix"),
        ("", InvalidReference, "Prefix can't be empty"),
        ("abc", ContentMissing, "no such id: abc"),
        ("_tmp", ContentMissing, "no such id: _tmp"),
    ):
        with pytest.raises(kind) as error:
            graph.lookup(prefix)
        assert error.value.what == f"could not find image: {said}"


def test_a_checksum_is_replaced_and_a_tarsum_kept_beside_it(root: Path, graph: DiskGraph) -> None:
    register(graph, "a")
    assert graph.tarsum(named("a")) is None
    for checksum in ("sha256:1", "sha256:22"):
        graph.set_checksum(named("a"), checksum)
        assert graph.get(named("a")).checksum == checksum
    graph.set_tarsum(named("a"), "tarsum.v1+sha256:00")
    assert graph.tarsum(named("a")) == "tarsum.v1+sha256:00"
    assert stat.S_IMODE((root / "graph" / named("a") / "checksum").stat().st_mode) == 0o600
    assert b"tarsum" not in graph.get(named("a")).config


def test_texts_are_generated_for_an_image_and_all_below_it_once(root: Path, graph: DiskGraph) -> None:
    ids = stack(graph, ["a", "b"])
    text = graph.generate_v1_compatibility(ids[1])
    assert json.loads(text)["parent"] == ids[0]
    assert json.loads(text)["Size"] == 3
    kept = root / "graph" / ids[0] / "v1Compatibility"
    assert json.loads(kept.read_bytes())["id"] == ids[0]
    kept.write_bytes(b'{"id":"mine"}')
    assert graph.generate_v1_compatibility(ids[0]) == b'{"id":"mine"}'


def test_what_is_stored_is_what_a_judge_asks_for(root: Path, graph: DiskGraph) -> None:
    base, top = stack(graph, ["base", "top"])
    graph.set_checksum(top, "sha256:" + hashlib.sha256(b"").hexdigest() + "\n")
    stored = graph.stored(top)
    assert stored is not None
    assert (stored.parent, stored.v1_compatibility) == (base, None)
    assert stored.checksum is not None
    assert stored.checksum.endswith("\n")
    assert stored.trouble == f"open {root}/graph/{top}/v1Compatibility: no such file or directory"
