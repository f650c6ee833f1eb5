"""Whiteouts and replacements, flattened and in the form of overlayfs: both must give one tree."""

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from puller.errors import InvalidArchive
from puller.rootfs.erasing import Covering
from puller.rootfs.openat2 import Opener
from puller.rootfs.powers import Powers
from tests.rootfs.layering import apply, file, folder, hardlink, layer, seated, symlink, words
from tests.rootfs.stories import STORIES, Story

POWERS = Powers.of_this_process()
NAMESPACE: Literal["trusted", "user"] = "trusted" if POWERS.trusted else "user"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_layers_flattened_give_the_tree_of_the_specification(story: Story, opener: Opener, scratch: Path) -> None:
    for archive in story.layers:
        apply(scratch, archive, opener=opener)
    assert words(scratch) == story.tree


@pytest.mark.parametrize("story", [story for story in STORIES if story.alone], ids=lambda story: story.name)
def test_layers_laid_over_each_other_give_the_same_tree(story: Story, opener: Opener, scratch: Path) -> None:
    lower = _covered(scratch, story.layers, opener)
    with _mounted(scratch, lower) as merged:
        assert words(merged) == story.tree


def _covered(scratch: Path, layers: tuple[bytes, ...], opener: Opener | None = None) -> list[Path]:
    """Each layer in a directory of its own, set on those before it; the lowest first."""
    found: list[Path] = []
    for number, archive in enumerate(layers):
        base = scratch / str(number)
        base.mkdir()
        applied = apply(base, archive, whiteouts=Covering(NAMESPACE), opener=opener)
        assert seated(base, found, applied) == ()
        found.append(base)
    return found


@contextmanager
def _mounted(scratch: Path, layers: list[Path]) -> Iterator[Path]:
    """overlayfs over these, and an empty one below, for it wants two."""
    for name in ("lowest", "merged"):
        (scratch / name).mkdir()
    lower = ":".join(str(path) for path in [*reversed(layers), scratch / "lowest"])
    options = f"lowerdir={lower}" + (",userxattr" if NAMESPACE == "user" else "")
    command = ["mount", "-t", "overlay", "-o", options, "overlay", str(scratch / "merged")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"overlayfs cannot be mounted here: {done.stderr.strip()}")
    try:
        yield scratch / "merged"
    finally:
        subprocess.run(["umount", str(scratch / "merged")], check=True)


def test_a_whiteout_becomes_the_device_that_overlayfs_knows(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("d/.wh.x")), whiteouts=Covering(NAMESPACE))
    state = (tmp_path / "d/x").lstat()
    assert stat.S_ISCHR(state.st_mode)
    assert state.st_rdev == 0


def test_an_opaque_folder_is_marked_as_overlayfs_knows(tmp_path: Path) -> None:
    apply(tmp_path, layer(folder("d"), file("d/.wh..wh..opq")), whiteouts=Covering(NAMESPACE))
    assert os.getxattr(tmp_path / "d", f"{NAMESPACE}.overlay.opaque") == b"y"


def test_a_folder_that_hides_nothing_is_not_marked(tmp_path: Path) -> None:
    apply(tmp_path, layer(folder("d"), file("d/.wh.x")), whiteouts=Covering(NAMESPACE))
    assert os.listxattr(tmp_path / "d") == []


def test_an_opaque_root_is_told_for_overlayfs_has_no_mark_for_it(tmp_path: Path) -> None:
    applied = apply(tmp_path, layer(file(".wh..wh..opq")), whiteouts=Covering(NAMESPACE))
    assert applied.is_root_opaque
    assert os.listxattr(tmp_path) == []


def test_folders_with_marks_in_them_are_told_unless_they_were_replaced(tmp_path: Path) -> None:
    entries = [file("d/.wh.x"), file("e/.wh.x"), file("e", "1"), file(".wh.z"), folder("o"), file("o/.wh.x")]
    applied = apply(tmp_path, layer(*entries, file("o/.wh..wh..opq")), whiteouts=Covering(NAMESPACE))
    assert applied.covered == (b"", b"d")


def test_the_form_of_overlayfs_needs_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(ValueError, match="a directory of its own"):
        apply(tmp_path, layer(file(".wh.x")), whiteouts=Covering(NAMESPACE))


def test_f3_a_hard_link_to_a_whiteout_is_a_link_to_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidArchive, match="not there"):
        apply(tmp_path, layer(file(".wh.x"), hardlink("y", "x")), whiteouts=Covering(NAMESPACE))


def test_a_hard_link_to_a_lower_file_needs_the_lower_layer(tmp_path: Path) -> None:
    with pytest.raises(InvalidArchive, match="not there"):
        apply(tmp_path, layer(hardlink("b", "a")), whiteouts=Covering(NAMESPACE))


def test_folders_without_an_entry_are_told(tmp_path: Path) -> None:
    applied = apply(tmp_path, layer(file("a/b/f"), folder("a"), folder("c")))
    assert applied.without_entry == (b"", b"a/b")


def test_folders_of_lower_layers_are_not_told(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("a/f")))
    applied = apply(tmp_path, layer(file("a/g")))
    assert applied.without_entry == ()


def test_the_file_of_a_lower_layer_is_replaced_and_not_written_to(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("a", "old")))
    (tmp_path / "other name").hardlink_to(tmp_path / "a")
    apply(tmp_path, layer(file("a", "new")))
    assert (tmp_path / "other name").read_text() == "old"


def test_a_hard_link_and_its_source_are_one_file(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("a", "1")))
    apply(tmp_path, layer(hardlink("d/b", "a")))
    assert (tmp_path / "a").stat().st_ino == (tmp_path / "d/b").stat().st_ino


def test_a_hard_link_given_twice_stays(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("a", "1"), hardlink("b", "a"), hardlink("b", "a")))
    assert (tmp_path / "b").stat().st_nlink == 2


def test_whiteouts_follow_folders_that_were_reached_by_a_link(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("d/x", "1"), file("d/w", "1")))
    apply(tmp_path, layer(symlink("l", "d"), file("l/x", "2"), file("d/.wh.x"), file("l/.wh.w")))
    assert words(tmp_path) == {"d": "dir", "d/x": "'2'", "l": "link d"}
