"""Disks that fail: every failure has its type, nothing half-done is left, and the store goes on afterwards."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL, c_char_p, c_ulong, get_errno
from pathlib import Path

import pytest

from puller.errors import ContentMissing, NoSpace, StoreBusy, StoreError, StoreUnusable
from puller.model.descriptor import Descriptor
from puller.model.facts import Facts
from puller.model.mediatype import OCTETS
from puller.model.reference import Reference
from puller.store.audit import audit
from puller.store.disk import DiskStore
from puller.store.gc import collect
from tests.contracts.sample import blob, image, pour, put, stored
from tests.store.disks import FaultyDisk

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`

APP = Reference.parse("app:1")
# What an ingest does on its way, and where.
STEPS = [
    ("open", "/locks/"),
    ("make_directory", "/ingest/"),
    ("open", "/data"),
    ("truncate", "/data"),
    ("free", "/ingest/"),
    ("read_into", "/data"),
    ("write_at", "/data"),
    ("sync", "/data"),
    ("seal", "/data"),
    ("rename", "/data"),
    ("sync_directory", "/blobs/"),
]
KINDS = {
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EIO: StoreUnusable,
    errno.EROFS: StoreUnusable,
    errno.EACCES: StoreUnusable,
    errno.EMFILE: StoreBusy,
    errno.ENFILE: StoreBusy,
}

# A part that may not be opened is taken for a sealed one and opened again: see test_ingest.
FAULTS = [(*step, code) for step in STEPS for code in KINDS if (*step, code) != ("open", "/data", errno.EACCES)]


async def opened(tmp_path: Path, disk: FaultyDisk) -> DiskStore:
    store = await DiskStore.open(tmp_path / "store", reserve=0, files=disk.files)
    disk.armed = True
    return store


@pytest.mark.parametrize(
    ("operation", "where", "code"), FAULTS, ids=[f"{o} {w} {errno.errorcode[c]}" for o, w, c in FAULTS]
)
async def test_l1_l3_l4_a_failing_step_is_typed_and_leaves_a_store_that_works(
    tmp_path: Path, operation: str, where: str, code: int
) -> None:
    wanted = blob(200_000)
    disk = FaultyDisk(operation, code, where=where)
    store = await opened(tmp_path, disk)
    disk.armed = False
    with pytest.raises(ConnectionError):
        await pour(store, wanted.descriptor, wanted.content[:100_000], then=ConnectionError())
    store.layout.ingest(wanted.digest).joinpath("clean").unlink()  # so that truncating is on the way too
    disk.armed = True
    with pytest.raises(KINDS[code]) as caught:
        await pour(store, wanted.descriptor, wanted.content[65_536:])
    assert caught.value.hint
    assert await stored(store) == []
    async with store.ingest(wanted.descriptor) as ingest:
        assert ingest is not None
        await ingest.write(wanted.content[ingest.offset :])
        await ingest.commit()
    assert (await audit(store)).findings == ()


@pytest.mark.parametrize("operation", ["write_at", "sync", "seal", "rename", "sync_directory"])
async def test_r11_the_space_of_failed_work_is_freed(tmp_path: Path, operation: str) -> None:
    where = "/blobs/" if operation == "sync_directory" else "/data"
    store = await opened(tmp_path, FaultyDisk(operation, errno.ENOSPC, where=where))
    with pytest.raises(NoSpace):
        await put(store, blob(1_000))
    assert list(store.layout.ingests.iterdir()) == []
    assert await stored(store) == []


async def test_l2_after_a_failed_sync_nothing_of_the_ingest_is_trusted(tmp_path: Path) -> None:
    store = await opened(tmp_path, FaultyDisk("sync", errno.EIO, where="/data"))
    wanted = blob(1_000)
    with pytest.raises(StoreUnusable, match="disk failed"):
        await put(store, wanted)
    async with store.ingest(wanted.descriptor) as ingest:
        assert ingest is not None
        assert ingest.offset == 0


@pytest.mark.parametrize("operation", ["open", "sync", "rename"])
@pytest.mark.parametrize("code", KINDS, ids=errno.errorcode.get)
async def test_l1_a_tag_that_cannot_be_moved_stays_where_it_was(tmp_path: Path, operation: str, code: int) -> None:
    old, new = image(seed=1).manifest, image(seed=2).manifest
    disk = FaultyDisk(operation, code, where="index.json.new")
    store = await opened(tmp_path, disk)
    disk.armed = False
    await put(store, *image(seed=1).blobs, *image(seed=2).blobs)
    await store.tag(APP, old.descriptor)
    disk.armed = True
    with pytest.raises(KINDS[code]):
        await store.tag(APP, new.descriptor)
    assert await store.resolve(APP) == old.descriptor
    assert list(store.layout.ingests.iterdir()) == []
    await store.tag(APP, new.descriptor)
    assert await store.resolve(APP) == new.descriptor


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
async def test_l1_facts_that_cannot_be_kept_raise_and_leave_the_old_ones(tmp_path: Path, code: int) -> None:
    disk = FaultyDisk("rename", code, where="facts.new")
    store = await opened(tmp_path, disk)
    disk.armed = False
    await store.prove(blob(1).digest, Facts(unpacked_size=1))
    disk.armed = True
    with pytest.raises(StoreError):
        await store.prove(blob(1).digest, Facts(unpacked_size=2))
    assert await store.facts(blob(1).digest) == Facts(unpacked_size=1)


@pytest.mark.parametrize("operation", ["open", "lock", "write_at", "names"])
async def test_l3_a_lease_that_cannot_be_had_is_an_error_and_holds_up_nobody(tmp_path: Path, operation: str) -> None:
    store = await opened(tmp_path, FaultyDisk(operation, errno.EMFILE, where="/leases"))
    with pytest.raises(StoreBusy):
        await work_under_a_lease(store)
    assert (await collect(store)).freed == ()


async def work_under_a_lease(store: DiskStore) -> None:
    async with store.lease() as lease:
        await lease.hold([blob(1).digest])
        await collect(store)


async def test_l7_a_deleted_blob_is_missing_and_fetched_again(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "store", reserve=0)
    wanted = blob(100)
    await put(store, wanted)
    store.layout.blob(wanted.digest).unlink()
    with pytest.raises(ContentMissing):
        await store.watch(wanted.descriptor)
    await put(store, wanted)
    await store.watch(wanted.descriptor)


async def test_l7_a_blob_emptied_by_a_power_loss_is_not_there(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "store", reserve=0)
    wanted = blob(100)
    store.layout.blob(wanted.digest).touch()
    assert await store.size(wanted.digest) is None
    with pytest.raises(StoreError, match="empty"):
        async with store.opened(wanted.digest):
            pass
    with pytest.raises(ContentMissing):
        await store.tag(APP, wanted.descriptor)


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    libc = CDLL(None, use_errno=True)
    path.mkdir()
    if libc.mount(c_char_p(b"none"), bytes(path), c_char_p(b"tmpfs"), c_ulong(0), c_char_p(b"size=1m")) != 0:
        pytest.skip(f"no small disk can be mounted here: {os.strerror(get_errno())}")
    try:
        yield path
    finally:
        libc.umount2(bytes(path), 2)


async def test_l1_a_disk_that_fills_up_is_emptied_of_what_failed(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as root:
        store = await DiskStore.open(root / "store", reserve=0)
        fits, first, second = image(blob(300_000, 1)), blob(500_000, 2), blob(500_000, 3)
        await put(store, *fits.blobs)
        await store.tag(APP, fits.manifest.descriptor)
        with pytest.raises(NoSpace):
            await fill(store, first.content + second.content)
        assert set(await stored(store)) == fits.digests
        assert (await audit(store)).findings == ()
        await put(store, first)


async def fill(store: DiskStore, content: bytes) -> None:
    """Write what does not fit, of a size that nobody told."""
    async with store.ingest(Descriptor(OCTETS, blob(1).digest)) as ingest:
        assert ingest is not None
        await ingest.write(content)


async def test_r11_a_blob_that_cannot_fit_is_refused_before_it_is_begun(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as root:
        store = await DiskStore.open(root / "store", reserve=0)
        with pytest.raises(NoSpace, match="not enough space"):
            await put(store, blob(2 << 20))
        assert await stored(store) == []
