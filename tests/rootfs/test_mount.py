"""overlayfs mounted, by the new interface of the kernel and by the old one."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.errors import Unsupported
from puller.rootfs import libc
from puller.rootfs.mount import detached, mount, unmount
from tests.conftest import ROOT
from tests.rootfs.layering import open_files, words

FSOPEN = 430


@pytest.fixture
def layers(scratch: Path) -> list[Path]:
    """Three directories, the nearest first, each with a file of its own; skips where nothing can be mounted."""
    found = []
    for name in "cba":
        folder = scratch / name
        folder.mkdir()
        (folder / name).write_text(name)
        (folder / "all").write_text(name)
        found.append(folder)
    try:
        os.close(detached(found))
    except Unsupported as error:
        pytest.skip(str(error))
    return found


@pytest.fixture
def target(scratch: Path) -> Iterator[Path]:
    folder = scratch / "target"
    folder.mkdir()
    yield folder
    if folder.is_mount():
        unmount(folder)


@pytest.fixture(params=["new", "old"])
def interface(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernel as it is, and one that has no fsopen for overlayfs."""
    if request.param == "old":
        real = libc.syscall

        def syscall(number: int, *arguments: int) -> int:
            if number == FSOPEN:
                raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
            return real(number, *arguments)

        monkeypatch.setattr(libc, "syscall", syscall)
    return str(request.param)


MERGED = {"a": "'a'", "b": "'b'", "c": "'c'", "all": "'c'"}


def test_layers_are_shown_at_a_mount_point_read_only(layers: list[Path], target: Path, interface: str) -> None:
    mount(layers, target)
    assert words(target) == MERGED
    with pytest.raises(OSError, match="Read-only"):
        (target / "new").touch()
    unmount(target)
    assert words(target) == {}


def test_f8_setuid_files_and_devices_do_not_work_where_layers_are_shown(
    layers: list[Path], target: Path, interface: str
) -> None:
    mount(layers, target)
    flags = os.statvfs(target).f_flag
    assert flags & os.ST_NOSUID
    assert flags & os.ST_NODEV


def test_one_layer_alone_can_be_mounted(layers: list[Path], target: Path) -> None:
    mount(layers[:1], target)
    assert words(target) == {"c": "'c'", "all": "'c'"}


def test_many_layers_with_long_names_can_be_mounted(
    layers: list[Path], target: Path, scratch: Path, interface: str
) -> None:
    deep = scratch.joinpath(*["long" * 20] * 4)
    deep.mkdir(parents=True)
    many = []
    for number in range(127):
        (deep / str(number)).mkdir()
        (deep / str(number) / f"f{number}").touch()
        many.append(deep / str(number))
    mount(many, target)
    assert len(list(target.iterdir())) == 127


def test_names_that_options_would_stumble_over_can_be_mounted(
    layers: list[Path], target: Path, scratch: Path, interface: str
) -> None:
    odd = scratch / "a:b,c\\d\n"
    odd.mkdir()
    (odd / "odd").touch()
    mount([odd, *layers], target)
    assert words(target) == {**MERGED, "odd": "''"}


def test_a_detached_tree_is_nowhere_and_gone_when_it_is_closed(layers: list[Path]) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    fd = detached(layers)
    try:
        assert words(Path(f"/proc/self/fd/{fd}")) == MERGED
        assert Path("/proc/self/mountinfo").read_text() == mounts
    finally:
        os.close(fd)


def test_no_file_stays_open(layers: list[Path], target: Path) -> None:
    before = open_files()
    mount(layers, target)
    unmount(target)
    os.close(detached(layers[:1]))
    assert open_files() == before


def test_what_is_no_mount_point_cannot_be_unmounted(scratch: Path) -> None:
    with pytest.raises(Unsupported, match="cannot be unmounted"):
        unmount(scratch)


def test_a_mount_that_is_in_use_is_not_taken_away(layers: list[Path], target: Path) -> None:
    mount(layers, target)
    with (target / "a").open(), pytest.raises(Unsupported, match="busy"):
        unmount(target)
    assert words(target) == MERGED


def test_a_layer_that_is_not_there_is_told(layers: list[Path], target: Path, scratch: Path) -> None:
    with pytest.raises(Unsupported, match="No such file"):
        mount([*layers, scratch / "nowhere"], target)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_who_may_not_mount_is_told_why(scratch: Path) -> None:
    program = (
        "from pathlib import Path; from puller.errors import Unsupported; from puller.rootfs.mount import detached\n"
        "try: detached([Path('/usr'), Path('/etc')])\n"
        "except Unsupported as error: print(error)"
    )
    command = [sys.executable, "-c", program]
    drop = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-all"]
    done = subprocess.run([*drop, *command], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "Operation not permitted" in done.stdout
