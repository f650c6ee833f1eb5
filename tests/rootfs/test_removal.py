"""Removal: everything below goes, nothing beside it, whatever its modes and depth (THREATS F13)."""

import os
import stat
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from puller.rootfs.removal import empty, remove
from tests.rootfs.layering import words


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


class Note:
    """A Keeper that keeps what it is told, and notes what it hears."""

    def __init__(self, kept: dict[bytes, set[bytes]]) -> None:
        self._kept = kept
        self.entries: list[bytes] = []
        self.gone: list[bytes] = []

    def kept(self, path: bytes, /) -> Collection[bytes]:
        return self._kept.get(path, ())

    def entered(self, path: bytes, fd: int, /) -> None:
        assert stat.S_ISDIR(os.fstat(fd).st_mode)
        self.entries.append(path)

    def dropped(self, path: bytes, /) -> None:
        self.gone.append(path)


def _tree(base: Path) -> None:
    for name in ("d/e/f", "d/g", "beside"):
        (base / name).mkdir(parents=True)
    for name in ("d/x", "d/e/x", "d/e/f/x", "beside/x"):
        (base / name).write_text(name)
    (base / "d/out").symlink_to("../beside")
    (base / "d/e/out").symlink_to(base / "beside")


def test_a_tree_goes_and_what_its_links_point_to_stays(tmp_path: Path) -> None:
    _tree(tmp_path)
    with opened(tmp_path) as fd:
        remove(fd, b"d")
    assert words(tmp_path) == {"beside": "dir", "beside/x": "'beside/x'"}


def test_a_link_to_a_directory_goes_alone(tmp_path: Path) -> None:
    _tree(tmp_path)
    with opened(tmp_path / "d") as fd:
        state = remove(fd, b"out")
    assert state is not None
    assert stat.S_ISLNK(state.st_mode)
    assert (tmp_path / "beside/x").exists()


def test_what_is_not_there_needs_no_removal(tmp_path: Path) -> None:
    with opened(tmp_path) as fd:
        assert remove(fd, b"no") is None


def test_a_directory_can_be_emptied_and_stay(tmp_path: Path) -> None:
    _tree(tmp_path)
    with opened(tmp_path / "d") as fd:
        empty(fd, b".")
    assert words(tmp_path) == {"d": "dir", "beside": "dir", "beside/x": "'beside/x'"}


def test_a_link_is_not_emptied(tmp_path: Path) -> None:
    _tree(tmp_path)
    with opened(tmp_path / "d") as fd, pytest.raises(NotADirectoryError):
        empty(fd, b"out")
    assert (tmp_path / "beside/x").exists()


def test_what_is_kept_keeps_the_way_to_it(tmp_path: Path) -> None:
    _tree(tmp_path)
    note = Note({b"d/e": {b"x"}})
    with opened(tmp_path) as fd:
        remove(fd, b"d", b"d", note)
    assert words(tmp_path / "d") == {"e": "dir", "e/x": "'d/e/x'"}
    assert sorted(note.gone) == [b"d/e/f", b"d/g"]
    assert sorted(note.entries) == [b"d", b"d/e", b"d/e/f", b"d/g"]


def test_a_kept_directory_is_still_emptied(tmp_path: Path) -> None:
    _tree(tmp_path)
    with opened(tmp_path) as fd:
        remove(fd, b"d", b"d", Note({b"d": {b"e"}}))
    assert words(tmp_path / "d") == {"e": "dir"}


def test_f14_a_tree_of_any_depth_goes_with_few_open_directories(scratch: Path) -> None:
    fd = os.open(scratch, os.O_RDONLY)
    here = fd
    for _ in range(1500):
        os.mkdir(b"d", dir_fd=here)
        os.close(os.open(b"f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        below = os.open(b"d", os.O_RDONLY, dir_fd=here)
        if here != fd:
            os.close(here)
        here = below
    os.close(here)
    most = 0

    class Watch(Note):
        def entered(self, path: bytes, fd: int, /) -> None:
            nonlocal most
            most = max(most, fd)

    remove(fd, b"d", b"d", Watch({}))
    assert words(scratch) == {"f": "''"}
    assert most < fd + 100
    os.close(fd)


def test_f13_a_directory_that_was_moved_away_is_not_followed(scratch: Path) -> None:
    """Beyond the open ones the way back is `..`: of a directory that was moved it leads elsewhere."""
    deep = scratch / "d"
    deep.joinpath(*["d"] * 99).mkdir(parents=True)
    (scratch / "elsewhere").mkdir()
    (scratch / "elsewhere/x").touch()
    moved = deep.joinpath(*["d"] * 20)
    bottom = deep.joinpath(*["d"] * 99)

    class Mover(Note):
        def entered(self, path: bytes, fd: int, /) -> None:
            if os.path.samestat(os.fstat(fd), bottom.stat()):
                moved.rename(scratch / "elsewhere/d")

    with opened(scratch) as fd, pytest.raises(OSError, match="moved while it was removed"):
        remove(fd, b"d", b"d", Mover({}))
    assert (scratch / "elsewhere/x").exists()


def test_f13_a_directory_swapped_for_a_link_is_not_entered(scratch: Path) -> None:
    victim = scratch / "victim"
    victim.mkdir()
    (victim / "hello").touch()
    going = threading.Event()
    going.set()

    def swap() -> None:
        link, real = scratch / "d/a", scratch / "aside"
        while going.is_set():
            try:
                link.rename(real)
                link.symlink_to(victim)
                link.unlink()
                real.rename(link)
            except OSError:
                continue

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(150):
            (scratch / "d/a/b").mkdir(parents=True, exist_ok=True)
            (scratch / "d/a/f").touch()
            with opened(scratch) as fd:
                try:
                    remove(fd, b"d")
                except OSError:
                    continue
    except OSError:
        pass  # the swapper stood in the way of the next round
    finally:
        going.clear()
        thread.join()
    assert (victim / "hello").exists()
