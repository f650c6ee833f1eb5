"""What is told of a layer that is unpacked apart from those below it."""

import os
from pathlib import Path

import pytest

from puller.errors import InvalidArchive
from puller.rootfs.applied import Applied
from puller.rootfs.gathering import Gathering, NeedsLower
from tests.rootfs.layering import DIR, apply, file, folder, hardlink, layer, symlink, words


def gathered(base: Path, *entries: bytes) -> Applied:
    return apply(base, layer(*entries), whiteouts=Gathering())


def test_a_whiteout_is_listed_and_nothing_is_made_for_it(tmp_path: Path) -> None:
    applied = gathered(tmp_path, file("d/.wh.x"), file(".wh.y"))
    assert applied.hidden == (b"d/x", b"y")
    assert words(tmp_path) == {}


def test_an_opaque_folder_is_listed_and_made(tmp_path: Path) -> None:
    applied = gathered(tmp_path, file("d/.wh..wh..opq"))
    assert applied.opaque == (b"d",)
    assert words(tmp_path) == {"d": DIR}
    assert os.listxattr(tmp_path / "d") == []


def test_an_opaque_root_is_told(tmp_path: Path) -> None:
    applied = gathered(tmp_path, file("d/.wh.x"), file(".wh..wh..opq"))
    assert applied.is_root_opaque
    assert applied.hidden == ()


@pytest.mark.parametrize("entries", [[file(".wh.a"), folder("a")], [folder("a"), file(".wh.a")]])
def test_a_whiteout_of_an_own_folder_makes_it_opaque_wherever_it_stands(entries: list[bytes], tmp_path: Path) -> None:
    applied = gathered(tmp_path, *entries)
    assert (applied.hidden, applied.opaque) == ((), (b"a",))


@pytest.mark.parametrize("entries", [[file(".wh.a"), file("a")], [file("a"), file(".wh.a")]])
def test_a_whiteout_of_an_own_file_is_not_listed(entries: list[bytes], tmp_path: Path) -> None:
    applied = gathered(tmp_path, *entries)
    assert (applied.hidden, applied.opaque) == ((), ())


def test_what_is_hidden_already_is_not_listed_again(tmp_path: Path) -> None:
    applied = gathered(tmp_path, file("a/b/.wh.c"), file(".wh.a"), file("o/.wh..wh..opq"), file("o/.wh.x"))
    assert (applied.hidden, applied.opaque) == ((b"a",), (b"o",))


def test_whiteouts_in_what_became_a_file_are_not_listed(tmp_path: Path) -> None:
    assert gathered(tmp_path, folder("d"), file("d/.wh.x"), file("d")).hidden == ()


def test_a_folder_in_the_place_of_an_own_file_is_opaque(tmp_path: Path) -> None:
    applied = gathered(tmp_path, file("d"), file("d/x"))
    assert (applied.opaque, applied.without_entry, applied.assumed) == ((b"d",), (b"",), ())


def test_folders_without_an_entry_are_told(tmp_path: Path) -> None:
    applied = gathered(tmp_path, file("a/b/f"), folder("a"), folder("c"))
    assert applied.without_entry == (b"", b"a/b")


def test_folders_that_hide_the_lower_ones_take_after_none(tmp_path: Path) -> None:
    applied = gathered(tmp_path, file("a/b/f"), file(".wh.a"), file("c/d/f"), file("c/.wh..wh..opq"))
    assert applied.without_entry == (b"", b"c")


def test_names_that_led_through_a_folder_are_told_for_good(tmp_path: Path) -> None:
    applied = gathered(tmp_path, file("a/f"), folder("a"), file("b/f"), file("b"), file("c/d/.wh.x"), folder("e/"))
    assert applied.assumed == (b"a", b"b", b"c", b"c/d")


def test_nothing_is_taken_for_granted_of_what_was_hidden_before(tmp_path: Path) -> None:
    applied = gathered(tmp_path, file(".wh.a"), file("a/b/f"), file("c/.wh..wh..opq"), file("c/d/f"))
    assert applied.assumed == (b"c",)


def test_folders_of_lower_layers_are_not_told(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("a/f")))
    applied = apply(tmp_path, layer(file("a/g")))
    assert applied.without_entry == ()


def test_it_needs_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(ValueError, match="a directory of its own"):
        gathered(tmp_path, file(".wh.x"))


def test_f3_a_hard_link_to_a_whiteout_is_a_link_to_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidArchive, match="not there"):
        gathered(tmp_path, file(".wh.x"), hardlink("y", "x"))


def test_a_hard_link_to_a_lower_file_needs_the_lower_layer(tmp_path: Path) -> None:
    with pytest.raises(NeedsLower, match="not there"):
        gathered(tmp_path, hardlink("b", "a"))


def test_a_whiteout_behind_an_own_link_out_of_the_layer_needs_the_lower_layer(tmp_path: Path) -> None:
    with pytest.raises(NeedsLower, match="behind a link"):
        gathered(tmp_path, symlink("l", "a/../b"), file("l/c/.wh.x"))


def test_a_whiteout_behind_an_own_link_is_listed_where_it_leads(tmp_path: Path) -> None:
    assert gathered(tmp_path, folder("d"), symlink("l", "d"), file("l/.wh.x")).hidden == (b"d/x",)


def test_a_whiteout_below_an_own_file_hides_nothing(tmp_path: Path) -> None:
    assert gathered(tmp_path, file("a"), file("a/.wh.x")).hidden == ()
