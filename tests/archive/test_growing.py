"""Archives that grow by one member at a time, each of which can be taken back."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.archive.growing import GrowingArchive, block_of
from puller.archive.item import Directory, File, Link
from puller.archive.members import read_members
from puller.errors import NoSpace, StoreUnusable

MORE = 9 << 30


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "a.tar", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def found(fd: int) -> dict[str, bytes]:
    raw = os.pread(fd, 1 << 24, 0)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {
            member.name: b"" if (file := archive.extractfile(member)) is None else file.read()
            for member in archive
            if not member.issym()
        }


def test_members_come_one_after_the_other(fd: int) -> None:
    archive = GrowingArchive(fd, "a.tar")
    archive.add(Directory("d"))
    archive.begin(600)
    archive.append(b"x" * 400)
    archive.append(b"y" * 200)
    archive.end("d/known")
    archive.begin(None)
    archive.append(b"z" * 512)
    archive.end("d/unknown", 7)
    archive.add(Link("l", "d/known"))
    archive.add(File("f", b"content"))
    archive.finish()
    assert found(fd) == {"d": b"", "d/known": b"x" * 400 + b"y" * 200, "d/unknown": b"z" * 512, "f": b"content"}
    assert os.fstat(fd).st_size == archive.size
    assert list(read_members(fd)) == ["d", "d/known", "d/unknown", "l", "f"]


def test_what_is_taken_back_leaves_nothing(fd: int) -> None:
    archive = GrowingArchive(fd, "a.tar")
    archive.add(File("f", b"content"))
    size = archive.size
    archive.begin(5000)
    archive.append(b"w" * 3000)
    archive.undo()
    archive.undo()
    assert os.fstat(fd).st_size == archive.size == size
    archive.begin(None)
    archive.append(b"w" * 100)
    archive.undo()
    archive.begin(3)
    archive.append(b"new")
    archive.end("g")
    archive.finish()
    assert found(fd) == {"f": b"content", "g": b"new"}


def test_an_empty_member_is_one(fd: int) -> None:
    archive = GrowingArchive(fd, "a.tar")
    archive.begin(0)
    archive.end("empty")
    archive.finish()
    assert found(fd) == {"empty": b""}


def test_one_member_is_open_at_a_time_and_none_without_a_beginning(fd: int) -> None:
    archive = GrowingArchive(fd, "a.tar")
    with pytest.raises(StoreUnusable):
        archive.append(b"x")
    with pytest.raises(StoreUnusable):
        archive.end("x")
    archive.begin(1)
    for work in (lambda: archive.begin(1), lambda: archive.add(Directory("d")), archive.finish):
        with pytest.raises(StoreUnusable, match="open"):
            work()


def test_nothing_is_written_once_it_is_closed(fd: int) -> None:
    archive = GrowingArchive(fd, "a.tar")
    archive.begin(None)
    archive.close()
    archive.undo()
    for work in (lambda: archive.append(b"x"), lambda: archive.end("x")):
        with pytest.raises(StoreUnusable, match="not written any more"):
            work()
    assert os.fstat(fd).st_size == 0


def test_r11_what_the_disk_could_not_hold_is_refused_before_a_byte_is_written(fd: int) -> None:
    state = os.fstatvfs(fd)
    archive = GrowingArchive(fd, "a.tar", reserve=0)
    with pytest.raises(NoSpace):
        archive.begin(state.f_bavail * state.f_frsize + (1 << 40))
    assert os.fstat(fd).st_size == 0
    archive.add(Directory("d"))


def test_r11_the_reserve_is_looked_at_while_content_of_unknown_size_comes(fd: int) -> None:
    with pytest.raises(NoSpace, match="space"):
        GrowingArchive(fd, "a.tar", reserve=1 << 60).begin(None)


def test_r11_a_full_disk_is_told_as_that() -> None:
    fd = os.open("/dev/full", os.O_RDWR)
    try:
        with pytest.raises(NoSpace):
            GrowingArchive(fd, "a.tar").add(File("f", b"content"))
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, MORE])
def test_a_header_of_one_block_holds_every_size(fd: int, size: int) -> None:
    block = block_of("f" * 100, size, 5)
    assert len(block) == 512
    member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    assert (member.name, member.size, member.mtime) == ("f" * 100, size, 5)
    os.pwrite(fd, block, 0)
    os.pwrite(fd, bytes(1024), 512 + size + -size % 512)
    assert read_members(fd).file("f" * 100).size == size


def test_a_name_that_wants_blocks_of_its_own_is_refused() -> None:
    with pytest.raises(StoreUnusable):
        block_of("f" * 300, 1)
