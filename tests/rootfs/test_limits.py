"""Limits: the last that is allowed, and the first that is not."""

from pathlib import Path

import pytest

from puller.errors import LimitExceeded
from puller.rootfs.limits import Limits
from tests.rootfs.layering import apply, file, folder, layer, symlink, words


@pytest.mark.parametrize(
    ("limits", "entries"),
    [
        (Limits(entries=3, reserve=0), [file("a"), folder("b"), symlink("c", "d")]),
        (Limits(size=10, reserve=0), [file("a", "12345"), file("b", "12345")]),
        (Limits(depth=3, reserve=0), [file("a/b/c")]),
        (Limits(depth=3, reserve=0), [folder("a/b/c")]),
        (Limits(directories=3, reserve=0), [folder("a"), file("b/f")]),
    ],
    ids=["entries", "size", "depth", "depth_of_folders", "directories"],
)
class TestLimit:
    def test_e10_what_just_fits_is_unpacked(self, limits: Limits, entries: list[bytes], tmp_path: Path) -> None:
        apply(tmp_path, layer(*entries), limits=limits)

    def test_e10_one_more_is_refused(self, limits: Limits, entries: list[bytes], tmp_path: Path) -> None:
        with pytest.raises(LimitExceeded):
            apply(tmp_path, layer(*entries, file("z/y/x/w", "1")), limits=limits)


def test_f14_links_add_no_depth(tmp_path: Path) -> None:
    entries = [folder("a/b"), symlink("l", "a/b"), folder("l/c"), symlink("m", "l/c")]
    with pytest.raises(LimitExceeded, match="too deep"):
        apply(tmp_path, layer(*entries, folder("m/d")), limits=Limits(depth=3, reserve=0))


def test_d6_a_file_too_large_is_refused_before_its_first_byte_is_written(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match="too large"):
        apply(tmp_path, layer(file("a", "x" * 2000)), limits=Limits(size=1999, reserve=0))
    assert words(tmp_path) == {}


def test_d6_many_small_files_are_counted_together(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match="too large"):
        apply(
            tmp_path,
            layer(*(file(f"f{number}", "x" * 100) for number in range(11))),
            limits=Limits(size=1000, reserve=0),
        )


def test_e10_the_entries_of_folders_made_twice_count_once_as_folders(tmp_path: Path) -> None:
    apply(tmp_path, layer(*[folder("a")] * 5), limits=Limits(directories=2, reserve=0))
