"""Whatever two trees are: the difference makes one the other, and the native differ finds the same one."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings

from puller.errors import LayerError
from puller.rootfs import covered
from puller.rootfs.changes import compare, size
from puller.rootfs.erasing import Erasing
from puller.rootfs.gathering import Gathering, NeedsLower
from puller.rootfs.pack import pack_tree
from puller.rootfs.survey import Stratum
from tests.rootfs.conftest import MEMORY
from tests.rootfs.layering import apply, file, folder, seated
from tests.rootfs.portrait import portrait
from tests.rootfs.stacks import STACKS, Stack, archives_of, said
from tests.rootfs.trees import compared, copied, difference, flat, opened

SLOW = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def place() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)


def trees(base: Path, archives: list[bytes]) -> tuple[Path, Path]:
    """The tree without the last layer, and with it."""
    try:
        return flat(base / "old", archives[:-1]), flat(base / "new", archives)
    except LayerError:
        assume(False)
        raise


@pytest.mark.slow
@SLOW
@given(STACKS)
def test_the_difference_of_two_trees_makes_one_the_other(stack: Stack) -> None:
    with place() as folder:
        old, new = trees(Path(folder), archives_of(stack))
        for source, target in ((old, new), (new, old)):
            tree = copied(source, Path(folder) / "copy")
            apply(tree, difference(source, target), whiteouts=Erasing())
            assert portrait(tree) == portrait(target)
            assert compared(tree, target, strict=True) == []


@pytest.mark.slow
@SLOW
@given(STACKS)
def test_a_packed_tree_unpacks_to_itself(stack: Stack) -> None:
    with place() as folder:
        _, tree = trees(Path(folder), archives_of(stack))
        again = Path(folder) / "again"
        again.mkdir()
        with opened(tree) as (fd,):
            archive = b"".join(pack_tree(fd))
        apply(again, archive)
        assert portrait(again) == portrait(tree)
        with opened(again) as (fd,):
            assert b"".join(pack_tree(fd)) == archive


def stacked(base: Path, archives: list[bytes]) -> list[Path]:
    """The layers apart in overlayfs form, the lowest first."""
    found: list[Path] = []
    for number, archive in enumerate(archives):
        upper = base / str(number)
        upper.mkdir()
        try:
            applied = apply(upper, archive, whiteouts=Gathering())
        except NeedsLower:
            assume(False)
        assume(not seated(upper, found, applied))
        if applied.is_root_opaque:
            found.clear()
        found.append(upper)
    return found


@pytest.mark.slow
@SLOW
@given(STACKS)
def test_the_native_differ_finds_what_the_naive_one_finds(stack: Stack) -> None:
    with place() as folder:
        archives = archives_of(stack)
        old, new = trees(Path(folder), archives)
        layers = stacked(Path(folder), archives)
        assume(len(layers) > 1)
        with opened(*reversed(layers)) as fds, opened(old, new) as (before, now):
            upper, *lowers = map(Stratum, fds)
            natively = covered.changes(upper, lowers)
            naively = compare(before, now)
            assert natively == naively
            assert covered.changes(upper, lowers, strict=True) == compare(before, now, strict=True)
            assert covered.size(upper, lowers) == size(now, naively)
            archive = b"".join(covered.pack(upper))
        tree = copied(old, Path(folder) / "copy")
        apply(tree, archive, whiteouts=Erasing())
        assert portrait(tree) == portrait(new)


# A folder that first takes after the lower one, and is hidden as a whole later in the same layer.
LATE = [
    [said(folder, ".", mtime=-3.5), said(folder, "b", mtime=-3.5)],
    [said(file, "b/.wh..wh..opq"), said(file, ".wh.b")],
]


@pytest.mark.slow
@SLOW
@given(STACKS)
@example(LATE)
@example([LATE[0], LATE[1][::-1]])
@example([LATE[0], [said(file, "b/c/f"), said(file, ".wh.b")]])
@example([LATE[0], [said(file, ".wh.b"), said(file, "b/c/f")]])
def test_layers_laid_over_each_other_look_like_the_flattened_tree(stack: Stack) -> None:
    with place() as folder:
        archives = archives_of(stack)
        _, new = trees(Path(folder), archives)
        layers = stacked(Path(folder), archives)
        with opened(*reversed(layers)) as fds, opened(new) as (now,):
            assert compare(now, tuple(map(Stratum, fds)), strict=True) == []
