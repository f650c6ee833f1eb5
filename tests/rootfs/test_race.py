"""A local attacker who swaps directories for links while a layer is unpacked: he can spoil the tree, nothing else."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from puller.errors import PullerError
from puller.rootfs.inside import Root
from puller.rootfs.openat2 import Opener
from tests.rootfs.gauntlet import place
from tests.rootfs.layering import apply, file, folder, hardlink, layer, symlink

pytestmark = pytest.mark.slow


ROUNDS = 25


@contextmanager
def attacker(dest: Path, victim: Path) -> Iterator[list[int]]:
    """In a thread of its own: `a` and `a/b` become links to the victim, and directories again, as fast as can be."""
    swaps = [0]
    going = threading.Event()
    going.set()

    def swap(path: Path) -> None:
        aside = path.with_name("aside")
        path.rename(aside)
        with suppress(OSError):
            path.symlink_to(victim)
        swaps[0] += 1
        with suppress(OSError):
            path.unlink()
        aside.rename(path)

    def work() -> None:
        while going.is_set():
            for path in (dest / "a", dest / "a/b"):
                with suppress(OSError):
                    swap(path)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield swaps
    finally:
        going.clear()
        thread.join()


def test_f6_a_racing_attacker_never_turns_a_write_outwards(opener: Opener, scratch: Path) -> None:
    entries = []
    for number in range(60):
        entries += [
            folder("a", mode=0o777),
            folder("a/b", mode=0o4777, uid=7, mtime=99),
            file("a/b/hello", "bad", mode=0o4777, uid=7),
            symlink("a/b/l", "hello", uid=7),
            hardlink("a/b/h", "a/b/hello"),
            file("a/.wh.b"),
            file(f"a/b/{number}", "bad"),
        ]
    archive = layer(*entries)
    outcomes = set()
    with place(scratch, "attack") as found:
        with attacker(found.dest, found.base / "victim") as swaps:
            for _ in range(ROUNDS):
                try:
                    apply(found.dest, archive, opener=opener)
                    outcomes.add("done")
                except PullerError as error:
                    outcomes.add(type(error).__name__)
        assert found.is_untouched
    assert swaps[0] > 0
    assert outcomes <= {"done", "StoreUnusable", "UnsafePath", "InvalidArchive"}


def test_f6_an_open_directory_swapped_for_a_link_is_still_itself(opener: Opener, scratch: Path) -> None:
    """What the race may hit or miss, done step by step."""
    (scratch / "victim").mkdir()
    (scratch / "root/a").mkdir(parents=True)
    fd = os.open(scratch / "root", os.O_RDONLY)
    with Root(fd, opener=opener) as root:
        found = root.find((b"a",))
        assert found is not None
        root.keep(b"a", found)
        (scratch / "root/a").rename(scratch / "root/b")
        (scratch / "root/a").symlink_to(scratch / "victim")
        held = root.cached(b"a")
        assert held is not None
        os.mkdir(b"x", dir_fd=held.fd)
    os.close(fd)
    assert (scratch / "root/b/x").is_dir()
    assert list((scratch / "victim").iterdir()) == []
