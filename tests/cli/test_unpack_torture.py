"""`puller unpack` under a kernel that fails or kills at any system call: the directory is complete or absent.

`make torture` tries every call; elsewhere a seeded sample runs. strace counts the calls of each process by itself, so
the one that talks, the one that forks and those that unpack are all hindered in turn.
"""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from puller.cli.main import run
from testregistry import images
from tests.cli.picture import PLATFORM
from tests.cli.serving import serving
from tests.conftest import ROOT
from tests.rootfs.layering import census
from tests.tracing import missing

# With which calls unpacking changes the disk, or its processes talk.
CALLS = (
    "mkdirat", "openat", "write", "fchown", "fchmod", "utimensat", "symlinkat", "linkat", "unlinkat", "mknodat",
    "/rename", "fsetxattr", "syncfs", "fsync", "flock", "pread64", "sendto", "sendmsg", "recvmsg", "socketpair",
    "/clone", "prctl", "ftruncate",
)  # fmt: skip
ERRORS = ("ENOSPC", "EIO")
LONGEST = 4_000  # more calls of one kind than one process makes
MOST_TRIES = 16  # of one kind, spread over all of them

BASE = images.layer(
    {
        "etc": images.Directory(),
        "etc/motd": b"hello\n" * 3000,
        "etc/link": images.Symlink("motd"),
        "bin/a": images.File(b"#!", mode=0o4755, uid=7, gid=8, xattrs=(("user.note", "x"),)),
        "bin/b": images.Hardlink("bin/a"),
        "run/pipe": images.Device("p"),
        "old/x": b"x",
        "old/y": b"y",
    }
)
TOP = images.layer({"old/.wh.x": b"", "etc/motd": b"bye\n", "srv/.wh..wh..opq": b"", "srv/new": b"n" * 200_000})
THROUGH = images.layer({"lib": images.Symlink("bin")})
UPON = images.layer({"lib/deep/file": b"led through a link of a lower layer"})
IMAGE = images.image(BASE, TOP, THROUGH, UPON, platform=PLATFORM)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A reference and a store that holds it; the registry is gone."""
    if reason := missing():
        pytest.skip(reason)
    store = tmp_path_factory.mktemp("torture") / "store"
    with serving() as registry:
        registry.add("app:1", IMAGE)
        name = registry.name("app:1")
        assert run(("pull", "--no-unpack", "-q", "--store", str(store), name)) == 0
    return name, store


def unpack(stored: tuple[str, Path], target: Path, *strace: str) -> "subprocess.CompletedProcess[str]":
    name, store = stored
    command = [*strace, sys.executable, "-m", "puller", "unpack", name, str(target), "--store", str(store), "-q"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def picture(root: Path) -> dict[str, tuple[object, ...]]:
    """All there is to know of a tree, but for inodes and when they changed."""
    return {path: (facts[0], *facts[2:-1]) for path, facts in census(root).items()}


@pytest.fixture(scope="module")
def whole(stored: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, ...]]:
    """The tree as it must be."""
    target = tmp_path_factory.mktemp("whole") / "root"
    result = unpack(stored, target)
    assert result.returncode == 0, result.stderr
    found = picture(target)
    assert "bin/deep/file" in found
    assert "old/x" not in found
    return found


def hindered(
    stored: tuple[str, Path], whole: dict[str, tuple[object, ...]], place: Path, call: str, how: str, when: int
) -> bool:
    """One try with one call hindered, and the proof that it did no harm; whether the call was reached at all."""
    place.mkdir()
    log, target = place.with_suffix(".log"), place / "root"
    strace = ("strace", "-f", "-o", str(log), "-e", f"trace={call}", "-e", f"inject={call}:{how}:when={when}")
    result = unpack(stored, target, *strace)
    said = log.read_text(errors="replace")
    if target.exists():
        assert picture(target) == whole, f"{call} {how} {when}"
    elif "KILL" not in how:
        assert result.returncode not in (0, -9), "it said it was done"
        left = [path.name for path in place.iterdir()]
        # What cannot be removed stays, for the next run to remove.
        assert left == [] or (call == "unlinkat" and left[0].startswith(".root.puller-")), (
            f"{call} {how} {when}: {left}"
        )
    # The interpreter itself may have been hit while it started: that is not ours to word.
    starting = "import" in result.stderr or "<frozen getpath>" in result.stderr
    assert "Traceback" not in result.stderr or starting, result.stderr
    again = unpack(stored, place / "root" if not target.exists() else place / "again")
    assert again.returncode == 0, again.stderr
    assert [path.name for path in place.iterdir() if path.name.startswith(".")] == [] or target.exists()
    shutil.rmtree(place)
    return "INJECTED" in said or "killed by SIGKILL" in said


def sample(seed: int, count: int) -> list[tuple[str, int]]:
    chance = random.Random(seed)
    return [(chance.choice(CALLS), chance.choice((1, 2, 3, 5, 8))) for _ in range(count)]


@pytest.mark.parametrize(("call", "when"), sample(5, 5))
def test_r4_killed_at_a_system_call_the_directory_is_complete_or_absent(
    stored: tuple[str, Path], whole: dict[str, tuple[object, ...]], tmp_path: Path, call: str, when: int
) -> None:
    hindered(stored, whole, tmp_path / "place", call, "signal=SIGKILL", when)


@pytest.mark.parametrize(("call", "when"), sample(6, 5))
def test_r11_l1_failed_at_a_system_call_the_directory_is_complete_or_absent(
    stored: tuple[str, Path], whole: dict[str, tuple[object, ...]], tmp_path: Path, call: str, when: int
) -> None:
    hindered(stored, whole, tmp_path / "place", call, "error=ENOSPC", when)


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", ["signal=SIGKILL", *(f"error={error}" for error in ERRORS)])
@pytest.mark.parametrize("call", CALLS)
def test_every_system_call_of_an_unpack_may_kill_or_fail(
    stored: tuple[str, Path], whole: dict[str, tuple[object, ...]], tmp_path: Path, call: str, how: str
) -> None:
    when, tries = 1, 0
    while hindered(stored, whole, tmp_path / str(when), call, how, when):
        # Every one of the first, then ever fewer: the interpreter's own start makes hundreds of some.
        tries += 1
        when += 1 + when // 12
        if tries > MOST_TRIES or when > LONGEST:
            return
    assert tries, "the call was never made: the list of calls is out of date"
