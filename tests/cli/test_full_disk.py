"""A wholly full disk: what is there can still be removed."""

import os
from pathlib import Path

import pytest

from testregistry import TestRegistry
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs a small file system of its own"),
]


def fill(disk: Path) -> None:
    """Take every free block."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def free(disk: Path) -> int:
    """Free bytes."""
    state = os.statvfs(disk)
    return state.f_bavail * state.f_frsize


@pytest.mark.parametrize("verb", ["rm", "gc"])
def test_r11_what_is_there_can_be_removed_from_a_disk_without_a_free_block(
    puller: Puller, registry: TestRegistry, disk: Path, verb: str
) -> None:
    store = ("--store", str(disk / "store"))
    name = registry.name("app:1")
    registry.add("app:1", IMAGE)
    assert puller(name, *store).code == 0
    fill(disk)
    assert free(disk) == 0
    end = puller("rm", name, *store) if verb == "rm" else puller("gc", *store)
    assert (end.code, end.err) == (0, "")
    assert puller("images", *store).out.count(name) == (0 if verb == "rm" else 1)
    assert free(disk) > 0
    (disk / "filler").unlink()
    assert puller("gc", *store).code == 0
    assert (disk / "store" / "spare").stat().st_size == 1 << 20
    assert puller("verify", "--all", *store).code == 0


def test_a_small_disk_has_no_spare_to_give(puller: Puller, registry: TestRegistry, disk: Path) -> None:
    registry.add("app:1", IMAGE)
    with (disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 40 << 20)
    assert puller("gc", "--store", str(disk / "store")).code == 0
    assert not (disk / "store" / "spare").exists()
