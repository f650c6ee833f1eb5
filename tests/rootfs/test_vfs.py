"""The driver of whole trees."""

from pathlib import Path

import pytest

from puller.errors import InvalidArchive
from puller.rootfs.crew import Crew, InProcess
from puller.rootfs.manner import Manner
from puller.rootfs.shelf import Shelf
from puller.rootfs.vfs import TREE, VfsDriver
from tests.contracts.driver import ONE, DriverSuite, everything
from tests.rootfs.layering import DIR, SMALL, file, folder, hardlink, layer, symlink, words
from tests.rootfs.portrait import portrait
from tests.rootfs.stacked import put, put_all
from tests.rootfs.stories import STORIES, Story


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "layers"


@pytest.fixture
def driver(root: Path) -> VfsDriver:
    return VfsDriver(Shelf(root, "vfs", TREE, durable=False), InProcess(Manner(limits=SMALL)))


class TestVfs(DriverSuite):
    """All that drivers promise."""


@pytest.mark.parametrize("story", [story for story in STORIES if story.layers], ids=lambda story: story.name)
def test_any_stack_gives_the_tree_of_the_specification(story: Story, driver: VfsDriver) -> None:
    assert words(driver.path(put_all(driver, story.layers))) == story.tree


def test_a_layer_that_needs_the_lower_tree_is_applied_to_it(driver: VfsDriver) -> None:
    top = put_all(driver, [layer(file("a", "1")), layer(hardlink("b", "a"))])
    tree = driver.path(top)
    assert words(tree) == {"a": "'1'", "b": "'1'"}
    assert (tree / "a").stat().st_ino == (tree / "b").stat().st_ino


def test_a_layer_through_a_lower_link_is_applied_to_the_tree(driver: VfsDriver) -> None:
    top = put_all(driver, [layer(folder("real"), symlink("l", "real")), layer(file("l/f", "1"))])
    assert words(driver.path(top)) == {"real": DIR, "real/f": "'1'", "l": "link real"}


def test_a_lowest_layer_with_a_link_to_nothing_is_refused_and_leaves_nothing(driver: VfsDriver, root: Path) -> None:
    with pytest.raises(InvalidArchive, match="not there"):
        put(driver, layer(hardlink("b", "a")), ONE)
    assert everything(root / "staging") == []


def test_jailed_processes_unpack_as_this_one_does(driver: VfsDriver, root: Path) -> None:
    stack = [layer(folder("real"), symlink("l", "real"), file("a", "1")), layer(file("l/f"), hardlink("b", "a"))]
    with Crew(Manner(limits=SMALL)) as crew:
        jailed = VfsDriver(Shelf(root.parent / "jailed", "vfs", TREE), crew)
        tops = put_all(jailed, stack), put_all(driver, stack)
        assert portrait(jailed.path(tops[0])) == portrait(driver.path(tops[1]))


def test_each_tree_has_files_of_its_own(driver: VfsDriver) -> None:
    lowest = layer(file("a", "1"), hardlink("b", "a"))
    top = put_all(driver, [lowest, layer(file("x"))])
    parent = driver.parent(top)
    assert parent is not None
    below, above = (driver.path(name) / "a" for name in (parent, top))
    assert below.stat().st_ino != above.stat().st_ino
    assert above.stat().st_ino == (driver.path(top) / "b").stat().st_ino
