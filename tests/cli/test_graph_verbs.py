"""The verbs on an image graph: beside a store's content, and in the directory of an old Docker."""

import json
from pathlib import Path

import pytest

from puller.contracts.graph import NewImage
from puller.graph.graph import DiskGraph
from puller.graph.tags import DiskTagStore
from puller.legacy.v1image import V1Image
from testregistry import TestRegistry, images
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE
from tests.graph.images import archive, graph_at, named, stack
from tests.ops.old_world import MIDDLE, OLD, TOP, files_of
from tests.rootfs.old_docker import OldImage, legacy_config, old_root

pytestmark = pytest.mark.slow

OTHER = images.schema1(MIDDLE, TOP)


class Graph:
    """The graph of a store, and its names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images: DiskGraph = graph_at(root)
        self.tags = DiskTagStore(root / "repositories-vfs", self.images, durable=False)

    def named(self, name: str, image_id: str) -> None:
        repository, tag = name.split(":")
        self.tags.tag(repository, tag, image_id)


@pytest.fixture
def graph(puller: Puller, home: Path) -> Graph:
    """That of an empty store."""
    assert puller("images").code == 0
    return Graph(home / "store")


@pytest.fixture
def pulled(puller: Puller, registry: TestRegistry) -> str:
    """The name of a schema 1 image that was pulled."""
    registry.add("old:1", OLD)
    assert puller(registry.name("old:1")).code == 0
    return registry.name("old:1")


def rows(puller: Puller, *words: str) -> list[list[str]]:
    """What `images` lists, without its header."""
    return [line.split() for line in puller("images", *words).out.splitlines()[1:]]


# --- images ---


def test_images_lists_both_worlds_and_heads_without_a_name(
    puller: Puller, registry: TestRegistry, graph: Graph
) -> None:
    registry.add("app:1", IMAGE)
    assert puller(registry.name("app:1")).code == 0
    base, middle, top = stack(graph.images, ["base", "middle", "top"])
    (head,) = stack(graph.images, ["head"])
    graph.named("debian:8", top)
    graph.named("debian:base", base)
    content, *old = rows(puller)
    assert content[:3] == [registry.name("app:1"), IMAGE.config.digest[7:19], IMAGE.digest[7:19]]
    assert old == [
        ["docker.io/library/debian:8", top[:12], "-", "-", "39", "B"],
        ["docker.io/library/debian:base", base[:12], "-", "-", "12", "B"],
        ["<none>", head[:12], "-", "-", "12", "B"],
    ]
    listed = [json.loads(line) for line in puller("images", "--json").out.splitlines()]
    assert [(one["name"], one["kind"], one["image_id"]) for one in listed[1:]] == [
        ("docker.io/library/debian:8", "graph", top),
        ("docker.io/library/debian:base", "graph", base),
        (None, "graph", head),
    ]
    assert all(one.keys() == listed[0].keys() for one in listed)
    assert middle not in json.dumps(listed)


def test_images_lists_a_pulled_schema_1_image_once(puller: Puller, pulled: str) -> None:
    ((name, image_id, digest, platform, *_),) = rows(puller)
    (listed,) = [json.loads(line) for line in puller("images", "--json").out.splitlines()]
    assert (name, platform, listed["kind"]) == (pulled, "linux/amd64", "graph")
    assert listed["media_type"] == OLD.media_type
    assert (listed["image_id"][:12], listed["digest"][7:19]) == (image_id, digest)


def test_images_marks_what_is_damaged_in_the_graph(puller: Puller, graph: Graph) -> None:
    (base,) = stack(graph.images, ["base"])
    graph.named("debian:8", base)
    (graph.root / "graph" / base / "json").write_bytes(b"{")
    end = puller("images")
    assert end.code == 3
    assert "damaged" in end.out
    assert "graph check" in end.err


# --- inspect, tag ---


def test_inspect_shows_a_graph_image_by_name_and_by_id(puller: Puller, graph: Graph) -> None:
    base, top = stack(graph.images, ["base", "top"])
    graph.named("debian:8", top)
    by_name, by_id = (json.loads(puller("inspect", text).out) for text in ("debian:8", top[:6]))
    assert by_name.pop("name") == "docker.io/library/debian:8"
    assert by_name == by_id
    assert (by_id["image_id"], by_id["parent"], by_id["chain"]) == (top, base, [top, base])
    assert (by_id["size"], by_id["virtual_size"], by_id["names"]) == (9, 21, ["docker.io/library/debian:8"])
    assert by_id["config"]["id"] == top
    assert by_id["created"] == "2015-01-02T03:04:05Z"
    assert by_id["unpacked"] == {"driver": "vfs", "path": str(graph.root / "vfs/dir" / top)}
    assert (by_id["v1_compatibility"], by_id["exact_layer"]) == (False, True)
    assert puller("inspect", "--raw", top).out.encode() == graph.images.get(top).config


def test_inspect_of_a_pulled_image_shows_its_manifest_too(puller: Puller, pulled: str) -> None:
    told = json.loads(puller("inspect", pulled).out)
    manifest = told["manifest"]
    assert (manifest["media_type"], manifest["signed_digest"]) == (OLD.media_type, OLD.digest)
    assert [layer["digest"] for layer in manifest["layers"]] == [layer.digest for layer in OLD.layers]
    assert all(layer["tarsum"] and layer["present"] and layer["size"] for layer in manifest["layers"])
    assert puller("inspect", "--raw", pulled).out.encode() == OLD.raw
    assert json.loads(puller("inspect", "--raw", told["image_id"]).out) == told["config"]


def test_inspect_of_a_broken_image_says_what_is_wrong(puller: Puller, graph: Graph) -> None:
    base, top = stack(graph.images, ["base", "top"])
    (graph.root / "graph" / base / "json").write_bytes(b"{")
    assert puller("inspect", base).code == 3
    assert "broken" in json.loads(puller("inspect", top).out)


def test_tag_names_images_of_either_world_and_moves_names_between_them(
    puller: Puller, registry: TestRegistry, graph: Graph
) -> None:
    registry.add("app:1", IMAGE)
    puller(registry.name("app:1"))
    (base,) = stack(graph.images, ["base"])
    assert puller("tag", base[:8], "mine:1").out == f"docker.io/library/mine:1  {base}\n"
    assert puller("tag", IMAGE.config.digest[7:19], "mine:1").code == 0
    assert graph.tags.repositories() == {}
    assert json.loads(puller("inspect", "mine:1").out)["digest"] == IMAGE.digest
    assert puller("tag", base, "mine:1").code == 0
    assert json.loads(puller("inspect", "mine:1").out)["image_id"] == base
    assert [row[0] for row in rows(puller)] == sorted([registry.name("app:1"), "docker.io/library/mine:1"])


def test_tag_tells_a_pulled_image_by_the_digest_that_registries_know(puller: Puller, pulled: str) -> None:
    assert puller("tag", pulled, "mine:1").out == f"docker.io/library/mine:1  {OLD.digest}\n"


@pytest.mark.parametrize("name", ["scratch", "UPPER", "a" * 64, "sha256:1984", f"x@sha256:{'0' * 64}"])
def test_tag_refuses_what_no_image_may_be_called(puller: Puller, graph: Graph, name: str) -> None:
    (base,) = stack(graph.images, ["base"])
    before = files_of(graph.root)
    assert puller("tag", base, name).code == 2
    assert files_of(graph.root) == before


# --- rm, gc ---


def test_rm_removes_what_only_the_name_kept(puller: Puller, graph: Graph) -> None:
    base, middle, top = stack(graph.images, ["base", "middle", "top"])
    graph.named("debian:8", top)
    graph.named("debian:base", base)
    end = puller("rm", "debian:8")
    assert end.out.splitlines() == [
        "removed docker.io/library/debian:8  2 images, 27 B of files removed",
        f"removed image {top}",
        f"removed image {middle}",
    ]
    assert (end.code, end.err) == (0, "")
    assert graph.images.ids() == [base]


def test_rm_goes_on_after_what_it_refuses_and_says_why(puller: Puller, graph: Graph) -> None:
    base, top = stack(graph.images, ["base", "top"])
    (alone,) = stack(graph.images, ["alone"])
    end = puller("rm", base[:12], "nosuch", alone)
    assert end.code == 1
    assert end.out == f"removed {alone}  1 image, 15 B of files removed\nremoved image {alone}\n"
    assert "the image has children" in end.err
    assert top[:12] in end.err
    assert "docker.io/library/nosuch:latest" in end.err


def test_rm_of_a_pulled_image_frees_its_blobs_and_its_layers(puller: Puller, pulled: str, home: Path) -> None:
    end = puller("rm", pulled)
    assert end.code == 0
    assert end.out.startswith(f"removed {pulled}  4 blobs, ")
    assert "; 3 images, " in end.out
    assert rows(puller) == []
    assert Graph(home / "store").images.ids() == []


def test_rm_and_gc_keep_the_blobs_that_a_schema_1_manifest_needs(
    puller: Puller, registry: TestRegistry, pulled: str
) -> None:
    registry.add("other:1", OTHER)
    puller(registry.name("other:1"))
    assert puller("gc").out.startswith("0 blobs, 0 B freed;")
    assert puller("rm", registry.name("other:1")).code == 0
    assert puller("verify", "--all").code == 0
    assert [row[0] for row in rows(puller)] == [pulled]


def test_gc_keeps_images_without_a_name(puller: Puller, graph: Graph) -> None:
    ids = stack(graph.images, ["base", "top"])
    assert puller("gc").code == 0
    assert graph.images.ids() == sorted(ids)


# --- verify, graph ---


def test_verify_says_what_is_not_right_in_the_graph(puller: Puller, graph: Graph) -> None:
    base, top = stack(graph.images, ["base", "top"])
    graph.named("debian:8", top)
    assert puller("verify", "debian:8").out == "verified 2 images, 20.5 kB: all right\n"
    (graph.root / "vfs/dir" / base / "base").write_text("basebasebasf")
    for words in (["debian:8"], [top[:12]], ["--all"]):
        end = puller("verify", *words)
        assert end.code == 3
        assert f"layer {base}" in end.out
        assert end.out.endswith("verified 2 images, 10.2 kB: 1 of them not right\n")


def test_verify_of_a_pulled_image_reads_both_worlds(puller: Puller, pulled: str, home: Path) -> None:
    end = puller("verify", pulled)
    assert end.code == 0
    assert [line.split(",")[0] for line in end.out.splitlines()] == ["verified 4 blobs", "verified 3 images"]
    blob = home / "store/blobs/sha256" / OLD.layers[0].digest[7:]
    blob.chmod(0o600)
    blob.write_bytes(bytes(blob.stat().st_size))
    assert puller("verify", pulled).code == 3


def test_graph_ls_lists_every_image(puller: Puller, graph: Graph) -> None:
    base, top = stack(graph.images, ["base", "top"])
    graph.named("debian:8", top)
    header, *lines = [line.split() for line in puller("graph", "ls").out.splitlines()]
    assert header == ["IMAGE", "PARENT", "SIZE", "NAMES"]
    assert lines == sorted([[base[:12], "-", "12", "B"], [top[:12], base[:12], "9", "B", "docker.io/library/debian:8"]])
    listed = {one["image_id"]: one for one in map(json.loads, puller("graph", "ls", "--json").out.splitlines())}
    assert (listed[base]["parent"], listed[top]["parent"], listed[top]["virtual_size"]) == (None, base, 21)


def test_graph_tree_draws_which_image_stands_on_which(puller: Puller, graph: Graph) -> None:
    base, middle, top = stack(graph.images, ["base", "middle", "top"])
    side = graph.images.register(_child("side", base), None, lambda read: None).image_id
    graph.named("debian:8", top)
    graph.named("debian:base", base)
    upper = [f"{middle[:12]}  18 B", f"{top[:12]}  9 B  docker.io/library/debian:8"]
    if middle < side:
        drawn = [f"├─ {upper[0]}", f"│  └─ {upper[1]}", f"└─ {side[:12]}  0 B"]
    else:
        drawn = [f"├─ {side[:12]}  0 B", f"└─ {upper[0]}", f"   └─ {upper[1]}"]
    lines = puller("graph", "tree").out.splitlines()
    assert lines == [f"{base[:12]}  12 B  docker.io/library/debian:base", *drawn]
    told = [json.loads(line) for line in puller("graph", "tree", "--json").out.splitlines()]
    assert {one["image_id"]: one["depth"] for one in told} == {base: 0, middle: 1, side: 1, top: 2}


def test_g3_graph_tree_shows_a_cycle_once(puller: Puller, graph: Graph) -> None:
    ids = [f"{digit}" * 64 for digit in "123"]
    for image_id, parent in zip(ids, [*ids[1:], ids[0]], strict=True):
        _plant(graph.root, image_id, parent)
    lines = puller("graph", "tree").out.splitlines()
    assert sorted(line.split()[-3][:1] for line in lines) == ["1", "2", "3"]
    end = puller("graph", "check")
    assert end.code == 3
    assert [line.split()[:2] for line in end.out.splitlines()[:-1]] == [["cycle", image_id] for image_id in ids]
    assert end.out.splitlines()[-1] == "checked 3 images: 3 not right"


def test_graph_check_fills_in_tarsums(puller: Puller, graph: Graph) -> None:
    (base,) = stack(graph.images, ["base"])
    assert puller("graph", "check").out == "checked 1 image: all right\n"
    assert graph.images.tarsum(base) is None
    assert puller("graph", "check", "--tarsum").out == "checked 1 image, 10.2 kB read: all right\n"
    assert graph.images.tarsum(base) is not None
    graph.images.set_tarsum(base, "tarsum.v1+sha256:" + "ab" * 32)
    end = puller("graph", "check", "--tarsum", "--json")
    assert end.code == 3
    document = json.loads(end.out)
    assert (document["images"], [one["kind"] for one in document["findings"]]) == (1, ["tarsum"])


def test_graph_of_an_empty_store_has_nothing(puller: Puller, home: Path) -> None:
    assert puller("graph", "ls").out.split() == ["IMAGE", "PARENT", "SIZE", "NAMES"]
    assert puller("graph", "tree").out == ""
    assert puller("graph", "check", "--disk").out == "checked 0 images: all right\n"
    assert not (home / "store/graph").exists()


# --- the directory of an old Docker ---


@pytest.mark.parametrize("driver", ["vfs", "overlay", "aufs"])
def test_the_verbs_work_on_a_directory_that_an_old_docker_left(puller: Puller, tmp_path: Path, driver: str) -> None:
    base, top = "1" * 64, "2" * 64
    old = old_root(
        tmp_path / "docker",
        driver,
        [
            OldImage(base, None, legacy_config(base, None), archive(base="base")),
            OldImage(top, base, legacy_config(top, base), archive(top="top")),
        ],
        {"debian": {"8": top}},
    )
    where = ("--graph", str(old))
    assert rows(puller, *where) == [["docker.io/library/debian:8", top[:12], "-", "linux/amd64", "7", "B"]]
    told = json.loads(puller("inspect", "debian:8", *where).out)
    assert (told["chain"], told["unpacked"]["driver"]) == ([top, base], driver)
    assert Path(told["unpacked"]["path"], "top").read_text() == "top"
    assert puller("graph", "tree", *where).out.splitlines() == [
        f"{base[:12]}  4 B",
        f"└─ {top[:12]}  3 B  docker.io/library/debian:8",
    ]
    assert puller("verify", "--all", *where).code == 0
    assert puller("graph", "check", "--disk", "--tarsum", *where).code == 0
    assert puller("tag", top[:12], "mine:1", *where).code == 0
    assert rows(puller) == []
    before = {name: content for name, content in files_of(old).items() if "_tmp" not in name}
    end = puller("rm", "debian:8", *where)
    if driver == "vfs":
        assert (
            end.out
            == "removed docker.io/library/debian:8  the image stays: it has other names: docker.io/library/mine:1\n"
        )
        assert puller("rm", top, *where).out.count("removed image ") == 2
    else:
        assert end.code == 1
        assert f"images of Docker's {driver} driver can only be read" in end.err
        assert {name: content for name, content in files_of(old).items() if "_tmp" not in name} == before


def _child(name: str, parent: str) -> NewImage:
    text = json.dumps({"id": named(name), "parent": parent}).encode()
    return NewImage(named(name), parent, image=V1Image.decode(text))


def _plant(root: Path, image_id: str, parent: str) -> None:
    folder = root / "graph" / image_id
    folder.mkdir(parents=True)
    folder.joinpath("json").write_text(json.dumps({"id": image_id, "parent": parent}))
    root.joinpath("vfs/dir", image_id).mkdir(parents=True)
