"""Which driver a directory shows, of those that a Docker 1.9 left; and that looking changes nothing."""

from pathlib import Path

import pytest

from puller.errors import InvalidConfig, StoreError, Unsupported
from puller.rootfs.crew import InProcess
from puller.rootfs.graphdriver import driver_at
from puller.rootfs.manner import Manner
from tests.rootfs.layering import census, file, layer
from tests.rootfs.old_docker import DRIVERS, line_of, old_root

UNPACKER = InProcess(Manner())
BASE = layer(file("a", "1"))
IMAGE = line_of(BASE)[0]
UNREADABLE = {
    "devicemapper": "devicemapper/metadata",
    "btrfs": "btrfs/subvolumes",
    "zfs": "zfs/graph",
    "overlay2": "overlay2",
}


def found(root: Path) -> str:
    """The driver's name."""
    before = census(root) if root.exists() else None
    try:
        return driver_at(root, UNPACKER).name
    finally:
        assert (census(root) if root.exists() else None) == before


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_readable_driver_is_known_and_vfs_alone_is_written(driver: str, tmp_path: Path) -> None:
    root = old_root(tmp_path, driver, [IMAGE])
    assert found(root) == driver
    assert driver_at(root, UNPACKER).is_writable == (driver == "vfs")


@pytest.mark.parametrize("driver", DRIVERS)
def test_names_or_trees_alone_show_a_driver(driver: str, tmp_path: Path) -> None:
    root = old_root(tmp_path / "trees", driver, [IMAGE])
    (root / f"repositories-{driver}").unlink()
    assert found(root) == driver
    assert found(old_root(tmp_path / "names", driver, [])) == driver


def test_a_directory_that_shows_none_is_one_of_ours(tmp_path: Path) -> None:
    assert found(tmp_path / "absent/deeper") == "vfs"
    assert not (tmp_path / "absent").exists()
    assert found(tmp_path) == "vfs"
    for name in ("blobs/sha256", "layers/overlay", "graph/_tmp", "overlay", "aufs/diff", "devicemapper"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "index.json").touch()
    assert found(tmp_path) == "vfs"


@pytest.mark.parametrize("driver", UNREADABLE)
def test_a_driver_that_cannot_be_read_is_refused_with_a_way_out(driver: str, tmp_path: Path) -> None:
    (tmp_path / UNREADABLE[driver] / IMAGE.image_id).mkdir(parents=True)
    with pytest.raises(Unsupported, match=driver) as caught:
        found(tmp_path)
    assert "docker save" in caught.value.hint


@pytest.mark.parametrize("driver", UNREADABLE)
def test_its_names_are_enough_for_that(driver: str, tmp_path: Path) -> None:
    (tmp_path / f"repositories-{driver}").touch()
    with pytest.raises(Unsupported, match=driver):
        found(tmp_path)


def test_a_newer_docker_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "image/vfs/imagedb").mkdir(parents=True)
    (tmp_path / "vfs/dir" / IMAGE.image_id).mkdir(parents=True)
    with pytest.raises(Unsupported, match=r"1\.10") as caught:
        found(tmp_path)
    assert "docker save" in caught.value.hint


def test_of_two_the_one_counts_that_has_names_and_the_images_trees(tmp_path: Path) -> None:
    root = old_root(tmp_path, "overlay", [IMAGE])
    (root / "aufs/diff/stray").mkdir(parents=True)
    (root / "repositories-aufs").touch()
    (root / "repositories-devicemapper").touch()
    assert found(root) == "overlay"


def test_two_that_could_be_meant_are_both_named(tmp_path: Path) -> None:
    for driver in ("vfs", "aufs"):
        old_root(tmp_path / driver, driver, [IMAGE])
    (tmp_path / "aufs/aufs").rename(tmp_path / "vfs/aufs")
    (tmp_path / "vfs/repositories-aufs").touch()
    with pytest.raises(InvalidConfig, match="several") as caught:
        found(tmp_path / "vfs")
    assert caught.value.got == "aufs, vfs"


def test_h1_planted_links_show_no_driver(tmp_path: Path) -> None:
    outside = old_root(tmp_path / "outside", "aufs", [IMAGE])
    root = tmp_path / "root"
    (root / "aufs").mkdir(parents=True)
    (root / "repositories-aufs").symlink_to(outside / "repositories-aufs")
    (root / "aufs/diff").symlink_to(outside / "aufs/diff")
    (root / "overlay").symlink_to(outside / "aufs/diff")
    assert found(root) == "vfs"


@pytest.mark.parametrize("driver", ["overlay", "aufs"])
def test_a_driver_that_is_only_read_says_so(driver: str, tmp_path: Path) -> None:
    trees = driver_at(old_root(tmp_path, driver, [IMAGE]), UNPACKER)
    before = census(tmp_path)
    for call in (lambda: trees.make("2" * 64, None, None, lambda read: None), lambda: trees.remove(IMAGE.image_id)):
        with pytest.raises(Unsupported, match=f"{driver} driver can only be read") as caught:
            call()
        assert "docker save" in caught.value.hint
    trees.sweep()
    assert trees.diff_id(IMAGE.image_id) is None
    assert census(tmp_path) == before


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_directory_itself_may_be_a_link(driver: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(old_root(tmp_path / "real", driver, [IMAGE]))
    assert driver_at(tmp_path / "link", UNPACKER).has(IMAGE.image_id)


def test_a_file_in_place_of_the_directory_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    trees = driver_at(tmp_path / "file", UNPACKER)
    assert not trees.has(IMAGE.image_id)
    with pytest.raises(StoreError):
        trees.make(IMAGE.image_id, None, None, lambda read: None)
