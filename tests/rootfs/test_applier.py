"""What an applier does with content and errors, and what it leaves behind when it fails."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.errors import InvalidArchive, NoSpace, StoreUnusable, TruncatedArchive, UnsafePath, Unsupported
from puller.model.alteration import Alteration
from puller.rootfs.applied import Applied
from puller.rootfs.limits import Limits
from tests.rootfs.layering import DIR, SMALL, apply, entry, file, folder, hardlink, layer, open_files, symlink, words
from tests.stream.archive import padded, sparse_header


@pytest.mark.parametrize("chunk", [1, 7, 512, 513, 1 << 20])
def test_any_chunking_gives_the_same_tree(chunk: int, tmp_path: Path) -> None:
    archive = layer(folder("d"), file("d/a", "x" * 1500), symlink("l", "d/a"), hardlink("b", "d/a"))
    apply(tmp_path, archive, chunk=chunk)
    assert words(tmp_path) == {"d": DIR, "d/a": repr("x" * 1500), "l": "link d/a", "b": repr("x" * 1500)}


def test_what_was_done_is_counted(tmp_path: Path) -> None:
    applied = apply(tmp_path, layer(folder("d"), file("d/a", "123"), file("b", "45")))
    assert applied == Applied(entries=3, size=5, without_entry=(b"",))


def test_e11_every_byte_a_name_can_have_is_kept(tmp_path: Path) -> None:
    every = [bytes([number]) for number in range(1, 256) if number not in b"/."]
    apply(tmp_path, layer(*(file(b"n" + byte) for byte in every)))
    assert {os.fsencode(path.name) for path in tmp_path.iterdir()} == {b"n" + byte for byte in every}


def test_long_names_and_links_are_kept(tmp_path: Path) -> None:
    name = "/".join(["long" * 20] * 5)
    apply(tmp_path, layer(file(name, "1"), symlink("l", name)))
    assert (tmp_path / "l").read_text() == "1"


def test_e8_sparse_files_are_refused_unless_asked_for(tmp_path: Path) -> None:
    archive = sparse_header([(1024, 3), (5000, 0)], 5000, stored=3) + padded(b"abc")
    with pytest.raises(Unsupported, match="sparse"):
        apply(tmp_path, layer(archive))


def test_sparse_files_asked_for_have_their_holes(tmp_path: Path) -> None:
    archive = sparse_header([(1 << 20, 3), (1 << 21, 0)], 1 << 21, stored=3) + padded(b"abc")
    apply(tmp_path, layer(archive), sparse=True)
    content = (tmp_path / "sparse").read_bytes()
    assert content == bytes(1 << 20) + b"abc" + bytes((1 << 20) - 3)
    assert (tmp_path / "sparse").stat().st_blocks * 512 < 1 << 20


def test_e14_a_layer_cut_short_is_no_layer(tmp_path: Path) -> None:
    with pytest.raises(TruncatedArchive):
        apply(tmp_path, file("a", "x" * 2000)[:1000])


def test_no_file_stays_open_when_a_layer_is_cut_short(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(TruncatedArchive):
        apply(tmp_path, folder("d") + file("d/a", "x" * 2000)[:1000])
    assert open_files() == before


def test_no_file_stays_open_when_a_layer_is_done(tmp_path: Path) -> None:
    before = open_files()
    apply(tmp_path, layer(*(file(f"d{number}/e/f", "1") for number in range(200)), folder("d0"), symlink("d0/e", "x")))
    assert open_files() == before


def test_few_directories_stay_open_while_links_are_replaced(tmp_path: Path) -> None:
    most = 0

    def look(alteration: Alteration) -> None:
        nonlocal most
        most = max(most, len(open_files()))

    before = len(open_files())
    entries = [symlink("l", f"d{number}") + file("l/f", xattrs={"odd": b""}) for number in range(200)]
    apply(tmp_path, layer(*entries), report=look)
    assert before < most < before + 16


def test_an_error_names_the_entry(tmp_path: Path) -> None:
    with pytest.raises(InvalidArchive) as caught:
        apply(tmp_path, layer(hardlink("here", "no/such")))
    assert (caught.value.where, caught.value.got) == ("here", "no/such")


def test_c22_a_name_in_an_error_is_harmless_to_a_terminal(tmp_path: Path) -> None:
    with pytest.raises(UnsafePath) as caught:
        apply(tmp_path, layer(file("../\x1b]52;\r")))
    assert str(caught.value).isprintable()


def test_the_notes_of_aufs_are_told(tmp_path: Path) -> None:
    told: list[Alteration] = []
    apply(tmp_path, layer(file(".wh..wh.aufs", "x")), report=told.append)
    assert [(alteration.path, alteration.what) for alteration in told] == [(b".wh..wh.aufs", "entry")]


def test_a_file_of_an_unknown_type_is_not_taken_for_a_regular_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidArchive, match="unknown type"):
        apply(tmp_path, layer(entry("x", b"Z")))
    assert words(tmp_path) == {}


def test_a_contiguous_file_is_a_file(tmp_path: Path) -> None:
    apply(tmp_path, layer(entry("x", b"7", b"1")))
    assert words(tmp_path) == {"x": "'1'"}


def test_e13_a_global_header_makes_nothing(tmp_path: Path) -> None:
    apply(tmp_path, layer(entry("pax_global_header/x", b"g", b"13 comment=a\n"), file("a", "1")))
    assert words(tmp_path) == {"a": "'1'"}


def test_f8_nothing_is_open_to_others_before_it_is_complete(tmp_path: Path) -> None:
    archive = folder("d", mode=0o777) + file("d/f", "x" * 600, mode=0o4777)
    with pytest.raises(TruncatedArchive):
        apply(tmp_path, archive[:-512])
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"d": 0o700, "f": 0o600}


def test_r11_a_read_only_place_gives_a_typed_error() -> None:
    with pytest.raises(StoreUnusable):
        apply(Path("/proc/self"), layer(file("f")), limits=SMALL)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB and 50 files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-o", "size=1m,nr_inodes=50", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(["mount", "-t", "tmpfs", *options], check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_f11_a_full_disk_gives_a_typed_error(small_disk: Path) -> None:
    archive = layer(*(file(f"f{number}", "x" * 200_000) for number in range(10)))
    with pytest.raises(NoSpace, match=r"no space left|not enough space"):
        apply(small_disk, archive, chunk=100_000)


def test_f11_no_more_inodes_give_a_typed_error(small_disk: Path) -> None:
    with pytest.raises(NoSpace):
        apply(small_disk, layer(*(file(f"f{number}") for number in range(60))))


def test_r11_the_reserve_is_looked_at_before_anything_is_written(small_disk: Path) -> None:
    with pytest.raises(NoSpace, match="not enough space left"):
        apply(small_disk, layer(file("f", "x" * 1000)), limits=Limits(reserve=1 << 20))
    assert words(small_disk) == {}
