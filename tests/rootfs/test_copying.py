"""A tree copied whole."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from puller.errors import PullerError
from puller.rootfs.copying import copy_tree
from puller.rootfs.inside import Root
from puller.rootfs.powers import Powers
from tests.rootfs.conftest import MEMORY
from tests.rootfs.layering import apply, file, folder, hardlink, layer, open_files, symlink
from tests.rootfs.portrait import portrait
from tests.rootfs.stacks import STACKS, Stack, archives_of


def copied(source: Path, target: Path) -> int:
    """Copy; how often it told that it is alive."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    target.mkdir()
    fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target)]
    try:
        with Root(fds[0]) as one, Root(fds[1]) as other:
            copy_tree(one, other, tick)
    finally:
        for fd in fds:
            os.close(fd)
    return ticks


@pytest.mark.slow
@given(STACKS)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_copy_is_the_same_tree(stack: Stack) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        base = Path(name)
        (base / "one").mkdir()
        try:
            for archive in archives_of(stack):
                apply(base / "one", archive)
        except PullerError:
            return
        before = portrait(base / "one")
        copied(base / "one", base / "two")
        assert portrait(base / "two") == before
        assert portrait(base / "one") == before


def test_large_files_and_their_attributes_are_copied(scratch: Path) -> None:
    content = "0123456789abcdef" * 1_300_000
    (scratch / "one").mkdir()
    apply(scratch / "one", layer(file("big", content, mode=0o4755, uid=3, mtime=-3.5), hardlink("same", "big")))
    os.setxattr(scratch / "one/big", "user.a", b"1")
    ticks = copied(scratch / "one", scratch / "two")
    assert portrait(scratch / "two") == portrait(scratch / "one")
    assert (scratch / "two/big").stat().st_nlink == 2
    assert ticks > 3


def test_devices_are_copied_and_not_opened(scratch: Path) -> None:
    if not Powers.of_this_process().devices:
        pytest.skip("needs the right to make devices")
    (scratch / "one").mkdir()
    os.mknod(scratch / "one/null", 0o020640, os.makedev(1, 3))
    os.mkfifo(scratch / "one/pipe", 0o622)
    (scratch / "one/pipe").chmod(0o622)
    copied(scratch / "one", scratch / "two")
    assert portrait(scratch / "two") == portrait(scratch / "one")


def test_f13_links_are_copied_and_not_followed(scratch: Path) -> None:
    (scratch / "one").mkdir()
    (scratch / "secret").write_text("secret")
    apply(scratch / "one", layer(symlink("l", str(scratch / "secret")), symlink("d", str(scratch))))
    copied(scratch / "one", scratch / "two")
    assert (scratch / "two/l").readlink() == scratch / "secret"
    assert (scratch / "two/d").is_symlink()


def test_deep_trees_are_copied_and_no_file_stays_open(scratch: Path) -> None:
    (scratch / "one").mkdir()
    apply(scratch / "one", layer(*(folder("/".join(["d"] * depth)) for depth in range(1, 200))))
    before = open_files()
    copied(scratch / "one", scratch / "two")
    assert len(list((scratch / "two").rglob("*"))) == 199
    assert open_files() == before


def test_what_the_listener_raises_ends_it_and_no_file_stays_open(scratch: Path) -> None:
    (scratch / "one").mkdir()
    apply(scratch / "one", layer(file("d/a"), file("d/b")))
    (scratch / "two").mkdir()
    before = open_files()

    def tick() -> None:
        raise KeyboardInterrupt

    fds = [os.open(scratch / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("one", "two")]
    with Root(fds[0]) as one, Root(fds[1]) as other, pytest.raises(KeyboardInterrupt):
        copy_tree(one, other, tick)
    for fd in fds:
        os.close(fd)
    assert open_files() == before
    shutil.rmtree(scratch / "two")
