"""Archives of trees: the same bytes every time, read alike by others, and nothing torn in them."""

import io
import os
import shutil
import socket
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from puller.errors import PullerError, StoreUnusable, Unsupported
from puller.model.alteration import Alteration
from puller.model.change import Change, Kind
from puller.rootfs.changes import compare
from puller.rootfs.content import content
from puller.rootfs.erasing import Erasing
from puller.rootfs.pack import pack_changes, pack_tree
from puller.rootfs.powers import Powers
from puller.rootfs.survey import Stratum, Survey
from tests.rootfs.layering import MARK, apply, device, file, folder, hardlink, layer, open_files, symlink
from tests.rootfs.portrait import portrait
from tests.rootfs.test_survey import DEVICES, grown, sidecar
from tests.rootfs.trees import copied, difference, findings, opened

MIB = 1 << 20
ODD = layer(
    folder(".", mode=0o711, mtime=3),
    folder("d", mode=0o1777, uid=5, gid=6, mtime=4),
    file("d/f", "content", mode=0o4755, uid=3_000_000, gid=1, mtime="-1.5", xattrs={"user.a": b"\0\xff"}),
    hardlink("a", "d/f"),
    symlink("d/l", b"../\xff" + b"t" * 150),
    file("n" * 200, "long"),
    file(b"\xff\n", "odd"),
    folder("/".join(["deep" * 10] * 6)),
    file("d/empty", mtime="1.25"),
)


def packed(*trees: Path) -> bytes:
    with opened(*trees) as (fd, *_):
        return b"".join(pack_tree(fd))


def odd(base: Path) -> Path:
    base.mkdir()
    apply(base, ODD)
    return base


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        return [member.name for member in found]


def test_an_archive_unpacks_to_the_tree_it_was_made_of(tmp_path: Path) -> None:
    tree, again = odd(tmp_path / "t"), tmp_path / "again"
    again.mkdir()
    apply(again, packed(tree))
    assert portrait(again) == portrait(tree)


def test_the_same_tree_gives_the_same_bytes_wherever_it_lies(tmp_path: Path, scratch: Path) -> None:
    tree = odd(tmp_path / "t")
    again = scratch / "again"
    again.mkdir()
    # Made in another order, on another file system: directories list their names in another order too.
    for path in sorted(tree.iterdir(), reverse=True):
        subprocess.run(["cp", "-a", str(path), str(again)], check=True)
    (again / "a").unlink()
    (again / "a").hardlink_to(again / "d/f")
    for name in ("d", "."):
        shutil.copystat(tree / name, again / name)
        os.utime(again / name, ns=(0, (tree / name).stat().st_mtime_ns))
    assert packed(again) == packed(tree)


def test_nothing_of_the_machine_is_in_it(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(odd(tmp_path / "t")))) as archive:
        for member in archive:
            assert (member.uname, member.gname) == ("", "")
            assert {"atime", "ctime"}.isdisjoint(member.pax_headers)


def test_it_ends_with_two_zero_blocks_and_nothing_more(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a")
    os.utime(tree / "a", (0, 0))
    os.utime(tree, (0, 0))
    archive = packed(tree)
    assert len(archive) == 512 + 2 * 512 + 1024  # the root; a file and its content; the end
    assert archive.endswith(bytes(1024))


@pytest.mark.parametrize("command", [("tar",), ("bsdtar",)], ids=lambda command: command[0])
def test_others_list_it_alike(command: tuple[str, ...], tmp_path: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not there")
    tree = odd(tmp_path / "t")
    (tree / os.fsdecode(b"\xff\n")).unlink()
    (tree / "d/l").unlink()
    (tree / "d/l").symlink_to("t" * 150)
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    command = (*command, "-tf", "-")
    found = subprocess.run(command, input=packed(tree), capture_output=True, check=True, env=environment)
    assert found.stderr == b""
    assert [name.removeprefix("./").rstrip("/") for name in found.stdout.decode().splitlines()] == [
        finding.path.decode() for finding in findings(tree)
    ]


@pytest.mark.skipif(shutil.which("tar") is None or not Powers.of_this_process().owners, reason="needs GNU tar, as root")
def test_gnu_tar_unpacks_the_same_tree(tmp_path: Path) -> None:
    tree, theirs = odd(tmp_path / "t"), tmp_path / "theirs"
    theirs.mkdir()
    extract = ["tar", "-xpf", "-", "-C", str(theirs), "--numeric-owner", "--xattrs", "--xattrs-include=user.*"]
    subprocess.run(extract, input=packed(tree), check=True)
    assert portrait(theirs) == portrait(tree)


def test_chunks_are_about_a_mebibyte(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", *(f"{number:04}" for number in range(1500)))
    (tree / "large").write_bytes(bytes(5 * MIB))
    with opened(tree) as (fd,):
        sizes = [len(chunk) for chunk in pack_tree(fd)]
    assert max(sizes) < 3 * MIB
    assert min(sizes[:-1]) >= MIB


def test_sockets_are_left_out_and_told(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a")
    here = Path.cwd()
    told: list[Alteration] = []
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(tree)
        try:
            server.bind("s")
        finally:
            os.chdir(here)
    with opened(tree) as (fd,):
        assert names(b"".join(pack_tree(fd, told=told.append))) == [".", "a"]
    assert [(one.path, one.what) for one in told] == [(b"s", "entry")]


def test_a_sidecars_device_and_owner_are_in_the_archive(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t")
    (tree / "null").touch()
    said = sidecar(tmp_path / "s", Alteration(b"null", "device", "c 1:3", ""), Alteration(b"null", "owner", "5:6", ""))
    with opened(tree) as (fd,), tarfile.open(fileobj=io.BytesIO(b"".join(pack_tree(fd, [said])))) as archive:
        member = archive.getmember("null")
        assert (member.ischr(), member.devmajor, member.devminor, member.uid, member.gid) == (True, 1, 3, 5, 6)


def test_long_names_that_are_no_utf8_are_declared_as_such(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t")
    (tree / "l").symlink_to(os.fsdecode(b"\xff" * 101))
    with tarfile.open(fileobj=io.BytesIO(packed(tree))) as archive:
        assert archive.getmember("l").pax_headers["hdrcharset"] == "BINARY"
        assert os.fsencode(archive.getmember("l").linkname) == b"\xff" * 101
    if shutil.which("bsdtar") is not None:
        subprocess.run(["bsdtar", "-tf", "-"], input=packed(tree), check=True, capture_output=True)


# --- a tree that does not hold still


def _at(tree: Path, size: int) -> tuple[Iterator[bytes], int]:
    """A packing that stopped in the middle of the file `f`."""
    (tree / "f").write_bytes(bytes(size))
    fd = os.open(tree, os.O_RDONLY)
    chunks = pack_tree(fd)
    next(chunks)
    return chunks, fd


@pytest.mark.parametrize(
    ("what", "change"),
    [("shorter", lambda file: os.truncate(file, MIB)), ("longer", lambda file: os.truncate(file, 9 * MIB))],
    ids=["shorter", "longer"],
)
def test_a_file_that_changes_its_size_meanwhile_is_an_error(
    what: str, change: Callable[[Path], None], tmp_path: Path
) -> None:
    tree = grown(tmp_path / "t")
    files = open_files()
    chunks, fd = _at(tree, 8 * MIB)
    change(tree / "f")
    with pytest.raises(StoreUnusable, match=what):
        list(chunks)
    os.close(fd)
    assert open_files() == files


def test_f12_a_file_replaced_by_a_link_is_not_read(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "z")
    (tmp_path / "secret").write_text("z")
    with opened(tree) as (fd,):
        (tree / "a").write_bytes(bytes(2 * MIB))
        chunks = pack_tree(fd)
        next(chunks)
        (tree / "z").unlink()
        (tree / "z").symlink_to("../secret")
        # It is found as what it is by then: a link.
        assert b"secret" in b"".join(chunks)
    assert names(packed(tree)) == [".", "a", "z"]


@pytest.mark.parametrize("other", ["../secret", None], ids=["link", "file"])
def test_f12_a_file_replaced_after_it_was_found_is_not_read(other: str | None, tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a")
    (tmp_path / "secret").write_text("s")
    with opened(tree) as (fd,), Survey((Stratum(fd),)) as survey:
        finding = list(islice(survey, 2))[-1]
        (tree / "a").rename(tmp_path / "kept")
        if other is None:
            (tree / "a").write_text("s")
        else:
            (tree / "a").symlink_to(other)
        with pytest.raises(PullerError):
            list(content(finding))


def test_a_packing_left_early_closes_what_it_opened(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "a/b/c")
    files = open_files()
    chunks, fd = _at(tree, 8 * MIB)
    del chunks
    os.close(fd)
    assert open_files() == files


# --- differences


def test_a_difference_names_what_changed_and_hides_what_is_gone(tmp_path: Path) -> None:
    old, new = grown(tmp_path / "old", "d/gone", "d/kept", "top"), grown(tmp_path / "new", "d/kept", "d/new")
    archive = layer_of(old, new)
    assert names(archive) == [".", ".wh.top", "d", "d/.wh.gone", "d/new"]


def layer_of(old: Path, new: Path) -> bytes:
    for base in (old, new):
        for path in base.rglob("*"):
            if path.is_file():
                os.utime(path, (0, 0))
    with opened(old, new) as (before, now):
        return b"".join(pack_changes(now, compare(before, now)))


def test_what_did_not_change_is_not_in_it(tmp_path: Path) -> None:
    tree = odd(tmp_path / "t")
    assert difference(tree, copied(tree, tmp_path / "copy")) == bytes(1024)


def test_a_new_name_of_an_old_file_brings_all_its_names(tmp_path: Path) -> None:
    old = grown(tmp_path / "old", "a", "b")
    new = copied(old, tmp_path / "new")
    (new / "z").hardlink_to(new / "a")
    shutil.copystat(old, new)
    assert names(difference(old, new)) == ["a", "z"]
    apply(old, difference(old, new), whiteouts=Erasing())
    assert (old / "a").samefile(old / "z")


def test_a_path_that_is_not_there_any_more_is_an_error(tmp_path: Path) -> None:
    with opened(grown(tmp_path / "t", "a")) as (fd,):
        for change in (Change(Kind.ADDED, b"b"), Change(Kind.DELETED, b"gone/b")):
            with pytest.raises(StoreUnusable):
                list(pack_changes(fd, [change]))


@pytest.mark.parametrize("name", [".wh.a", ".wh..wh..opq", ".wh.d/b"])
def test_f5_a_name_that_would_be_a_whiteout_is_refused(name: str, tmp_path: Path) -> None:
    with opened(grown(tmp_path / "t", name)) as (fd,), pytest.raises(Unsupported):
        list(pack_tree(fd))


@pytest.mark.parametrize("name", [b".wh.x", b"n" * 252])
def test_f5_a_name_that_no_whiteout_can_hide_is_refused(name: bytes, tmp_path: Path) -> None:
    with opened(grown(tmp_path / "t")) as (fd,), pytest.raises(Unsupported):
        list(pack_changes(fd, [Change(Kind.DELETED, name)]))


def test_attributes_survive_a_round_trip(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "ping")
    attribute, value = b"user.a", b"\x01\0\0\x02"
    if Powers.of_this_process().file_capabilities:
        attribute, value = b"security.capability", bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(tree / "ping", attribute, value)
    again = tmp_path / "again"
    again.mkdir()
    apply(again, packed(tree))
    assert os.getxattr(again / "ping", attribute) == value


@DEVICES
def test_devices_and_fifos_survive_a_round_trip(tmp_path: Path) -> None:
    tree, again = tmp_path / "t", tmp_path / "again"
    for base in (tree, again):
        base.mkdir()
    apply(tree, layer(device("null", 1, 3, mode=0o666), device("sda", 8, 0, b"4", mode=0o660, gid=6)), devices=True)
    os.mkfifo(tree / "pipe", 0o622)
    apply(again, packed(tree), devices=True)
    assert portrait(again) == portrait(tree)


@DEVICES
def test_marks_of_overlayfs_never_get_into_an_archive(tmp_path: Path) -> None:
    tree = grown(tmp_path / "t", "d/")
    os.mknod(tree / "x", stat.S_IFCHR, 0)
    os.setxattr(tree / "d", MARK, b"y")
    archive = packed(tree)
    assert names(archive) == [".", "d"]
    assert b"overlay" not in archive
