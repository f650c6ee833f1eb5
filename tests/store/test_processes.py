"""One store, many processes, some of them killed."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from puller.model.digest import Digest
from puller.store.audit import audit
from puller.store.disk import DiskStore
from puller.store.gc import collect
from tests.conftest import ROOT
from tests.contracts.sample import blob, stored
from tests.store.child import IMAGES, PIECE, image_of

SIZE = 40 * PIECE


@contextmanager
def child(root: Path, verb: str, *numbers: int) -> Iterator["subprocess.Popen[str]"]:
    """A running child; killed at the end of the block if it is still there."""
    command = [sys.executable, "-m", "tests.store.child", str(root), verb, *map(str, numbers)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_r1(root: Path) -> None:
    """Every file under blobs/ is what its name says."""
    for path in (root / "blobs").glob("*/*"):
        assert str(Digest.of(path.read_bytes(), path.parent.name)) == f"{path.parent.name}:{path.name}"


def killed_after(root: Path, lines: int) -> list[str]:
    """What a writer said before it was killed, after so many lines."""
    said: list[str] = []
    with child(root, "write", SIZE, 1) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.strip())
            if len(said) == lines:
                process.kill()
    return said


@pytest.mark.slow
async def test_r1_r6_a_writer_killed_at_any_moment_is_resumed_by_the_next(tmp_path: Path) -> None:
    root, chance = tmp_path / "store", random.Random(7)
    held = 0
    for _ in range(6):
        said = killed_after(root, chance.randrange(1, 9))
        assert_r1(root)
        if said[0] == "present":
            break  # on a busy machine the kill of the one before came too late
        words = [line.split() for line in said if len(line.split()) == 2]  # the last one may be cut in the middle
        assert words[0][0] == "from"
        assert held - PIECE <= int(words[0][1])
        held = int(words[-1][1])
    assert held > 0
    said = killed_after(root, -1)
    assert said[-2:] in (["committed", "tagged"], ["present", "tagged"])
    store = await DiskStore.open(root)
    assert await store.read(blob(SIZE, 1).descriptor, limit=SIZE) == blob(SIZE, 1).content
    assert (await audit(store)).findings == ()


@pytest.mark.slow
def test_r5_n30_of_four_processes_one_writes_and_the_others_find_it(tmp_path: Path) -> None:
    processes = []
    for _ in range(4):
        command = [sys.executable, "-m", "tests.store.child", str(tmp_path / "store"), "write", str(SIZE), "1"]
        processes.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=60)[0].split("\n") for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sum("committed" in lines for lines in said) == 1
    assert sum("present" in lines for lines in said) == 3


@pytest.mark.slow
def test_r5_a_waiting_process_goes_on_where_a_killed_one_stopped(tmp_path: Path) -> None:
    root = tmp_path / "store"
    with child(root, "write", SIZE, 1) as first:
        assert first.stdout is not None
        while not first.stdout.readline().startswith("wrote"):
            pass
        with child(root, "write", SIZE, 1) as second:
            first.kill()
            out, _ = second.communicate(timeout=60)
    lines = out.split("\n")
    if "present" not in lines:  # the first was not faster than its killer
        assert int(lines[0].removeprefix("from ")) >= PIECE
        assert "committed" in lines


def churn(root: Path, chance: random.Random, processes: int) -> None:
    """Let processes churn until one of them has done some rounds, and kill them all in the middle of another."""
    with ExitStack() as stack:
        running = [stack.enter_context(child(root, "churn", chance.randrange(1000))) for _ in range(processes)]
        stdout = running[0].stdout
        assert stdout is not None
        for _ in range(chance.randrange(1, 12)):
            assert stdout.readline() == "done\n", running[0].communicate()[1]
        time.sleep(chance.random() / 20)
        for process in running:
            process.kill()
        for process in running:
            _, err = process.communicate()
            assert "Error" not in err, err
    assert_r1(root)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=[pytest.mark.torture, pytest.mark.timeout(600)])])
async def test_r12_pulls_removals_and_collections_of_many_processes_never_lose_named_content(
    tmp_path: Path, kills: int
) -> None:
    root, chance = tmp_path / "store", random.Random(3)
    for _ in range(kills):
        churn(root, chance, processes=4)
    store = await DiskStore.open(root)
    assert (await audit(store)).findings == ()
    await collect(store, days=0)
    named = {name.rpartition(":")[2] for name in await store.tags()}
    kept = set().union(*(image_of(number).digests for number in range(IMAGES) if str(number) in named))
    assert set(await stored(store)) == kept
    assert {path.name for path in store.layout.locks.iterdir()} <= {"probe", "facts", "index"}
    assert list(store.layout.leases.iterdir()) == []
