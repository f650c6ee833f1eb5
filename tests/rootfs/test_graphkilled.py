"""Trees of the graph under a kernel that kills or fails at any system call: those of images are whole.

`make torture` tries every call; elsewhere a seeded sample runs.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tracing
from tests.rootfs.graphmaker import IDS, make, opened
from tests.rootfs.portrait import Facts, portrait
from tests.tracing import ERRORS

# As in test_killed.
CALLS = (
    "openat", "mkdirat", "write", "fchmod", "utimensat", "?renameat,?renameat2", "unlinkat", "syncfs", "fsync",
    "newfstatat",
)  # fmt: skip
LONGEST = 200  # more calls of one kind than two trees take

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("strace")]


def paths(root: Path) -> Iterator[Path]:
    """The directories that the work goes on in, and their files."""
    vfs = root / "vfs"
    staged = [vfs / "puller/staging" / f"vfs-{image_id}" for image_id in IDS]
    tops = [folder / name for folder in staged for name in ("diff", "tree", "about")]
    tops += [vfs / place / image_id for place in ("dir", "puller") for image_id in IDS]
    yield from (root, vfs, vfs / "dir", vfs / "puller", vfs / "puller/staging", *staged, *tops)
    yield from (folder / name for folder in staged for name in ("altered.jsonl", "layer.json"))
    for top in tops:
        yield from (top / "d", top / "d/shadow", top / "d/c", top / "b")


def pictures(root: Path) -> dict[str, Facts]:
    """The trees of all images that are in the graph."""
    found = root / "graph"
    return {path.name: portrait(root / "vfs/dir" / path.name) for path in found.iterdir()} if found.exists() else {}


def hindered(base: Path, call: str, how: str, when: int) -> bool:
    """One try with one call hindered, and the proof that it did no harm; whether the call was reached at all."""
    place, model, log = base / "place", base / "model", base / "log"
    base.mkdir(exist_ok=True)
    make(model)
    child = ["tests.rootfs.graphmaker", str(place), "make"]
    reached = tracing.hindered(child, paths(place), log, call=call, how=how, when=when)
    expected = pictures(model)
    for image_id, picture in pictures(place).items():
        assert picture == expected[image_id], f"{image_id} is an image and its tree not whole"
    make(place)
    assert pictures(place) == expected
    opened(place).sweep()
    assert list((place / "vfs/puller/staging").iterdir()) == []
    assert sorted(path.name for path in (place / "vfs/dir").iterdir()) == sorted(IDS)
    return reached


def sample(seed: int, count: int) -> list[tuple[str, int]]:
    chance = random.Random(seed)
    return [(chance.choice(CALLS), chance.randrange(1, 6)) for _ in range(count)]


@pytest.mark.parametrize(("call", "when"), sample(1, 6))
def test_r4_killed_at_a_system_call_the_trees_of_images_are_whole(scratch: Path, call: str, when: int) -> None:
    hindered(scratch, call, "signal=SIGKILL", when)


@pytest.mark.parametrize(("call", "when"), sample(2, 3))
@pytest.mark.parametrize("error", ERRORS)
def test_r11_failed_at_a_system_call_the_trees_of_images_are_whole(
    scratch: Path, call: str, when: int, error: str
) -> None:
    hindered(scratch, call, f"error={error}", when)


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", ["signal=SIGKILL", *(f"error={error}" for error in ERRORS)])
@pytest.mark.parametrize("call", CALLS)
def test_every_system_call_may_kill_or_fail(scratch: Path, call: str, how: str) -> None:
    for when in range(1, LONGEST):
        place = scratch / str(when)
        if not hindered(place, call, how, when):
            return
        shutil.rmtree(place)
    pytest.fail(f"{call} is made more often than {LONGEST} times")
