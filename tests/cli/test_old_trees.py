"""`puller export`, `changes`, `unpack` and `mount` on images of a graph: pulled, loaded, or left by an old Docker."""

import json
import os
from pathlib import Path

import pytest

from testregistry import TestRegistry, images
from testregistry.layers import Device, Directory, File, Hardlink, Symlink
from tests.cli.conftest import Puller
from tests.cli.mounting import mounted
from tests.cli.picture import PLATFORM
from tests.cli.test_old_world import BASE_ID, DERIVED_ID, built
from tests.ops.old_world import tar_of
from tests.rootfs.old_docker import DRIVERS, OldImage, legacy_config, old_root

pytestmark = pytest.mark.slow  # many small tests: for `make test`

LOW = images.layer(
    {
        "etc": Directory(0o711, mtime=7),
        "etc/shadow": File(b"secret\n", 0o640, 0, 42, 1_000_000),
        "etc/gone": b"gone",
        "bin/su": File(b"#!su\n", 0o4755, 0, 0, 5),
        "bin/sudo": Hardlink("bin/su"),
        "home/me": Directory(0o700, 1000, 1000, 9),
        "home/me/file": File(b"mine" * 3000, 0o600, 1000, 1000, 9),
        "full/of": b"things",
        "sh": Symlink("bin/su"),
    }
)
HIGH = images.layer(
    {
        "etc/.wh.gone": b"",
        "full/.wh..wh..opq": b"",
        "full/new": File(b"new\n", 0o644, 7, 7, 11),
        "home/me/file": File(b"yours", 0o600, 1000, 1000, 10),
    }
)
NULL = images.layer({"dev/null": Device("c", 1, 3)})
OLD = images.schema1(LOW, HIGH, NULL)
NEW = images.image(LOW, HIGH, NULL, platform=PLATFORM)
IDS = ["1" * 64, "2" * 64, "3" * 64]


@pytest.fixture
def docker(tmp_path: Path, driver: str) -> Path:
    """What a Docker 1.9 left, with the same layers."""
    parents = [None, *IDS]
    lines = [
        OldImage(image_id, parent, legacy_config(image_id, parent), tar_of(layer))
        for image_id, parent, layer in zip(IDS, parents, (LOW, HIGH, NULL), strict=False)
    ]
    return old_root(tmp_path / "docker", driver, lines, {"old": {"1": IDS[2]}})


def exported(puller: Puller, text: str, folder: Path, *words: str) -> bytes:
    """The archive of an image's tree."""
    end = puller("export", text, "-o", str(folder / "tree.tar"), *words)
    assert end.code == 0, end.err
    return (folder / "tree.tar").read_bytes()


def pulled(puller: Puller, registry: TestRegistry) -> tuple[str, str]:
    """The names of the old image and of that of today with the same layers, both here."""
    registry.add("old:1", OLD)
    registry.add("new:1", NEW)
    names = registry.name("old:1"), registry.name("new:1")
    end = puller("pull", *names)
    assert end.code == 0, end.err
    registry.journal.clear()
    return names


def id_of(puller: Puller, name: str) -> str:
    """The ID of a graph image."""
    image_id = json.loads(puller("inspect", name).out)["image_id"]
    assert isinstance(image_id, str)
    return image_id


def facts(folder: Path) -> dict[str, tuple[int, int, int, int, bytes]]:
    """Mode, owner, time and content of all below a directory."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(folder))] = (state.st_mode, state.st_uid, state.st_gid, state.st_mtime_ns, content)
    return found


def test_an_old_image_is_exported_as_one_of_today_with_the_same_layers(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    old, new = pulled(puller, registry)
    archive = exported(puller, old, tmp_path)
    assert archive == exported(puller, new, tmp_path)
    assert registry.journal.requests == []
    image_id = id_of(puller, old)
    assert {exported(puller, text, tmp_path) for text in (image_id, image_id[:6], f"sha256:{image_id}")} == {archive}


def test_an_old_image_and_one_of_today_with_the_same_layers_differ_in_nothing(
    puller: Puller, registry: TestRegistry
) -> None:
    old, new = pulled(puller, registry)
    for one, other in ((old, new), (new, old), (id_of(puller, old)[:8], new)):
        end = puller("changes", "--strict", one, other)
        assert (end.code, end.out) == (0, ""), end.err


def test_what_two_old_images_differ_in_is_listed(puller: Puller, registry: TestRegistry) -> None:
    old, _ = pulled(puller, registry)
    below = json.loads(puller("inspect", old).out)["chain"][1]
    end = puller("changes", below, old)
    assert [line for line in end.out.splitlines() if line.startswith(("A", "D"))] == ["A /dev", "A /dev/null"]


def test_unpack_makes_the_same_of_an_old_image(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    old, new = pulled(puller, registry)
    for number, text in enumerate((old, new, id_of(puller, old)[:7])):
        end = puller("unpack", text, str(tmp_path / str(number)), "--json")
        assert end.code == 0, end.err
    trees = [facts(tmp_path / str(number)) for number in range(3)]
    assert trees[0] == trees[1] == trees[2]
    sidecars = [(tmp_path / f"{number}.altered.jsonl").read_bytes() for number in range(3)]
    assert sidecars[0] == sidecars[1] == sidecars[2] != b""
    assert puller("changes", "--strict", old, str(tmp_path / "0")).out == ""
    assert registry.journal.requests == []


def test_unpack_gives_an_old_image_s_files_to_those_it_is_told(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    old, _ = pulled(puller, registry)
    maps = ("--uid-map", "0:100000:65536", "--gid-map", "0:200000:65536")
    assert puller("unpack", old, str(tmp_path / "root"), *maps).code == 0
    state = (tmp_path / "root/home/me/file").stat()
    assert (state.st_uid, state.st_gid) == (101000, 201000)


def test_a_loaded_image_and_its_id_are_as_good_as_any(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    end = puller("load", str(built(tmp_path, "app:base", "app:derived")))
    assert end.code == 0, end.err
    assert exported(puller, "app:derived", tmp_path) == exported(puller, DERIVED_ID[:5], tmp_path)
    before = set((tmp_path / "home/store/blobs").rglob("*"))
    for text in (BASE_ID, "app:base"):
        assert puller("unpack", text, str(tmp_path / text[:8])).code == 0
        assert (tmp_path / text[:8] / "etc/motd").is_file()
    assert set((tmp_path / "home/store/blobs").rglob("*")) == before, "put together only to be unpacked"


def test_an_imported_tree_comes_out_as_it_went_in(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    _, new = pulled(puller, registry)
    archive = exported(puller, new, tmp_path)
    (tmp_path / "in.tar").write_bytes(archive)
    end = puller("import", str(tmp_path / "in.tar"), "imported:1")
    assert end.code == 0, end.err
    assert exported(puller, "imported:1", tmp_path) == archive
    assert puller("changes", "--strict", new, "imported:1").out == ""


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_verb_reads_what_an_old_docker_left(
    puller: Puller, registry: TestRegistry, docker: Path, tmp_path: Path, driver: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes trees as Docker did")
    _, new = pulled(puller, registry)
    graph = ("--graph", str(docker))
    before = facts(docker / driver)
    # What made these trees for the test set no times of links and directories, and lost a bit of a mode.
    own = {"vfs": docker / "vfs/dir" / IDS[2], "overlay": docker / "overlay" / IDS[2] / "root"}.get(driver, new)
    for text in ("old:1", IDS[2][:4]):
        end = puller("changes", "--strict", text, str(own), *graph)
        assert (end.code, end.out) == (0, ""), end.err
    assert exported(puller, IDS[2], tmp_path, *graph)
    end = puller("unpack", "old:1", str(tmp_path / "root"), *graph)
    assert end.code == 0, end.err
    assert puller("changes", "--strict", str(tmp_path / "root"), new).out == ""
    with mounted(puller, "old:1", tmp_path / "shown", *graph) as shown:
        assert (shown / "home/me/file").read_bytes() == b"yours"
        assert not (shown / "etc/gone").exists()
        assert [path.name for path in (shown / "full").iterdir()] == ["new"]
    assert facts(docker / driver) == before


def test_a_pull_for_an_old_image_that_is_nowhere_goes_to_the_graph(
    puller: Puller, registry: TestRegistry, home: Path, tmp_path: Path
) -> None:
    registry.add("old:1", OLD)
    name = registry.name("old:1")
    end = puller("unpack", name, str(tmp_path / "root"))
    assert end.code == 0, end.err
    assert (tmp_path / "root/home/me/file").read_bytes() == b"yours"
    assert len(list((home / "store/graph").glob("?" * 64))) == 3
    asked = len(registry.journal)
    assert exported(puller, name, tmp_path)
    assert len(registry.journal) == asked


def test_an_old_image_of_which_only_blobs_are_here_is_registered_first(
    puller: Puller, registry: TestRegistry, home: Path, tmp_path: Path
) -> None:
    registry.add("old:1", OLD)
    name = registry.name("old:1")
    assert puller("pull", name, "--no-unpack").code == 0
    assert not (home / "store/graph").exists()
    digest = json.loads(puller("inspect", name).out)["digest"]
    assert exported(puller, name, tmp_path)
    assert len(list((home / "store/graph").glob("?" * 64))) == 3
    assert exported(puller, digest, tmp_path)


def test_an_id_that_nothing_has_is_told_as_one(puller: Puller, tmp_path: Path) -> None:
    end = puller("export", "f" * 64, "-o", str(tmp_path / "a.tar"))
    assert end.code == 1
    assert "there is no image of this name or ID" in end.err


def test_an_image_of_today_is_found_by_its_id_too(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    _, new = pulled(puller, registry)
    image_id = NEW.config.digest.removeprefix("sha256:")
    assert exported(puller, image_id[:9], tmp_path) == exported(puller, new, tmp_path)
    end = puller("unpack", image_id, str(tmp_path / "root"), "-q")
    assert end.code == 0, end.err
    assert end.out.startswith(f"unpacked {image_id} into {tmp_path / 'root'}  3 layers, ")


def test_a_mounted_old_image_is_not_removed(puller: Puller, registry: TestRegistry, home: Path, tmp_path: Path) -> None:
    old, _ = pulled(puller, registry)
    image_id = id_of(puller, old)
    with mounted(puller, image_id[:10], tmp_path / "shown") as shown:
        for text in (old, image_id):
            end = puller("rm", text)
            assert (end.code, "the image is mounted" in end.err, "puller umount" in end.err) == (1, True, True)
        assert puller("gc").code == 0
        assert (shown / "home/me/file").read_bytes() == b"yours"
        assert puller("mount", old, str(shown)).code == 2
        assert puller("tag", old, "other:1").code == 0
        assert puller("rm", "other:1").code == 0
    assert puller("rm", old).code == 0
    assert not (home / "store/vfs/dir" / image_id).exists()


def test_a_mount_of_an_image_s_parent_keeps_the_parent(
    puller: Puller, registry: TestRegistry, home: Path, tmp_path: Path
) -> None:
    old, _ = pulled(puller, registry)
    base = json.loads(puller("inspect", old).out)["chain"][-1]
    with mounted(puller, base, tmp_path / "shown") as shown:
        assert puller("rm", old).code == 0
        assert (shown / "etc/gone").read_bytes() == b"gone"
        assert (home / "store/vfs/dir" / base).exists()
    assert puller("rm", base).code == 0
    assert not (home / "store/vfs/dir" / base).exists()
