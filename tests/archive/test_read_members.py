"""The members of an archive: found without reading their content, and reached over one link at most."""

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from puller.archive.members import Members, check_size, read_members
from puller.errors import InvalidArchive, LayerError, LimitExceeded, TruncatedArchive, UnsafePath, Unsupported
from testregistry.images import Directory, Hardlink, Symlink
from tests.archive.building import Part, of_type, packed


@contextmanager
def held(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("archive")
    try:
        os.pwrite(fd, content, 0)
        yield fd
    finally:
        os.close(fd)


def members(*parts: Part) -> Members:
    with held(packed(parts)) as fd:
        return read_members(fd)


def test_members_are_known_by_where_they_lie() -> None:
    parts: list[Part] = [("a/", Directory()), ("a/b", b"hello"), ("c" * 200, b"x" * 1000), ("d", Symlink("a/b"))]
    raw = packed(parts)
    with held(raw) as fd:
        found = read_members(fd)
    for name, content in parts[1:3]:
        member = found.file(name)
        assert raw[member.start : member.start + member.size] == content
    assert list(found) == ["a", "a/b", "c" * 200, "d"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_read(form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        info = tarfile.TarInfo("x" * 90)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    with held(out.getvalue()) as fd:
        member = read_members(fd).file("x" * 90)
        assert os.pread(fd, member.size, member.start) == b"abc"


def test_content_is_stepped_over_and_not_read() -> None:
    """An archive of 64 GiB of holes: reading it would take minutes."""
    with held(b"") as fd:
        info = tarfile.TarInfo("large")
        info.size = 64 << 30
        head = info.tobuf(tarfile.GNU_FORMAT)
        os.pwrite(fd, head, 0)
        last = packed([("last", b"found")])
        os.pwrite(fd, last, len(head) + info.size)
        assert read_members(fd).file("last").size == 5


def test_names_are_told_without_dots_and_slashes_around_them() -> None:
    found = members(("./", Directory()), ("./a//b/./c", b"1"))
    assert list(found) == ["a/b/c"]
    assert found.folders() == ["a"]


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", ".."])
def test_a1_names_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(UnsafePath):
        members((name, b""))


def test_folders_are_what_holds_something() -> None:
    assert members(("b/x", b""), ("a/", Directory()), ("file", b""), ("link", Symlink("b"))).folders() == ["a", "b"]


@pytest.mark.parametrize("again", [b"2", Symlink("x"), Directory(), Hardlink("x")])
def test_g5_one_name_twice_is_refused(again: object) -> None:
    with pytest.raises(InvalidArchive, match="twice"):
        members(("a", b"1"), ("a", again))  # type: ignore[arg-type]  # one of the kinds above


def test_a_directory_may_be_named_again() -> None:
    assert list(members(("a/", Directory()), ("a/x", b""), ("a/", Directory()))) == ["a", "a/x"]


@pytest.mark.parametrize("link", [Symlink("../a/file"), Symlink("x/../../a/./file"), Hardlink("./a/file")])
def test_g1_a_link_leads_to_a_member(link: Symlink | Hardlink) -> None:
    assert members(("b/link", link), ("a/file", b"content")).file("b/link").size == 7


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        (Symlink("/a/file"), UnsafePath), (Symlink("../../a/file"), UnsafePath), (Symlink("../../x"), UnsafePath),
        (Hardlink("../a/file"), UnsafePath), (Hardlink("/a/file"), UnsafePath), (Symlink("file"), InvalidArchive),
        (Symlink("link"), InvalidArchive), (Symlink("../other"), InvalidArchive), (Symlink("../a"), InvalidArchive),
        (Hardlink("a"), InvalidArchive), (Hardlink("other"), InvalidArchive), (Symlink("../pipe"), InvalidArchive),
    ],
)  # fmt: skip
def test_g1_other_links_are_refused(link: Symlink | Hardlink, kind: type[LayerError]) -> None:
    found = members(
        ("a/", Directory()), ("a/file", b"1"), ("other", Symlink("a/file")), ("pipe", of_type(tarfile.FIFOTYPE)),
        ("b/link", link),
    )  # fmt: skip
    with pytest.raises(kind):
        found.file("b/link")


@pytest.mark.parametrize("name", ["absent", "a", "pipe"])
def test_g7_only_regular_files_are_files(name: str) -> None:
    with pytest.raises(InvalidArchive):
        members(("a/", Directory()), ("pipe", of_type(tarfile.FIFOTYPE))).file(name)


def test_g2_large_documents_are_refused_by_their_size() -> None:
    member = members(("a", b"12345")).file("a")
    check_size(member, 5)
    with pytest.raises(LimitExceeded):
        check_size(member, 4)


def test_members_are_counted() -> None:
    raw = packed([(f"{number}", b"") for number in range(11)])
    with held(raw) as fd:
        assert len(list(read_members(fd, most=11))) == 11
        with pytest.raises(LimitExceeded):
            read_members(fd, most=10)


@pytest.mark.parametrize("content", [b"", bytes(1024), b"junk" * 1000])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with held(content) as fd, pytest.raises(LayerError):
        read_members(fd)


@pytest.mark.parametrize("cut", [100, 511, 513, 700])
def test_an_archive_that_ends_too_early_is_refused(cut: int) -> None:
    with held(packed([("a", b"x" * 600)])[:cut]) as fd, pytest.raises(TruncatedArchive):
        read_members(fd)


def test_sparse_members_are_refused() -> None:
    info = tarfile.TarInfo("a")
    info.type = b"S"
    with held(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)) as fd, pytest.raises(Unsupported):
        read_members(fd)


def test_the_pulse_may_end_it() -> None:
    class StopNow(Exception):
        pass

    def stop() -> None:
        raise StopNow

    with held(packed([("a", b"")])) as fd, pytest.raises(StopNow):
        read_members(fd, pulse=stop)
