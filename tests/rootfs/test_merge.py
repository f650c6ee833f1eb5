"""A layer that was unpacked apart and moved onto a tree: the same as if it had been applied there."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from puller.errors import PullerError
from puller.rootfs.applied import Applied
from puller.rootfs.erasing import Erasing
from puller.rootfs.gathering import Gathering, NeedsLower
from puller.rootfs.inside import Root
from puller.rootfs.merge import Unmergeable, merge
from puller.rootfs.powers import Powers
from tests.rootfs.conftest import MEMORY
from tests.rootfs.layering import apply, census, file, folder, hardlink, layer, symlink, words
from tests.rootfs.portrait import Facts, portrait
from tests.rootfs.stacks import STACKS, Stack, archives_of, said
from tests.rootfs.stories import STORIES, Story

NOBODY = Powers()


def merged(target: Path, upper: Path, applied: Applied) -> None:
    with ExitStack() as stack:
        roots = []
        for path in (target, upper):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, fd)
            roots.append(stack.enter_context(Root(fd)))
        merge(roots[0], roots[1], applied)


def put(base: Path, archive: bytes, powers: Powers | None = None) -> bool:
    """One layer onto the tree `base/tree`, apart where that is possible; whether it was. The first one is the tree."""
    upper = base / "upper"
    upper.mkdir(0o700)
    try:
        applied = apply(upper, archive, whiteouts=Gathering(), powers=powers)
        if not (base / "tree").exists():
            upper.rename(base / "tree")
            return True
        merged(base / "tree", upper, applied)
    except (NeedsLower, Unmergeable):
        is_first = not (base / "tree").exists()
        (base / "tree").mkdir(exist_ok=True)
        apply(base / "tree", archive, powers=powers, whiteouts=None if is_first else Erasing())
        return False
    finally:
        shutil.rmtree(upper, ignore_errors=True)
    return True


def flattened(base: Path, archives: list[bytes], powers: Powers | None = None) -> Facts:
    """The tree that layers give when each is applied to those before it."""
    base.mkdir()
    put(base, archives[0], powers)
    for archive in archives[1:]:
        apply(base / "tree", archive, powers=powers, whiteouts=Erasing())
    return portrait(base / "tree")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_merged_layers_give_the_tree_of_the_specification(story: Story, scratch: Path) -> None:
    apart = [put(scratch, archive) for archive in story.layers]
    assert (words(scratch / "tree") if story.layers else {}) == story.tree
    assert all(apart) == story.alone


def compare(stack: Stack, powers: Powers | None) -> None:
    archives = archives_of(stack)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        base = Path(name)
        try:
            expected = flattened(base / "expected", archives, powers)
        except PullerError as error:
            with pytest.raises(type(error)):
                _put_all(base, archives, powers)
            return
        _put_all(base, archives, powers)
        assert portrait(base / "tree") == expected


def _put_all(base: Path, archives: list[bytes], powers: Powers | None) -> None:
    for archive in archives:
        put(base, archive, powers)


RANDOM = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
THROUGH_A_LINK: Stack = [[said(folder, "b"), said(symlink, "a", "b")], [said(file, "a/c"), said(folder, "a")]]


@pytest.mark.slow
@given(STACKS)
@example(THROUGH_A_LINK)
@RANDOM
def test_merging_is_the_same_as_applying(stack: Stack) -> None:
    compare(stack, None)


@pytest.mark.slow
@given(STACKS)
@example(THROUGH_A_LINK)
@RANDOM
def test_merging_is_the_same_as_applying_without_the_powers_of_root(stack: Stack) -> None:
    compare(stack, NOBODY)


def test_nothing_is_changed_where_a_layer_cannot_be_merged(scratch: Path) -> None:
    tree, upper = scratch / "tree", scratch / "upper"
    tree.mkdir()
    upper.mkdir()
    apply(tree, layer(folder("d"), file("x"), symlink("l", "d")))
    applied = apply(upper, layer(file("a"), file(".wh.x"), file("l/f")), whiteouts=Gathering())
    before = census(tree)
    with pytest.raises(Unmergeable, match="link"):
        merged(tree, upper, applied)
    assert census(tree) == before


def test_a_folder_that_only_the_layer_has_moves_whole(scratch: Path) -> None:
    tree, upper = scratch / "tree", scratch / "upper"
    tree.mkdir()
    upper.mkdir()
    apply(tree, layer(folder("e"), file("e/x")))
    applied = apply(upper, layer(folder("d"), file("d/f"), folder("e"), file("e/f")), whiteouts=Gathering())
    moved, kept = (upper / "d").stat().st_ino, (tree / "e").stat().st_ino
    merged(tree, upper, applied)
    assert ((tree / "d").stat().st_ino, (tree / "e").stat().st_ino) == (moved, kept)


def test_hard_links_of_one_layer_stay_one_file(scratch: Path) -> None:
    assert put(scratch, layer(file("d/a", "1"), file("b", "old")))
    assert put(scratch, layer(file("e/a", "2"), hardlink("b", "e/a"), hardlink("d/c", "e/a")))
    tree = scratch / "tree"
    assert len({(tree / name).stat().st_ino for name in ("e/a", "b", "d/c")}) == 1


def test_f13_what_is_erased_is_not_followed_out_of_the_tree(scratch: Path) -> None:
    outside = scratch / "outside"
    outside.mkdir()
    (outside / "canary").touch()
    (scratch / "tree").mkdir()
    apply(scratch / "tree", layer(folder("d"), symlink("d/l", str(outside)), symlink("l", str(outside))))
    assert put(scratch, layer(file(".wh.d"), file(".wh.l"), folder("x")))
    assert (outside / "canary").exists()
    assert words(scratch / "tree") == {"x": "dir"}
