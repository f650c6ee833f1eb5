"""Cancelled at any operation on the disk, a store leaves no file open, no lock held, and nothing but a part."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.store.audit import audit
from puller.store.disk import DiskStore
from puller.store.gc import collect
from tests.contracts.sample import blob, image, pour, put
from tests.store.disks import WatchedFiles

APP = Reference.parse("app:1")
WANTED = image(blob(200_000))
LAYER = WANTED.layers[0]


class CancelsAt:
    """A disk that cancels `scope` at its `at`-th operation, and goes on."""

    def __init__(self, at: int) -> None:
        self.scope = anyio.CancelScope()
        self.files = WatchedFiles(self._before)
        self._left = at
        self._loop = asyncio.get_running_loop()
        self.armed = False

    def _before(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self.armed:
            self._left -= 1
            if self._left == 0:
                self._loop.call_soon_threadsafe(self.scope.cancel)


async def work(store: DiskStore) -> None:
    """A little of everything that a pull, a removal and a collection do."""
    async with store.lease() as lease:
        await lease.hold(sorted(WANTED.digests))
        await put(store, *WANTED.blobs)
        await store.prove(WANTED.manifest.digest, Facts(absent=()))
        await store.tag(APP, WANTED.manifest.descriptor)
        await store.read(await store.resolve(APP), limit=10_000)
    await store.untag(APP)
    await collect(store)


def open_files() -> set[str]:
    return {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


def unfinished(root: Path) -> set[str]:
    """What lies under ingest/: a part is a directory, anything else its own name."""
    return {path.name for path in (root / "ingest").iterdir()}


async def cancelled_at(root: Path, at: int) -> bool:
    """One cancelled try; whether the cancel came in time."""
    disk = CancelsAt(at)
    store = await DiskStore.open(root, reserve=0, files=disk.files)
    disk.armed = True
    with disk.scope:
        await work(store)
    disk.armed = False
    assert not [name for name in open_files() if str(root) in name]
    assert unfinished(root) <= {f"sha256-{one.digest.hex}" for one in WANTED.blobs}
    assert list(store.layout.leases.iterdir()) == []
    assert (await audit(store)).findings == ()
    with anyio.fail_after(5):
        await work(store)
    assert await store.leased() == set()
    return disk.scope.cancelled_caught


@pytest.mark.slow
async def test_r7_n31_cancelled_at_any_operation_everything_is_closed_and_a_second_try_succeeds(tmp_path: Path) -> None:
    caught = [at for at in range(1, 130, 4) if await cancelled_at(tmp_path / str(at), at)]
    assert len(caught) > 15


async def test_r7_cancelled_by_asyncio_itself_the_file_is_not_closed_under_its_writer(tmp_path: Path) -> None:
    writing, go_on = threading.Event(), threading.Event()

    def hold_up(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "write_at" and len(arguments[1]) == len(LAYER.content):
            writing.set()
            go_on.wait(10)

    store = await DiskStore.open(tmp_path / "store", reserve=0, files=WatchedFiles(hold_up))
    loop = asyncio.get_running_loop()
    task = loop.create_task(pour(store, LAYER.descriptor, LAYER.content, then=AssertionError("it was not cancelled")))
    await loop.run_in_executor(None, writing.wait, 10)
    task.cancel()
    loop.call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    part = store.layout.ingest(LAYER.digest)
    assert (part / "data").read_bytes() == LAYER.content
    assert (part / "clean").read_text() == str(len(LAYER.content))
