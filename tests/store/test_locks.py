"""Locks between tasks, stores and processes."""

import os
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from anyio import CapacityLimiter

from puller.store.files import Files
from puller.store.locks import LONGEST_WAIT, Locks, patiently, try_lock
from puller.store.worker import Worker

HOLDER = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def locks() -> Locks:
    return Locks(Files(), Worker(CapacityLimiter(8)), sleep=anyio.sleep)


async def test_one_holder_at_a_time_in_the_order_of_coming(path: Path) -> None:
    mine, order, inside = locks(), list[int](), 0

    async def work(number: int) -> None:
        nonlocal inside
        async with mine.held(path):
            inside += 1
            assert inside == 1
            order.append(number)
            await anyio.lowlevel.checkpoint()
            inside -= 1

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(work, number)
    assert order == sorted(order)


async def test_r5_two_stores_hold_each_other_off(path: Path) -> None:
    mine, theirs = locks(), locks()
    async with mine.held(path), theirs.attempted(path) as free:
        assert not free
    async with theirs.attempted(path) as free:
        assert free


async def test_waiting_can_be_cancelled_and_leaves_nothing(path: Path) -> None:
    mine, theirs = locks(), locks()
    async with mine.held(path):
        with anyio.move_on_after(0.05) as scope:
            async with theirs.held(path):
                pytest.fail("two hold one lock")
        assert scope.cancelled_caught
    async with theirs.attempted(path) as free:
        assert free


async def test_waiters_wait_longer_and_longer_up_to_a_bound() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def attempt() -> bool | None:
        return True if len(waits) == 20 else None

    assert await patiently(attempt, sleep=sleep)
    assert waits == sorted(waits)
    assert waits[0] < 0.01
    assert waits[-1] == LONGEST_WAIT


def test_r5_a_lock_of_a_dead_process_is_free(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert try_lock(Files(), path) is None
        holder.kill()
    fd = try_lock(Files(), path)
    assert fd is not None
    os.close(fd)


def test_a_lock_file_that_was_swept_while_it_was_opened_does_not_count(path: Path) -> None:
    class SweptInBetween(Files):
        def lock(self, fd: int) -> bool:
            path.unlink()
            path.touch()  # and another process has made its own already
            return super().lock(fd)

    assert try_lock(SweptInBetween(), path) is None


def test_no_file_stays_open_when_locking_fails(path: Path) -> None:
    class Failing(Files):
        def lock(self, fd: int) -> bool:
            raise OSError(5, "Input/output error")

    before = sorted(entry.name for entry in Path("/proc/self/fd").iterdir())
    with pytest.raises(OSError, match="Input/output"):
        try_lock(Failing(), path)
    assert sorted(entry.name for entry in Path("/proc/self/fd").iterdir()) == before
