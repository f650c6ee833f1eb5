"""Whiteouts and replacements, flattened and laid over each other by overlayfs: both must give one tree."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from puller.rootfs.gathering import Gathering
from puller.rootfs.openat2 import Opener
from tests.rootfs.layering import MARK, apply, file, folder, hardlink, layer, seated, symlink, words
from tests.rootfs.stories import STORIES, Story

pytestmark = pytest.mark.slow  # many small tests: for `make test`


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
    """Each layer in a directory of its own, set on those before it; the lowest first. None below an opaque root."""
    found: list[Path] = []
    for number, archive in enumerate(layers):
        base = scratch / str(number)
        base.mkdir()
        applied = apply(base, archive, whiteouts=Gathering(), opener=opener)
        assert seated(base, found, applied) == ()
        if applied.is_root_opaque:
            found.clear()
        found.append(base)
    return found


@contextmanager
def _mounted(scratch: Path, layers: list[Path]) -> Iterator[Path]:
    """overlayfs over these, and an empty one below, for it wants two."""
    for name in ("lowest", "merged"):
        (scratch / name).mkdir()
    lower = ":".join(str(path) for path in [*reversed(layers), scratch / "lowest"])
    options = f"lowerdir={lower}" + (",userxattr" if MARK.startswith("user.") else "")
    command = ["mount", "-t", "overlay", "-o", options, "overlay", str(scratch / "merged")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"overlayfs cannot be mounted here: {done.stderr.strip()}")
    try:
        yield scratch / "merged"
    finally:
        subprocess.run(["umount", str(scratch / "merged")], check=True)


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


def test_a_folder_kept_for_what_its_layer_has_in_it_looks_as_if_made_for_that(tmp_path: Path) -> None:
    lower = layer(folder("d", mode=0o711, mtime=3), file("d/x"), folder("d/e", mode=0o700, mtime=4), file("d/e/x"))
    before, after = tmp_path / "before", tmp_path / "after"
    for base, entries in ((before, [file(".wh.d"), file("d/e/y")]), (after, [file("d/e/y"), file(".wh.d")])):
        base.mkdir()
        apply(base, lower)
        apply(base, layer(*entries))
        for name in ("d", "d/e"):
            state = (base / name).stat()
            assert (state.st_mode & 0o7777, state.st_mtime) == (0o755, 0)
    assert words(before) == words(after) == {"d": "dir", "d/e": "dir", "d/e/y": "''"}


def test_a_folder_that_an_opaque_mark_asked_for_survives_a_whiteout_of_its_own_layer(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("d/e/x", "1")))
    apply(tmp_path, layer(file("d/e/.wh..wh..opq"), file("d/.wh.e")))
    assert words(tmp_path) == {"d": "dir", "d/e": "dir"}
