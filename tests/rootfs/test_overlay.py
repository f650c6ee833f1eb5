"""The driver of layers as overlayfs wants them."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings

from puller.contracts.layers import Differ, Unseatable
from puller.errors import PullerError, Unsupported
from puller.rootfs.crew import Crew, InProcess
from puller.rootfs.manner import Manner
from puller.rootfs.overlay import DIFF, OverlayDriver
from puller.rootfs.powers import Powers
from puller.rootfs.shelf import Shelf
from puller.rootfs.sidecar import read_sidecar
from tests.contracts.driver import DriverSuite, everything
from tests.rootfs.layering import DIR, SMALL, file, folder, hardlink, layer, symlink, words
from tests.rootfs.portrait import portrait
from tests.rootfs.stacked import put_all
from tests.rootfs.stacks import STACKS, Stack, archives_of
from tests.rootfs.stories import STORIES, Story
from tests.rootfs.test_merge import flattened

POWERS = Powers.of_this_process()


def overlay(root: Path, powers: Powers = POWERS) -> OverlayDriver:
    return OverlayDriver(Shelf(root, "overlay", DIFF, durable=False), InProcess(Manner(limits=SMALL)), powers)


@pytest.fixture
def root(scratch: Path) -> Path:
    return scratch / "layers"


@pytest.fixture
def driver(root: Path) -> OverlayDriver:
    driver = overlay(root)
    reason = driver.unusable_because()
    if reason is not None:
        pytest.skip(f"no overlay driver here: {reason}")
    return driver


@pytest.fixture
def mounting(driver: OverlayDriver) -> OverlayDriver:
    """The driver where this machine can also show its trees."""
    top = put_all(driver, [layer(file("trial"))])
    try:
        with driver.mounted(top):
            pass
    except Unsupported as error:
        pytest.skip(str(error))
    driver.remove(top)
    return driver


def test_a_directory_without_an_entry_keeps_what_is_told_of_it_below(driver: OverlayDriver) -> None:
    late = 10**12  # a time that no disk holds
    top = put_all(
        driver, [layer(folder("d", mtime=late), folder("e", mtime=late)), layer(file("d/f")), layer(file("d/g"))]
    )
    told = [(line.path, line.what, line.value) for line in read_sidecar(driver.sidecar(top))]
    assert told == [(b"d", "mtime", str(late * 10**9))]


class TestOverlay(DriverSuite):
    """All that drivers promise."""


def test_jailed_processes_unpack_as_this_one_does(driver: OverlayDriver, root: Path) -> None:
    stack = [layer(folder("d"), file("d/x"), file("y")), layer(file("d/z"), file(".wh.y"), file("d/.wh..wh..opq"))]
    with Crew(Manner(limits=SMALL)) as crew:
        jailed = OverlayDriver(Shelf(root.parent / "jailed", "overlay", DIFF), crew, POWERS)
        tops = put_all(jailed, stack), put_all(driver, stack)
        assert portrait(jailed.path(tops[0])) == portrait(driver.path(tops[1]))
        with pytest.raises(Unseatable):
            put_all(jailed, [layer(file("a", "1")), layer(hardlink("b", "a"))])


def test_it_tells_its_layers_apart_itself(driver: OverlayDriver) -> None:
    assert isinstance(driver, Differ)


@pytest.mark.parametrize("story", [s for s in STORIES if s.layers and s.alone], ids=lambda story: story.name)
def test_a_mounted_stack_is_the_tree_of_the_specification(story: Story, mounting: OverlayDriver) -> None:
    with mounting.mounted(put_all(mounting, story.layers)) as tree:
        assert words(tree) == story.tree


@pytest.mark.parametrize("story", [s for s in STORIES if not s.alone], ids=lambda story: story.name)
def test_a_layer_that_cannot_stand_alone_is_refused_and_leaves_nothing(
    story: Story, driver: OverlayDriver, root: Path
) -> None:
    with pytest.raises(Unseatable):
        put_all(driver, story.layers)
    assert everything(root / "staging") == []


def test_the_directories_are_the_nearest_first_and_none_below_an_opaque_root(driver: OverlayDriver) -> None:
    stack = [layer(file("a")), layer(file("b"), file(".wh..wh..opq")), layer(file("c"))]
    top = put_all(driver, stack)
    parent = driver.parent(top)
    assert parent is not None
    assert driver.lower(top) == [driver.path(top), driver.path(parent)]


def test_marks_of_the_user_namespace_need_the_option_and_are_heard_with_it(mounting: OverlayDriver, root: Path) -> None:
    driver = overlay(root.parent / "user", Powers())
    top = put_all(driver, [layer(folder("d"), file("d/x")), layer(file("d/y"), file("d/.wh..wh..opq"))])
    assert os.listxattr(driver.path(top) / "d") == ["user.overlay.opaque"]
    assert driver.needs_userxattr(top)
    with driver.mounted(top) as tree:
        assert words(tree) == {"d": DIR, "d/y": "''"}


def test_a_mounted_tree_is_read_only_and_gone_afterwards(mounting: OverlayDriver) -> None:
    top = put_all(mounting, [layer(file("a", "1"))])
    with mounting.mounted(top) as tree:
        with pytest.raises(OSError, match="Read-only"):
            (tree / "a").write_text("2")
        assert str(mounting.path(top)) not in Path("/proc/self/mountinfo").read_text()
        kept = tree
    assert not (kept / "a").exists()


def test_an_image_of_127_layers_can_be_mounted(mounting: OverlayDriver) -> None:
    top = put_all(mounting, [layer(file(f"f{number}", str(number))) for number in range(127)])
    with mounting.mounted(top) as tree:
        assert len(list(tree.iterdir())) == 127


def test_a_place_without_what_it_needs_is_told(scratch: Path) -> None:
    (scratch / "layers").write_text("no directory")
    assert overlay(scratch / "layers").unusable_because() is not None


def test_a_trial_leaves_nothing(driver: OverlayDriver, root: Path) -> None:
    assert driver.unusable_because() is None
    assert everything(root) == ["overlay", "staging"]


def test_a_layer_through_a_lower_link_is_refused_before_anything_is_changed(driver: OverlayDriver) -> None:
    with pytest.raises(Unseatable, match="link"):
        put_all(driver, [layer(folder("real"), symlink("l", "real")), layer(file("l/f", "1"))])
    assert len(driver.layers()) == 1


def test_a_hard_link_to_a_lower_file_is_refused(driver: OverlayDriver) -> None:
    with pytest.raises(Unseatable, match="files of the layers below"):
        put_all(driver, [layer(file("a", "1")), layer(hardlink("b", "a"))])


@pytest.mark.slow
@given(STACKS)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_random_stacks_mounted_are_the_same_as_flattened(mounting: OverlayDriver, root: Path, stack: Stack) -> None:
    archives = archives_of(stack)
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(root.parent / "flat", ignore_errors=True)
    with suppress(Unseatable):
        try:
            expected = flattened(root.parent / "flat", archives)
        except PullerError:
            assume(False)
        with mounting.mounted(put_all(mounting, archives)) as tree:
            assert portrait(tree) == expected
