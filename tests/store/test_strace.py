"""The store under a kernel that fails or kills at any system call, and what it writes in which order.

`make torture` tries every call; elsewhere a seeded sample runs.
"""

import errno
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from puller.model.reference import Reference
from puller.store.audit import audit
from puller.store.disk import DiskStore
from tests import tracing
from tests.conftest import ROOT
from tests.contracts.sample import blob, stored
from tests.store.child import PIECE
from tests.tracing import ERRORS

SIZE = 3 * PIECE
WANTED = blob(SIZE, 1)
NAME = "docker.io/library/app:1"

# Every system call with which the store changes or trusts the disk; `when` counts the calls on the store's own paths.
# strace reads a name after a slash as a pattern: which preadv an interpreter uses depends on its C library.
CALLS = (
    "openat", "mkdir", "pwrite64", "/preadv", "ftruncate", "fsync", "fchmod", "rename", "unlink", "rmdir",
    "flock", "newfstatat",
)  # fmt: skip
LONGEST = 30  # more calls of one kind than a write and a tag take

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("strace")]


def paths(root: Path) -> list[Path]:
    """The paths that one write and one tag touch."""
    name = f"sha256-{WANTED.digest.hex}"
    part = root / "ingest" / name
    inner = [root / "blobs" / "sha256", root / "blobs" / "sha256" / WANTED.digest.hex, root / "locks" / name]
    index = [root / "locks" / "index", root / "index.json", root / "ingest" / "index.json.new", root]
    return [part, part / "data", part / "clean", *inner, *index]


def child(root: Path) -> list[str]:
    """The words of a program that writes and tags."""
    return ["tests.store.child", str(root), "write", str(SIZE), "1"]


def traced(root: Path, log: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Write and tag under strace, which sees the calls on the store's paths only."""
    watched = [word for path in paths(root) for word in ("-P", str(path))]
    command = ["strace", "-f", "-y", "-o", str(log), *options, *watched, sys.executable, "-m", *child(root)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


async def begun(tmp_path: Path) -> Path:
    """A store with an unfinished blob, so that the next write reads and truncates as well."""
    layout = (await DiskStore.open(tmp_path / "store", reserve=0)).layout
    part = layout.ingest(WANTED.digest)
    part.mkdir()
    (part / "data").write_bytes(WANTED.content[: PIECE + 5])
    return layout.root


async def hindered(tmp_path: Path, call: str, how: str, when: int) -> bool:
    """One try with one call hindered, and the proof that it did no harm; whether the call was reached at all."""
    root, log = await begun(tmp_path), tmp_path / "log"
    reached = tracing.hindered(child(root), paths(root), log, call=call, how=how, when=when)
    store = await DiskStore.open(root, reserve=0)
    assert (await audit(store)).findings == ()
    if NAME in await store.tags():
        assert await stored(store) == [WANTED.digest]
    assert "tagged" in traced(root, log).stdout
    assert (await store.resolve(Reference.parse("app:1"))).digest == WANTED.digest
    assert await store.read(WANTED.descriptor, limit=SIZE) == WANTED.content
    assert list(store.layout.ingests.iterdir()) == []
    return reached


def sample(seed: int, count: int) -> list[tuple[str, int]]:
    chance = random.Random(seed)
    return [(chance.choice(CALLS), chance.randrange(1, 4)) for _ in range(count)]


@pytest.mark.parametrize(("call", "when"), sample(1, 4))
async def test_r1_killed_at_a_system_call_the_store_is_sound_and_the_next_try_succeeds(
    tmp_path: Path, call: str, when: int
) -> None:
    await hindered(tmp_path, call, "signal=SIGKILL", when)


@pytest.mark.parametrize(("call", "when"), sample(2, 3))
@pytest.mark.parametrize("error", ERRORS)
async def test_l1_l2_failed_at_a_system_call_the_store_is_sound_and_the_next_try_succeeds(
    tmp_path: Path, call: str, when: int, error: str
) -> None:
    assert hasattr(errno, error)
    await hindered(tmp_path, call, f"error={error}", when)


@pytest.mark.torture
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["signal=SIGKILL", *(f"error={error}" for error in ERRORS)])
@pytest.mark.parametrize("call", CALLS)
async def test_every_system_call_may_kill_or_fail(tmp_path: Path, call: str, how: str) -> None:
    for when in range(1, LONGEST):
        place = tmp_path / str(when)
        place.mkdir()
        if not await hindered(place, call, how, when):
            assert when > 1, "the call was never made: the list of calls is out of date"
            return
    pytest.fail(f"{call} is made more often than {LONGEST} times")


@dataclass(frozen=True)
class Call:
    """One traced system call: the lines of the log where it began and ended."""

    name: str
    text: str
    began: int
    ended: int


def calls_in(log: str) -> Iterator[Call]:
    lines = [line.split(maxsplit=1) for line in log.splitlines()]
    for began, (thread, text) in enumerate(lines):
        match = re.match(r"(\w+)\(", text)
        if match is None:
            continue
        ended = began
        if text.endswith("<unfinished ...>"):
            rest = f"<... {match[1]} resumed>"
            ended = next(
                i for i, (other, line) in enumerate(lines) if i > began and other == thread and line.startswith(rest)
            )
        yield Call(match[1], text, began, ended)


async def test_r1_r2_each_step_has_reached_the_disk_before_the_next_begins(tmp_path: Path) -> None:
    root, log = await begun(tmp_path), tmp_path / "log"
    assert traced(root, log, "-e", "trace=pwrite64,write,fsync,fdatasync,rename,renameat,renameat2").returncode == 0
    calls = list(calls_in(log.read_text()))
    part, index = str(root / "ingest" / f"sha256-{WANTED.digest.hex}" / "data"), str(root / "ingest" / "index.json.new")

    def last(name: str, text: str) -> Call:
        return [call for call in calls if call.name == name and text in call.text][-1]

    steps = [
        last("pwrite64", f"<{part}>"),
        last("fsync", f"<{part}>"),
        last("rename", f'"{part}"'),
        last("fsync", f"<{root / 'blobs' / 'sha256'}>"),
        last("pwrite64", f"<{index}>"),
        last("fsync", f"<{index}>"),
        last("rename", f'"{index}"'),
        last("fsync", f"<{root}>"),
    ]
    for step, following in pairwise(steps):
        assert step.ended <= following.began, (step, following)
