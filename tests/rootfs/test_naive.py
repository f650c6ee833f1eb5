"""Any driver's layers, told apart by whole trees; and the one place where a driver's own differ is preferred."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.contracts.layers import LayerBlob, Told, Unpacked
from puller.errors import ContentMissing, StoreError
from puller.model.change import Change
from puller.rootfs.crew import InProcess
from puller.rootfs.manner import Manner
from puller.rootfs.naive import NaiveDiffer, differ_for
from puller.rootfs.shelf import Shelf
from puller.rootfs.vfs import TREE, VfsDriver
from tests.rootfs.jobs import quiet
from tests.rootfs.layering import SMALL, file, folder, hardlink, layer, open_files
from tests.rootfs.portrait import portrait
from tests.rootfs.stacked import blob_of, name_of, put_all
from tests.rootfs.trees import told

LOWEST = layer(folder("d", mtime=5), file("d/a", "1", mtime=5), file("b", "22"), folder("e", mtime=5))
UPPER = layer(folder("d", mtime=6), file("d/.wh.a"), file("d/c", "333"), hardlink("d/z", "d/c"), folder("e", mtime=7))
STACK = (LOWEST, UPPER)
ONE, BOTH = name_of(STACK[:1]), name_of(STACK)


@pytest.fixture
def driver(tmp_path: Path) -> VfsDriver:
    found = VfsDriver(Shelf(tmp_path / "layers", "vfs", TREE, durable=False), InProcess(Manner(limits=SMALL)))
    put_all(found, STACK)
    return found


def test_what_a_layer_changes_is_told_by_its_trees(driver: VfsDriver) -> None:
    found = NaiveDiffer(driver).changes(BOTH, ONE)
    assert told(found) == ["C /d mtime", "D /d/a", "A /d/c", "A /d/z"]


def test_upon_nothing_all_is_added(driver: VfsDriver) -> None:
    assert [str(change) for change in NaiveDiffer(driver).changes(ONE, None)] == [
        "A /",
        "A /b",
        "A /d",
        "A /d/a",
        "A /e",
    ]


def test_a_layer_differs_from_itself_in_nothing(driver: VfsDriver) -> None:
    assert NaiveDiffer(driver).changes(BOTH, BOTH) == []


def test_sizes_count_files_once(driver: VfsDriver) -> None:
    differ = NaiveDiffer(driver)
    assert (differ.size(BOTH, ONE), differ.size(ONE, None), differ.size(BOTH, BOTH)) == (3, 3, 0)


def test_a_difference_applied_again_gives_the_same_tree_with_all_times(driver: VfsDriver) -> None:
    differ = NaiveDiffer(driver)
    again = name_of((LOWEST, b"again"))
    with blob_of(b"".join(differ.diff(BOTH, ONE))) as blob:
        differ.apply(again, ONE, blob, quiet)
    assert portrait(driver.path(again)) == portrait(driver.path(BOTH))


def test_trees_are_open_until_the_difference_is_read_or_given_up(driver: VfsDriver) -> None:
    files = open_files()
    chunks = NaiveDiffer(driver).diff(BOTH, ONE)
    assert open_files() == files
    list(chunks)
    assert open_files() == files
    chunks = NaiveDiffer(driver).diff(BOTH, ONE)
    next(chunks)
    assert len(open_files()) > len(files)
    del chunks
    assert open_files() == files


def test_a_layer_that_is_not_here_is_missing(driver: VfsDriver) -> None:
    with pytest.raises(ContentMissing):
        NaiveDiffer(driver).changes("0" * 64, ONE)


def test_a_tree_that_cannot_be_opened_is_an_error_of_the_store(driver: VfsDriver, tmp_path: Path) -> None:
    driver.path(BOTH).rename(tmp_path / "away")
    with pytest.raises(StoreError):
        NaiveDiffer(driver).changes(BOTH, ONE)


class Native(VfsDriver):
    """A driver that tells its layers apart itself."""

    def changes(self, layer: str, parent: str | None) -> list[Change]:
        return []

    def diff(self, layer: str, parent: str | None) -> Iterator[bytes]:
        return iter(())

    def apply(self, layer: str, parent: str | None, blob: LayerBlob, told: Told) -> Unpacked:
        return Unpacked(0, 0, ())

    def size(self, layer: str, parent: str | None) -> int:
        return 0


def test_a_driver_that_is_a_differ_is_used_as_it_is(tmp_path: Path) -> None:
    native = Native(Shelf(tmp_path, "vfs", TREE, durable=False), InProcess(Manner()))
    found: object = differ_for(native)
    assert found is native


def test_any_other_gets_a_naive_one(driver: VfsDriver) -> None:
    assert isinstance(differ_for(driver), NaiveDiffer)
