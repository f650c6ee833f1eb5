"""A walk that tells what layers say: in one order, touching nothing, with the sidecar's word before the disk's."""

import os
import socket
import stat
from pathlib import Path

import pytest

from puller.errors import ContentCorrupt, PullerError, StoreUnusable
from puller.model.alteration import Alteration
from puller.rootfs.finding import SOCKET, Finding
from puller.rootfs.powers import Powers
from puller.rootfs.sidecar import SidecarWriter
from puller.rootfs.survey import Stratum, Survey
from puller.stream.tarentry import BLOCK_DEVICE, CHARACTER_DEVICE, DIRECTORY, FIFO, REGULAR, SYMLINK
from tests.rootfs.layering import MARK, census, open_files
from tests.rootfs.trees import findings, opened

POWERS = Powers.of_this_process()
OWNERS = pytest.mark.skipif(not POWERS.owners, reason="needs the right to give files away")
DEVICES = pytest.mark.skipif(not POWERS.devices, reason="needs the right to make device nodes")


def grown(base: Path, *names: str) -> Path:
    """Files and, with a slash at the end, folders."""
    base.mkdir()
    for name in names:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text(name)
    return base


def sidecar(path: Path, *alterations: Alteration, uid: int = 0) -> Path:
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    writer = SidecarWriter(fd)
    for alteration in alterations:
        writer.add(alteration)
    writer.finish()
    os.close(fd)
    if POWERS.owners:
        os.chown(path, uid, uid)
    return path


def paths(*trees: Path, marks: bool = False) -> list[bytes]:
    return [finding.path for finding in findings(*trees, marks=marks)]


def found(tree: Path, path: bytes, *sidecars: Path) -> Finding:
    return next(finding for finding in findings(tree, sidecars=sidecars) if finding.path == path)


def test_parents_come_first_and_names_bytewise(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "b", "a/z", "a-", "a/b/c", "B", "é", "a.d/")
    (Path(os.fsdecode(os.fsencode(tree) + b"/\xff"))).touch()
    assert paths(tree) == [
        b"", b"B", b"a", b"a/b", b"a/b/c", b"a/z", b"a-", b"a.d", b"b", "é".encode(), b"\xff",
    ]  # fmt: skip


def test_each_kind_is_told_with_what_belongs_to_it(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "file", "dir/")
    (tree / "link").symlink_to("../../etc/passwd")
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tree)
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
    kinds = {finding.path: (finding.type, finding.size, finding.target) for finding in findings(tree)}
    assert kinds == {
        b"": (DIRECTORY, 0, b""),
        b"dir": (DIRECTORY, 0, b""),
        b"fifo": (FIFO, 0, b""),
        b"file": (REGULAR, 4, b""),
        b"link": (SYMLINK, 0, b"../../etc/passwd"),
        b"socket": (SOCKET, 0, b""),
    }


@DEVICES
def test_devices_are_told_by_their_numbers(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t")
    os.mknod(tree / "b", stat.S_IFBLK | 0o600, os.makedev(7, 300))
    os.mknod(tree / "c", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    assert [(f.type, f.device) for f in findings(tree)[1:]] == [(BLOCK_DEVICE, (7, 300)), (CHARACTER_DEVICE, (1, 3))]


def test_f12_nothing_is_opened_or_changed_and_nothing_stays_open(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a/b", "c")
    os.mkfifo(tree / "fifo")  # opened for reading, it would never answer
    (tree / "loop").symlink_to(".")
    before, files = census(tree), open_files()
    assert paths(tree) == [b"", b"a", b"a/b", b"c", b"fifo", b"loop"]
    assert (census(tree), open_files()) == (before, files)


def test_a_walk_left_early_closes_what_it_opened(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a/b/c/d")
    with opened(tree) as (fd,):
        files = open_files()
        with Survey((Stratum(fd),)) as survey:
            while next(survey).path != b"a/b/c":
                pass
        assert open_files() == files
        assert list(survey) == []


def test_a_folder_can_be_passed_over(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a/b", "c")
    with opened(tree) as (fd,), Survey((Stratum(fd),)) as survey:
        seen = []
        for finding in survey:
            seen.append(finding.path)
            if finding.path == b"a":
                survey.skip()
    assert seen == [b"", b"a", b"c"]


def test_a_tree_deeper_than_may_be_open_at_once_is_walked(tmp_path: Path) -> None:
    base = grown(tmp_path / "t")
    with opened(base) as (top,):
        fd = os.dup(top)
        for _ in range(300):
            os.mkdir("d", dir_fd=fd)
            os.close(os.open("z", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
            below = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)
        with Survey((Stratum(top),)) as survey:
            most, count = 0, 0
            for _ in survey:
                count += 1
                if count % 50 == 1:  # the 301st is the deepest
                    most = max(most, len(open_files()))
        assert count == 601
        assert most < 290


def test_hard_links_name_the_first_of_them(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "m/file", "other")
    (tree / "a").hardlink_to(tree / "m/file")
    (tree / "z").hardlink_to(tree / "m/file")
    (tree / "l").symlink_to("x")
    os.link(tree / "l", tree / "k", follow_symlinks=False)
    links = {finding.path: finding.link for finding in findings(tree) if finding.type != DIRECTORY}
    assert links == {b"a": b"", b"k": b"", b"l": b"k", b"m/file": b"a", b"other": b"", b"z": b"a"}


def test_attributes_are_those_that_layers_may_bring(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "file")
    os.setxattr(tree / "file", "user.a", b"\0\xff")
    os.setxattr(tree / "file", "user.overlay.opaque", b"y")
    assert found(tree, b"file").xattrs == {b"user.a": b"\0\xff"}


def test_a_folder_that_vanishes_is_an_error_with_its_name(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a/b")
    with opened(tree) as (fd,), Survey((Stratum(fd),)) as survey:
        assert [next(survey).path, next(survey).path] == [b"", b"a"]
        (tree / "a/b").unlink()
        (tree / "a").rmdir()
        with pytest.raises(StoreUnusable) as caught:
            next(survey)
    assert caught.value.where == "a"


def test_f12_a_folder_replaced_by_a_link_is_not_followed(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a/b")
    grown(tmp_path / "outside", "secret")
    with opened(tree) as (fd,), Survey((Stratum(fd),)) as survey:
        assert [next(survey).path, next(survey).path] == [b"", b"a"]
        (tree / "a").rename(tmp_path / "gone")
        (tree / "a").symlink_to("../outside")
        with pytest.raises(PullerError):
            next(survey)


# --- several directories upon each other


def test_the_nearest_shows_and_folders_merge(tmp_path: Path) -> None:
    upper, lower = grown(tmp_path / "u", "d/new", "x"), grown(tmp_path / "l", "d/old", "x/below", "y")
    assert paths(upper, lower) == [b"", b"d", b"d/new", b"d/old", b"x", b"y"]


def test_a_link_hides_the_folder_below_it(tmp_path: Path) -> None:
    top, middle, lowest = (grown(tmp_path / name) for name in "abc")
    (top / "d").mkdir()
    (middle / "d").symlink_to("e")
    (lowest / "d").mkdir()
    (lowest / "d/f").touch()
    assert paths(top, middle, lowest) == [b"", b"d"]


@DEVICES
def test_marks_hide_what_is_below_and_are_nothing_themselves(tmp_path: Path) -> None:
    upper, lower = grown(tmp_path / "u", "d/"), grown(tmp_path / "l", "d/old", "x/below")
    os.mknod(upper / "x", stat.S_IFCHR, 0)
    os.mknod(upper / "d/old", stat.S_IFCHR, 0)
    assert paths(upper, lower) == [b"", b"d"]
    assert paths(upper) == [b"", b"d"]


@DEVICES
def test_marks_are_found_on_request_before_all_else_in_their_folder(tmp_path: Path) -> None:
    upper = grown(tmp_path / "u", "a", "d/e")
    os.mknod(upper / "x", stat.S_IFCHR, 0)
    os.mknod(upper / "d/z", stat.S_IFCHR, 0)
    os.mknod(upper / "null", stat.S_IFCHR, os.makedev(1, 3))
    os.setxattr(upper / "d", MARK, b"y")
    seen = findings(upper, marks=True)
    assert [finding.path for finding in seen] == [b"", b"x", b"a", b"d", b"d/z", b"d/e", b"null"]
    assert [finding.path for finding in seen if finding.is_mark] == [b"x", b"d/z"]
    assert [finding.path for finding in seen if finding.opaque] == [b"d"]


def test_an_opaque_folder_shows_nothing_from_below(tmp_path: Path) -> None:
    upper, lower = grown(tmp_path / "u", "d/e/new"), grown(tmp_path / "l", "d/e/old", "d/old", "y")
    os.setxattr(upper / "d", MARK, b"y")
    assert paths(upper, lower) == [b"", b"d", b"d/e", b"d/e/new", b"y"]


# --- sidecars


def test_what_a_sidecar_says_goes_before_the_disk(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a", "d/")
    said = sidecar(
        tmp_path / "s",
        Alteration(b"a", "owner", "7:8", ""),
        Alteration(b"a", "mode", "0o4755", ""),
        Alteration(b"a", "mtime", "-99000000000000000000", ""),
        Alteration(b"a", "xattr", "trusted.\udcff=00ff", ""),
        Alteration(b"d", "mode", "0o0", ""),
        Alteration(b"gone", "mode", "0o0", ""),
        Alteration(b"a", "entry", "b", "left out"),
    )
    file = found(tree, b"a", said)
    assert (file.uid, file.gid, file.mode, file.mtime) == (7, 8, 0o4755, -99 * 10**18)
    assert file.xattrs == {b"trusted.\xff": b"\0\xff"}
    assert found(tree, b"d", said).mode == 0


def test_the_last_word_holds(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a")
    one = sidecar(tmp_path / "1", Alteration(b"a", "owner", "1:1", ""), Alteration(b"a", "owner", "2:2", ""))
    two = sidecar(tmp_path / "2", Alteration(b"a", "owner", "3:3", ""))
    assert found(tree, b"a", one).uid == 2
    assert found(tree, b"a", one, two).uid == 3


def test_an_empty_file_becomes_the_device_it_stands_for_and_a_full_one_does_not(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "full")
    (tree / "empty").touch()
    said = sidecar(
        tmp_path / "s", Alteration(b"empty", "device", "b 8:1", ""), Alteration(b"full", "device", "c 1:3", "")
    )
    assert (found(tree, b"empty", said).type, found(tree, b"empty", said).device) == (BLOCK_DEVICE, (8, 1))
    assert found(tree, b"full", said).type == REGULAR


def test_a_file_is_corrected_under_all_its_names(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "m")
    (tree / "a").hardlink_to(tree / "m")
    said = sidecar(tmp_path / "s", Alteration(b"m", "owner", "5:5", ""))
    assert [found(tree, name, said).uid for name in (b"a", b"m")] == [5, 5]


@OWNERS
def test_what_an_ordinary_user_unpacked_is_roots_unless_told(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "mine", "told", "other")
    os.chown(tree / "mine", 1000, 1001)
    os.chown(tree / "told", 1000, 1001)
    os.chown(tree / "other", 1002, 1002)
    said = sidecar(tmp_path / "s", Alteration(b"told", "owner", "1000:5", ""), uid=1000)
    owners = {f.path: (f.uid, f.gid) for f in findings(tree, sidecars=[said])}
    assert owners == {b"": (0, 0), b"mine": (0, 0), b"other": (1002, 1002), b"told": (1000, 5)}
    assert found(tree, b"mine", sidecar(tmp_path / "roots")).uid == 1000


@pytest.mark.parametrize(
    ("what", "value"),
    [("owner", "1"), ("owner", "root:root"), ("mode", "rwx"), ("mtime", "1.5"), ("xattr", "a=0"), ("device", "c 1")],
)
def test_a_line_that_cannot_be_meant_is_damage(what: str, value: str, tmp_path: Path) -> None:
    tree = grown(tmp_path / "t")
    (tree / "a").touch()
    said = sidecar(tmp_path / "s", Alteration(b"a", what, value, ""))  # type: ignore[arg-type]  # of the right kind
    with pytest.raises(ContentCorrupt):
        findings(tree, sidecars=[said])
