"""What a layer in overlayfs form learns of those below it."""

import os
import stat
from pathlib import Path

import pytest

from puller.rootfs.gathering import Gathering
from puller.rootfs.powers import Powers
from tests.rootfs.layering import apply, file, folder, layer, seated, symlink, words

POWERS = Powers.of_this_process()


def stack(scratch: Path, *layers: list[bytes]) -> tuple[Path, tuple[bytes, ...]]:
    """The uppermost directory of these layers, and where it could not be seated."""
    found: list[Path] = []
    unseated: tuple[bytes, ...] = ()
    for number, entries in enumerate(layers):
        base = scratch / str(number)
        base.mkdir()
        applied = apply(base, layer(*entries), whiteouts=Gathering())
        unseated = seated(base, found, applied)
        if applied.is_root_opaque:
            found.clear()
        found.append(base)
    return found[-1], unseated


def facts(path: Path) -> tuple[int, int, float]:
    state = path.stat()
    return stat.S_IMODE(state.st_mode), state.st_uid, state.st_mtime


UID = 5 if POWERS.owners else os.geteuid()


def test_a_folder_without_an_entry_looks_like_the_nearest_below(scratch: Path) -> None:
    lowest = [folder("tmp", mode=0o1777, uid=5, mtime=3), folder("tmp/x", mode=0o700, mtime=4)]
    upper, unseated = stack(scratch, lowest, [folder("tmp", mode=0o1770, uid=5, mtime=5)], [file("tmp/x/f")])
    assert unseated == ()
    assert facts(upper / "tmp") == (0o1770, UID, 5)
    assert facts(upper / "tmp/x")[::2] == (0o700, 4)


def test_the_root_without_an_entry_looks_like_the_one_below(scratch: Path) -> None:
    upper, _ = stack(scratch, [folder(".", mode=0o711, mtime=3)], [file("f")])
    assert facts(upper)[::2] == (0o711, 3)


def test_attributes_come_along_but_not_the_mark_of_opaque_folders(scratch: Path) -> None:
    lower = [folder("d", xattrs={"user.a": b"1"}), file("d/.wh..wh..opq")]
    upper, _ = stack(scratch, [file("x")], lower, [file("d/f")])
    assert os.listxattr(upper / "d") == ["user.a"]


def test_a_folder_with_an_entry_keeps_what_it_says(scratch: Path) -> None:
    upper, _ = stack(scratch, [folder("d", mode=0o700, mtime=3)], [folder("d", mode=0o711, mtime=4), file("d/f")])
    assert facts(upper / "d")[::2] == (0o711, 4)


@pytest.mark.parametrize(
    "between",
    [[file(".wh.d")], [file("d", "a file now")], [folder("d"), file("d/.wh..wh..opq")]],
    ids=["whiteout", "file", "opaque"],
)
def test_what_is_hidden_in_between_is_not_looked_at(between: list[bytes], scratch: Path) -> None:
    upper, unseated = stack(scratch, [folder("d/e", mode=0o700, mtime=3)], between, [file("d/e/f")])
    assert unseated == ()
    assert facts(upper / "d/e")[::2] == (0o755, 0)


def test_an_opaque_root_looks_at_nothing_below(scratch: Path) -> None:
    upper, _ = stack(scratch, [folder("d", mode=0o700)], [file("d/f"), file(".wh..wh..opq")])
    assert facts(upper / "d")[0] == 0o755


def test_a_folder_in_the_place_of_a_link_cannot_be_seated(scratch: Path) -> None:
    _, unseated = stack(scratch, [folder("real"), symlink("l", "real")], [file("l/f")])
    assert unseated == (b"l",)


def test_a_folder_below_a_link_cannot_be_seated(scratch: Path) -> None:
    _, unseated = stack(scratch, [file("real/d/f"), symlink("l", "real")], [file("l/d/f")])
    assert unseated == (b"l",)


def test_marks_that_hide_something_stay(scratch: Path) -> None:
    upper, _ = stack(scratch, [file("d/x"), file("d/y")], [file("d/.wh.x")])
    assert words(upper) == {"d": "dir", "d/x": "char"}


def test_marks_where_no_folder_is_below_go(scratch: Path) -> None:
    upper, _ = stack(scratch, [file("a")], [folder("d", mtime=7), file("d/.wh.x"), file("d/y", "1")])
    assert words(upper) == {"d": "dir", "d/y": "'1'"}
    assert (upper / "d").stat().st_mtime == 7


def test_marks_of_the_lowest_layer_go(scratch: Path) -> None:
    upper, _ = stack(scratch, [file(".wh.x"), file("y", "1")])
    assert words(upper) == {"y": "'1'"}
