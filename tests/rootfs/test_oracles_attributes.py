"""What real images lack, against GNU tar and umoci: attributes, file capabilities, devices, odd times."""

import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from puller.rootfs.powers import Powers
from tests.rootfs.layering import apply, device, fifo, file, folder, layer
from tests.rootfs.oci import oci_layout
from tests.rootfs.portrait import portrait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Powers.of_this_process().file_capabilities, reason="needs the right to set capabilities"),
]

# <linux/capability.h>: version 2, effective; cap_net_raw is bit 13.
NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
Unpack = Callable[[bytes, Path], Path]


def _by_tar(content: bytes, base: Path) -> Path:
    (base / "layer.tar").write_bytes(content)
    (base / "theirs").mkdir()
    command = ["tar", "-xpf", str(base / "layer.tar"), "-C", str(base / "theirs"), "--xattrs", "--xattrs-include=*"]
    subprocess.run([*command, "--numeric-owner"], check=True, capture_output=True)
    return base / "theirs"


def _by_umoci(content: bytes, base: Path) -> Path:
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not there")
    oci_layout(base / "image", [content])
    command = ["umoci", "unpack", "--image", f"{base}/image:x", str(base / "bundle")]
    subprocess.run(command, check=True, capture_output=True)
    return base / "bundle/rootfs"


@pytest.fixture(params=[_by_tar, _by_umoci], ids=["GNU tar", "umoci"])
def unpack(request: pytest.FixtureRequest) -> Unpack:
    """Another program's way to make a tree of one layer."""
    found: Unpack = request.param
    return found


def _same(content: bytes, base: Path, unpack: Unpack, *, devices: bool = False) -> Path:
    ours = base / "ours"
    ours.mkdir()
    apply(ours, content, devices=devices)
    assert portrait(ours) == portrait(unpack(content, base))
    return ours


def test_file_capabilities_and_user_attributes_are_those_of_other_programs(tmp_path: Path, unpack: Unpack) -> None:
    content = layer(
        folder("./"),
        file("ping", "content", mode=0o4755, uid=7, gid=8, xattrs={"security.capability": NET_RAW}),
        file("plain", "content", xattrs={"user.bytes": bytes(range(1, 256))}),
        folder("dir", xattrs={"user.of.a.directory": b"yes"}, mode=0o2770, gid=5),
    )
    ours = _same(content, tmp_path, unpack)
    assert os.getxattr(ours / "ping", "security.capability") == NET_RAW
    assert stat.S_IMODE((ours / "ping").stat().st_mode) == 0o4755


@pytest.mark.parametrize("value", [b"", b"nul\0in it"])
def test_odd_values_of_attributes_are_those_of_gnu_tar(value: bytes, tmp_path: Path) -> None:
    content = layer(folder("./"), file("file", xattrs={"user.odd": value}))
    ours = _same(content, tmp_path, _by_tar)
    assert os.getxattr(ours / "file", "user.odd") == value


def test_an_empty_attribute_which_go_takes_for_none_is_there(tmp_path: Path) -> None:
    content = layer(folder("./"), file("file", xattrs={"user.odd": b""}))
    theirs = _by_umoci(content, tmp_path)
    assert os.listxattr(theirs / "file") == []


@pytest.mark.parametrize(
    "seconds", ["1.000000001", "-1.5", "-0.25", "0.999999999", "4294967296.5", "1600000000.1234567899"]
)
def test_times_are_those_of_other_programs_to_the_nanosecond(seconds: str, tmp_path: Path, unpack: Unpack) -> None:
    _same(layer(folder("./", mtime=seconds), file("file", mtime=seconds)), tmp_path, unpack)


@pytest.mark.skipif(not Powers.of_this_process().devices, reason="needs the right to make device nodes")
def test_devices_are_those_of_other_programs(tmp_path: Path, unpack: Unpack) -> None:
    nodes = device("null", 1, 3, mode=0o666), device("disk", 259, 70000, b"4", mode=0o660, gid=6)
    _same(layer(folder("./"), *nodes, fifo("pipe", mode=0o600, uid=3)), tmp_path, unpack, devices=True)
