"""Many names in one index.json: written together, read once, and never built on what may have changed."""

import errno
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio import CapacityLimiter

from puller.errors import ContentMissing, DigestMismatch, NoSpace, PullerError
from puller.model.descriptor import Descriptor
from puller.store.files import Files
from puller.store.layout import Layout
from puller.store.locks import Locks
from puller.store.naming import REF_NAME
from puller.store.tags import Tags
from puller.store.worker import Worker
from tests.contracts.sample import Blob, blob
from tests.store.disks import FaultyDisk, NotedDisk, WatchedFiles
from tests.store.plainly import entry, listed, write_layout

LATER = 3600.0  # seconds after which nobody doubts that a file looks different once it has changed


def named(wanted: Blob, name: str) -> Descriptor:
    held = wanted.descriptor
    return Descriptor(held.media_type, held.digest, held.size, {REF_NAME: name})


def tags_of(folder: Path, files: Files | None = None, *, clock: Callable[[], float] = time.time) -> Tags:
    files, worker = files or Files(), Worker(CapacityLimiter(8))
    layout = Layout(folder, ".puller")
    locks = Locks(files, worker, sleep=anyio.sleep)
    return Tags(files, layout, locks, worker, durable=True, clock=clock)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = write_layout(tmp_path / "out", entry(blob(1), "old"))
    for path in Layout(made, ".puller").directories:
        path.mkdir(parents=True, exist_ok=True)
    return made


async def at_once(*work: Callable[[], Any]) -> list[PullerError | None]:
    """What each has raised."""
    failed: list[PullerError | None] = [None] * len(work)

    async def one(place: int) -> None:
        try:
            await work[place]()
        except PullerError as error:
            failed[place] = error

    async with anyio.create_task_group() as group:
        for place in range(len(work)):
            group.start_soon(one, place)
    return failed


def putting(tags: Tags, count: int) -> list[Callable[[], Any]]:
    return [partial(tags.put, named(blob(number), f"v{number}")) for number in range(count)]


async def test_names_that_are_set_at_once_are_written_in_one_go(folder: Path) -> None:
    disk = NotedDisk(folder)
    await at_once(*putting(tags_of(folder, disk.files), 50))
    assert disk.notes.count(("rename", "index.json")) == 1
    assert disk.notes.count(("sync", ".puller/ingest/index.json.new")) == 1
    assert len(listed(folder)) == 51


async def test_each_goes_on_when_its_own_name_is_in_the_file(folder: Path) -> None:
    tags, seen = tags_of(folder), []

    async def one(number: int) -> None:
        await tags.put(named(blob(number), f"v{number}"))
        seen.append(f"v{number}" in listed(folder))

    await at_once(*[partial(one, number) for number in range(20)])
    assert seen == [True] * 20


async def test_what_fails_of_those_written_together_fails_alone(folder: Path) -> None:
    tags = tags_of(folder)
    failed = await at_once(
        lambda: tags.take(["none"]),
        lambda: tags.put(named(blob(2), "new")),
        lambda: tags.drop("old", blob(7).digest),
        lambda: tags.list(blob(3).descriptor),
    )
    assert [type(error) for error in failed] == [ContentMissing, type(None), DigestMismatch, type(None)]
    assert listed(folder) == {
        "old": str(blob(1).digest),
        "new": str(blob(2).digest),
        None: str(blob(3).digest),
    }


@pytest.mark.parametrize("operation", ["open", "write_at", "sync", "rename"])
async def test_l1_a_full_disk_is_the_error_of_each_and_the_next_try_succeeds(folder: Path, operation: str) -> None:
    disk = FaultyDisk(operation, errno.ENOSPC, where="index.json.new")
    tags, before = tags_of(folder, disk.files), (folder / "index.json").read_bytes()
    disk.armed = True
    failed = await at_once(*putting(tags, 5))
    assert [type(error) for error in failed] == [NoSpace] * 5
    assert len(set(map(id, failed))) == 5
    assert (folder / "index.json").read_bytes() == before
    assert await at_once(*putting(tags, 5)) == [None] * 5
    assert len(listed(folder)) == 6


class Slow:
    """A disk that waits, before it syncs index.json or its directory, until it may."""

    def __init__(self, operation: str = "sync") -> None:
        self.operation = operation
        self.begun = threading.Event()
        self.may = threading.Event()
        self.files = WatchedFiles(self._before)

    def _before(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == self.operation:
            self.begun.set()
            assert self.may.wait(20)


async def test_r12_who_is_cancelled_while_its_name_is_written_goes_when_it_is_written(folder: Path) -> None:
    disk, order = Slow(), []
    tags = tags_of(folder, disk.files)

    async def put(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                await tags.put(named(blob(2), name))
            finally:
                order.append((name, name in listed(folder)))

    scopes = {name: anyio.CancelScope() for name in ("first", "follower", "late")}
    async with anyio.create_task_group() as group:
        group.start_soon(put, "first", scopes["first"])
        group.start_soon(put, "follower", scopes["follower"])
        await anyio.to_thread.run_sync(disk.begun.wait)
        group.start_soon(put, "late", scopes["late"])
        await anyio.wait_all_tasks_blocked()
        for scope in scopes.values():
            scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert order == [("late", False)]
        disk.may.set()
    assert sorted(order[1:]) == [("first", True), ("follower", True)]
    assert "late" not in listed(folder)


@pytest.mark.parametrize(("operation", "seen"), [("sync", None), ("sync_directory", blob(2).descriptor)])
async def test_who_reads_while_names_are_written_sees_the_old_or_the_new_file_and_takes_neither_apart(
    folder: Path, operation: str, seen: Descriptor | None, caplog: pytest.LogCaptureFixture
) -> None:
    write_layout(folder, entry(blob(1), "old"), {"digest": "odd"})
    disk = Slow(operation)
    tags = tags_of(folder, disk.files)
    await tags.entries()
    async with anyio.create_task_group() as group:
        group.start_soon(tags.put, named(blob(2), "new"))
        await anyio.to_thread.run_sync(disk.begun.wait)
        assert await tags.named("new") == seen
        await tags.entries()
        disk.may.set()
    await tags.entries()
    assert caplog.text.count("passed over") == 1  # as often as an entry that cannot be read is decoded


class Unmoved(Files):
    """A file system on which index.json never looks different, as within one tick of its clock."""

    def __init__(self) -> None:
        self._first: os.stat_result | None = None

    def look(self, path: Path) -> os.stat_result | None:
        if path.name != "index.json":
            return super().look(path)
        return self._first

    def status(self, fd: int) -> os.stat_result:
        status = super().status(fd)
        if "index.json" in str(Path(f"/proc/self/fd/{fd}").readlink()):
            self._first = self._first or status
            return self._first
        return status

    def settle(self, path: Path) -> None:
        self._first = path.stat()


async def test_r2_a_name_by_another_tool_in_the_same_tick_is_not_written_over(folder: Path) -> None:
    files = Unmoved()
    files.settle(folder / "index.json")
    tags = tags_of(folder, files)
    await tags.put(named(blob(2), "ours"))
    write_layout(folder, entry(blob(1), "old"), entry(blob(3), "them"))
    await tags.put(named(blob(4), "more"))
    assert set(listed(folder)) == {"old", "them", "more"}


async def test_r2_what_was_written_by_us_is_looked_at_again_when_the_tick_is_over(folder: Path) -> None:
    files, now = Unmoved(), [time.time()]
    files.settle(folder / "index.json")
    tags = tags_of(folder, files, clock=lambda: now[0])
    await tags.put(named(blob(2), "ours"))
    write_layout(folder, entry(blob(3), "them"))
    now[0] += LATER
    assert await tags.named("ours") is None
    assert await tags.named("them") == blob(3).descriptor


async def test_a_file_that_does_not_change_is_read_once(folder: Path) -> None:
    disk = NotedDisk(folder)
    tags = tags_of(folder, disk.files, clock=lambda: time.time() + LATER)
    for _ in range(10):
        assert await tags.named("old") == blob(1).descriptor
    assert disk.notes.count(("open", "index.json")) == 1


async def test_many_who_read_what_others_have_changed_take_it_apart_once(folder: Path) -> None:
    disk = NotedDisk(folder)
    tags = tags_of(folder, disk.files, clock=lambda: time.time() + LATER)
    await at_once(*[lambda: tags.named("old")] * 10)
    assert disk.notes.count(("open", "index.json")) == 1


async def test_a_process_that_writes_beside_us_is_seen_at_once_and_built_on(folder: Path) -> None:
    ours, theirs = tags_of(folder), tags_of(folder)
    for number in range(10):
        await ours.put(named(blob(number), f"a{number}"))
        assert await theirs.named(f"a{number}") == blob(number).descriptor
        await theirs.put(named(blob(number), f"b{number}"))
        assert await ours.named(f"b{number}") == blob(number).descriptor
    assert len(listed(folder)) == 21
