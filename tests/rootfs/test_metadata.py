"""Owners, modes, times and attributes: what is set, in which order, and what is told where it cannot be set."""

import os
import stat
import struct
from pathlib import Path

import pytest

from puller.errors import LimitExceeded, Unsupported
from puller.model.alteration import Alteration
from puller.rootfs.idmap import IdMap
from puller.rootfs.limits import Limits
from puller.rootfs.metadata import EARLIEST, LATEST, Metadata
from puller.rootfs.powers import Powers
from tests.rootfs.layering import apply, device, fifo, file, folder, hardlink, layer, symlink

POWERS = Powers.of_this_process()
NONE = Powers()
as_root = pytest.mark.skipif(not POWERS.owners, reason="needs the right to give files away")
# A version 2 capability: effective, CAP_NET_BIND_SERVICE (<linux/capability.h>).
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def owner_of(path: Path) -> tuple[int, int]:
    return path.lstat().st_uid, path.lstat().st_gid


def heard(tmp_path: Path, *entries: bytes, powers: Powers = NONE, devices: bool = False) -> set[tuple[bytes, str, str]]:
    """What is told of a layer that is applied with these powers."""
    found: list[Alteration] = []
    apply(tmp_path, layer(*entries), powers=powers, report=found.append, devices=devices)
    assert all(alteration.reason for alteration in found)
    return {(alteration.path, alteration.what, alteration.value) for alteration in found}


@as_root
def test_owners_of_every_type_are_set(tmp_path: Path) -> None:
    entries = [
        file("f", uid=1, gid=2),
        folder("d", uid=3, gid=4),
        symlink("l", "f", uid=5, gid=6),
        fifo("p", uid=7, gid=8),
    ]
    apply(tmp_path, layer(*entries))
    found = {path.name: owner_of(path) for path in tmp_path.iterdir()}
    assert found == {"f": (1, 2), "d": (3, 4), "l": (5, 6), "p": (7, 8)}


@as_root
def test_an_owner_of_the_highest_id_is_set(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("f", uid=2**32 - 2, gid=2**31)))
    assert owner_of(tmp_path / "f") == (2**32 - 2, 2**31)


@as_root
def test_f8_setuid_outlives_the_change_of_owner(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("f", "#!", mode=0o6755, uid=5, gid=6), folder("d", mode=0o3777, uid=5)))
    assert mode_of(tmp_path / "f") == 0o6755
    assert mode_of(tmp_path / "d") == 0o3777


@as_root
def test_file_capabilities_outlive_the_change_of_owner(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("f", uid=5, xattrs={"security.capability": CAPABILITY})))
    assert os.getxattr(tmp_path / "f", "security.capability") == CAPABILITY


@as_root
def test_owners_are_mapped(tmp_path: Path) -> None:
    ids = IdMap.parse(["0:1000:10"])
    apply(tmp_path, layer(file("f", uid=0, gid=9), folder("d", uid=3)), metadata=Metadata(POWERS, uids=ids, gids=ids))
    assert owner_of(tmp_path / "f") == (1000, 1009)
    assert owner_of(tmp_path / "d") == (1003, 1000)
    assert owner_of(tmp_path) == (1000, 1000)


@as_root
def test_an_owner_outside_the_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="outside the given map"):
        apply(tmp_path, layer(file("f", uid=10)), metadata=Metadata(POWERS, uids=IdMap.parse(["0:1000:10"])))


@pytest.mark.parametrize("mode", [0o000, 0o644, 0o755, 0o1777, 0o400])
def test_modes_are_set_whatever_the_umask(mode: int, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        apply(tmp_path, layer(file("f", mode=mode), folder("d", mode=mode | 0o700), fifo("p", mode=mode)))
    finally:
        os.umask(before)
    readable = mode if POWERS.owners else mode | 0o400
    assert [mode_of(tmp_path / name) for name in "fdp"] == [readable, mode | 0o700, mode]


def test_without_owners_the_user_can_read_every_file_and_is_told_what_it_should_be(tmp_path: Path) -> None:
    found = heard(tmp_path, file("f", mode=0o000), file("g", mode=0o4070), file("h", mode=0o400))
    assert found == {(b"f", "mode", "0o0"), (b"g", "mode", "0o4070")}
    assert [mode_of(tmp_path / name) for name in "fgh"] == [0o400, 0o470, 0o400]


@pytest.mark.parametrize(
    "seconds", ["0", "1", "-1", "-2147483648", "12.5", "-0.000000001", "1700000000.123456789", "4294967296"]
)
def test_times_are_kept_to_the_nanosecond(seconds: str, tmp_path: Path) -> None:
    apply(tmp_path, layer(file("f", mtime=seconds), folder("d", mtime=seconds), symlink("l", "f", mtime=seconds)))
    whole, _, fraction = seconds.partition(".")
    wanted = abs(int(whole)) * 10**9 + int(fraction.ljust(9, "0") or 0)
    wanted = -wanted if seconds.startswith("-") else wanted
    assert {path.lstat().st_mtime_ns for path in tmp_path.iterdir()} == {wanted}


@pytest.mark.parametrize(("seconds", "kept"), [("99999999999999999", LATEST), ("-99999999999999999", EARLIEST)])
def test_e12_impossible_times_become_the_last_possible_and_are_told(seconds: str, kept: int, tmp_path: Path) -> None:
    told = heard(tmp_path, file("f", mtime=seconds), folder("d", mtime=seconds), symlink("l", "f", mtime=seconds))
    value = str(int(seconds) * 10**9)
    assert told == {(b"f", "mtime", value), (b"d", "mtime", value), (b"l", "mtime", value)}
    assert {path.lstat().st_mtime_ns for path in tmp_path.iterdir()} == {kept}


def test_the_times_of_folders_are_those_of_their_entries_whatever_came_into_them(tmp_path: Path) -> None:
    entries = [folder("d", mtime=5), file("d/e/f"), folder("d/e", mtime=6), file("d/late"), file("d/e/late")]
    apply(tmp_path, layer(*entries))
    assert (tmp_path / "d").stat().st_mtime == 5
    assert (tmp_path / "d/e").stat().st_mtime == 6


def test_folders_of_lower_layers_keep_times_and_modes_when_something_comes_into_them(tmp_path: Path) -> None:
    apply(
        tmp_path,
        layer(
            folder(".", mtime=4), folder("d", mtime=5, mode=0o1777), file("d/x"), file("d/y"), folder("d/e", mtime=6)
        ),
    )
    apply(tmp_path, layer(file("d/f"), file("d/.wh.x"), file("g")))
    assert [(path.stat().st_mtime, mode_of(path)) for path in (tmp_path, tmp_path / "d", tmp_path / "d/e")] == [
        (4, 0o755), (5, 0o1777), (6, 0o755),
    ]  # fmt: skip


def test_folders_nobody_named_belong_to_root_and_to_no_time(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("a/b/f")))
    for path in (tmp_path, tmp_path / "a", tmp_path / "a/b"):
        assert (mode_of(path), path.stat().st_mtime) == (0o755, 0)


def test_the_entry_of_the_root_is_obeyed(tmp_path: Path) -> None:
    apply(tmp_path, layer(folder("./", mode=0o711, mtime=7), file("f")))
    assert (mode_of(tmp_path), tmp_path.stat().st_mtime) == (0o711, 7)


def test_the_last_entry_of_a_folder_counts(tmp_path: Path) -> None:
    apply(tmp_path, layer(folder("d", mode=0o700, mtime=5), file("d/f"), folder("d", mode=0o711, mtime=6)))
    assert (mode_of(tmp_path / "d"), (tmp_path / "d").stat().st_mtime) == (0o711, 6)


def test_a_folder_replaced_by_a_file_leaves_nothing_due(tmp_path: Path) -> None:
    apply(tmp_path, layer(folder("d", mode=0o711), folder("d/e", mode=0o711), file("d", mode=0o600, mtime=8)))
    assert (mode_of(tmp_path / "d"), (tmp_path / "d").stat().st_mtime) == (0o600, 8)


def test_f6_a_hard_link_says_nothing_of_its_file(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("a", mode=0o640, mtime=5), hardlink("b", "a", mode=0o4777, uid=9, mtime=99)))
    state = (tmp_path / "a").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_mtime, state.st_uid) == (0o640, 5, os.geteuid())


def test_user_attributes_are_set_on_files_and_folders(tmp_path: Path) -> None:
    attributes = {"user.one": b"1", "user.zero": b"", "user.bytes": bytes(range(256))}
    apply(tmp_path, layer(file("f", xattrs=attributes), folder("d", xattrs=attributes)))
    for path in (tmp_path / "f", tmp_path / "d"):
        assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == attributes


def test_a_folder_loses_the_attributes_its_new_entry_does_not_have(tmp_path: Path) -> None:
    apply(tmp_path, layer(folder("d", xattrs={"user.old": b"1", "user.both": b"1"})))
    apply(tmp_path, layer(folder("d", xattrs={"user.both": b"2"})))
    assert os.listxattr(tmp_path / "d") == ["user.both"]
    assert os.getxattr(tmp_path / "d", "user.both") == b"2"


@pytest.mark.parametrize(
    "name",
    [
        "user.overlay.opaque", "user.overlay.whiteout", "user.containers.override_stat", "user.rootlesscontainers",
        "user.fuseoverlayfs.opaque", "trusted.overlay.opaque", "trusted.x", "security.selinux", "security.ima",
        "system.posix_acl_access", "odd",
    ],
)  # fmt: skip
def test_f9_attributes_that_give_orders_are_left_out_and_told(name: str, tmp_path: Path) -> None:
    told = heard(tmp_path, file("f", xattrs={name: b"y"}), folder("d", xattrs={name: b"y"}), powers=POWERS)
    assert told == {(b"f", "xattr", f"{name}=79"), (b"d", "xattr", f"{name}=79")}
    assert os.listxattr(tmp_path / "f") == os.listxattr(tmp_path / "d") == []


def test_attributes_of_links_and_nodes_are_told(tmp_path: Path) -> None:
    told = heard(tmp_path, symlink("l", "x", xattrs={"user.a": b"1"}), fifo("p", xattrs={"user.a": b"1"}))
    assert told == {(b"l", "xattr", "user.a=31"), (b"p", "xattr", "user.a=31")}


def test_f9_too_many_attributes_are_refused(tmp_path: Path) -> None:
    many = {f"user.{number}": b"" for number in range(5)}
    with pytest.raises(LimitExceeded, match="too many extended attributes"):
        apply(tmp_path, layer(file("f", xattrs=many)), limits=Limits(xattrs=4, reserve=0))


def test_f9_an_attribute_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match="attribute too large"):
        apply(tmp_path, layer(file("f", xattrs={"user.a": bytes(70_000)})))


def test_without_powers_owners_are_told_but_those_of_root(tmp_path: Path) -> None:
    told = heard(
        tmp_path, file("a", uid=0, gid=0), file("b", uid=5), folder("c", gid=6), symlink("d", "x", uid=7, gid=8)
    )
    assert told == {(b"b", "owner", "5:0"), (b"c", "owner", "0:6"), (b"d", "owner", "7:8")}
    assert {owner_of(path) for path in tmp_path.iterdir()} == {(os.geteuid(), os.getegid())}


def test_f8_without_powers_setuid_is_taken_off_and_told(tmp_path: Path) -> None:
    told = heard(tmp_path, file("u", mode=0o4755), file("g", mode=0o2755), file("t", mode=0o1755))
    assert told == {(b"u", "mode", "0o4755"), (b"g", "mode", "0o2755")}
    assert [mode_of(tmp_path / name) for name in "ugt"] == [0o755, 0o755, 0o1755]


def test_without_powers_setuid_is_kept_when_asked_for(tmp_path: Path) -> None:
    apply(tmp_path, layer(file("f", mode=0o4755)), metadata=Metadata(NONE, keep_setuid=True))
    assert mode_of(tmp_path / "f") == 0o4755


def test_f13_without_powers_folders_stay_open_to_their_user_and_the_mode_is_told(tmp_path: Path) -> None:
    told = heard(tmp_path, folder("d", mode=0), file("d/f"), folder("e", mode=0o555))
    assert told == {(b"d", "mode", "0o0"), (b"e", "mode", "0o555")}
    assert [mode_of(tmp_path / name) for name in "de"] == [0o700, 0o755]


def test_without_powers_file_capabilities_are_told(tmp_path: Path) -> None:
    told = heard(tmp_path, file("f", xattrs={"security.capability": b"\1"}))
    assert told == {(b"f", "xattr", "security.capability=01")}


def test_f7_devices_become_empty_files_and_are_told(tmp_path: Path) -> None:
    told = heard(tmp_path, device("c", 1, 3, mode=0o666), device("b", 8, 0, b"4"), powers=POWERS)
    assert told == {(b"c", "device", "c 1:3"), (b"b", "device", "b 8:0")}
    assert [((tmp_path / name).lstat().st_size, stat.S_ISREG((tmp_path / name).lstat().st_mode)) for name in "cb"] == [
        (0, True)
    ] * 2


def test_f7_devices_asked_for_without_powers_become_empty_files(tmp_path: Path) -> None:
    assert heard(tmp_path, device("c", 1, 3), devices=True) == {(b"c", "device", "c 1:3")}


@pytest.mark.skipif(not POWERS.devices, reason="needs the right to make device nodes")
def test_f7_devices_are_made_when_asked_for(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "probe", stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("device nodes may not be made in this user namespace")
    told = heard(tmp_path, device("c", 1, 3, mode=0o666, uid=5), device("b", 8, 1, b"4"), powers=POWERS, devices=True)
    assert told == set()
    state = (tmp_path / "c").lstat()
    assert (stat.S_ISCHR(state.st_mode), os.major(state.st_rdev), os.minor(state.st_rdev)) == (True, 1, 3)
    assert (stat.S_IMODE(state.st_mode), state.st_uid) == (0o666, 5)
    assert stat.S_ISBLK((tmp_path / "b").lstat().st_mode)


def test_f7_a_file_replaces_a_fifo_without_opening_it(tmp_path: Path) -> None:
    apply(tmp_path, layer(fifo("p"), file("p", "1")))
    assert (tmp_path / "p").read_text() == "1"
