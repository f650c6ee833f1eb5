"""Archives that grow by one member at a time, each of which can be taken back."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.archive.growing import GrowingArchive, header_of
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
    with pytest.raises(StoreUnusable, match="open"):
        archive.begin(1)
    with pytest.raises(StoreUnusable, match="open"):
        archive.add(Directory("d"))
    with pytest.raises(StoreUnusable, match="open"):
        archive.finish()


def test_nothing_is_written_once_it_is_closed(fd: int) -> None:
    archive = GrowingArchive(fd, "a.tar")
    archive.begin(None)
    archive.close()
    archive.undo()
    with pytest.raises(StoreUnusable, match="not written any more"):
        archive.append(b"x")
    with pytest.raises(StoreUnusable, match="not written any more"):
        archive.end("x")
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


@pytest.mark.parametrize(("name", "length"), [("f" * 100, 512), ("blobs/sha512/" + "f" * 128, 1536)])
@pytest.mark.parametrize("size", [0, 8**11 - 1, 8**11, MORE])
def test_a_header_has_one_length_for_every_size(fd: int, name: str, length: int, size: int) -> None:
    head = header_of(name, size, 5)
    assert len(head) == length
    os.pwrite(fd, head, 0)
    os.pwrite(fd, bytes(1024), length + size + -size % 512)
    assert read_members(fd).file(name).size == size
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(fd, "rb", closefd=False) as file, tarfile.open(fileobj=file) as archive:
        member = archive.next()
        assert member is not None
        assert (member.name, member.size, member.mtime) == (name, size, 5)


def test_a_long_name_is_said_at_the_beginning(fd: int) -> None:
    archive = GrowingArchive(fd, "a.tar")
    archive.begin(3)
    archive.append(b"abc")
    with pytest.raises(StoreUnusable, match="long a name"):
        archive.end("f" * 300)
    archive.undo()
    archive.begin(3, name="f" * 300)
    archive.append(b"abc")
    archive.end("f" * 300)
    archive.finish()
    assert found(fd) == {"f" * 300: b"abc"}
