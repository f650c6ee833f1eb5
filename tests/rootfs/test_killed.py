"""Unpacking under a kernel that kills or fails at any system call: what is shown is whole, and the next try succeeds.

`make torture` tries every call; elsewhere a seeded sample runs.
"""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import tracing
from tests.rootfs.portrait import Facts, portrait
from tests.rootfs.shelver import NAMES, TOKEN, driver, unpack
from tests.tracing import ERRORS

KINDS = ("overlay", "vfs", "flat")
# What changes the disk; `when` counts the calls on the paths below. What strace has not on a machine starts with `?`.
CALLS = (
    "openat", "mkdirat", "mknodat", "write", "fchmod", "fchown", "utimensat", "?renameat,?renameat2", "unlinkat",
    "fsetxattr", "syncfs", "fsync", "linkat", "newfstatat",
)  # fmt: skip
LONGEST = 200  # more calls of one kind than two layers take

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("strace")]


def paths(place: Path, kind: str) -> Iterator[Path]:
    """The directories that the work goes on in, and its files."""
    layers = place / "layers"
    if kind == "flat":
        sibling = place / f".root.puller-{TOKEN}"
        tops = [sibling / "tree", sibling / "layer-1", sibling / "layer-2"]
        yield from (place, sibling, place / "root")
    else:
        staged = [layers / "staging" / f"{kind}-{name}" for name in NAMES]
        tops = [folder / name for folder in staged for name in ("diff", "tree")]
        yield from (layers, layers / "staging", layers / kind, *staged, *(layers / kind / name for name in NAMES))
        yield from (folder / name for folder in staged for name in ("altered.jsonl", "layer.json"))
    for top in tops:
        yield from (top, top / "d", top / "e", top / "d/a", top / "d/c", top / "b")


def pictures(place: Path, kind: str) -> dict[str, Facts]:
    """All that is shown, by name."""
    if kind == "flat":
        return {"root": portrait(place / "root")} if (place / "root").exists() else {}
    shelf = driver(place, kind)
    return {name: portrait(shelf.path(name)) for name in shelf.layers()}


@contextmanager
def unlocked(name: str) -> Iterator[bool]:
    """The lock of a dead process."""
    yield True


def left(place: Path, kind: str) -> list[Path]:
    """What is neither shown nor a directory of work."""
    if kind == "flat":
        return [path for path in place.iterdir() if path.name != "root"]
    return list((place / "layers/staging").iterdir())


def hindered(base: Path, kind: str, call: str, how: str, when: int) -> bool:
    """One try with one call hindered, and the proof that it did no harm; whether the call was reached at all."""
    place, model, log = base / "place", base / "model", base / "log"
    for folder in (place, model):
        folder.mkdir(parents=True)
    unpack(model, kind)
    child = ["tests.rootfs.shelver", str(place), kind]
    reached = tracing.hindered(child, paths(place, kind), log, call=call, how=how, when=when)
    expected = pictures(model, kind)
    for name, picture in pictures(place, kind).items():
        assert picture == expected[name], f"{name} is shown and not whole"
    if kind != "flat" or not (place / "root").exists():
        unpack(place, kind)
    assert pictures(place, kind) == expected
    if kind != "flat":
        driver(place, kind).sweep(unlocked)
    elif left(place, kind):
        (place / "root").rename(base / "done")  # whoever comes next for the same name sweeps
        unpack(place, kind)
    assert left(place, kind) == []
    return reached


def sample(seed: int, count: int) -> list[tuple[str, str, int]]:
    chance = random.Random(seed)
    return [(chance.choice(KINDS), chance.choice(CALLS), chance.randrange(1, 6)) for _ in range(count)]


@pytest.mark.parametrize(("kind", "call", "when"), sample(1, 8))
def test_r4_killed_at_a_system_call_it_is_absent_or_whole(scratch: Path, kind: str, call: str, when: int) -> None:
    hindered(scratch, kind, call, "signal=SIGKILL", when)


@pytest.mark.parametrize(("kind", "call", "when"), sample(2, 6))
@pytest.mark.parametrize("error", ERRORS)
def test_r11_failed_at_a_system_call_it_is_absent_or_whole(
    scratch: Path, kind: str, call: str, when: int, error: str
) -> None:
    hindered(scratch, kind, call, f"error={error}", when)


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", ["signal=SIGKILL", *(f"error={error}" for error in ERRORS)])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_system_call_may_kill_or_fail(scratch: Path, kind: str, call: str, how: str) -> None:
    for when in range(1, LONGEST):
        place = scratch / str(when)
        if not hindered(place, kind, call, how, when):
            return
        shutil.rmtree(place)
    pytest.fail(f"{call} is made more often than {LONGEST} times")
