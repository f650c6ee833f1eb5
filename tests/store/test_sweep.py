"""What collection removes beside blobs: the left-overs of dead processes, and nothing that is in use."""

import os
import time
from pathlib import Path

import pytest

from puller.model.facts import Facts
from puller.store.disk import DiskStore
from puller.store.gc import DAY, collect
from puller.store.sweep import Swept
from tests.contracts.sample import blob, image, pour, put

NOW = 1_700_000_000.0


@pytest.fixture
async def store(tmp_path: Path) -> DiskStore:
    return await DiskStore.open(tmp_path / "store", reserve=0)


async def swept(store: DiskStore, days: float = 7.0) -> Swept:
    return (await collect(store, days=days, clock=lambda: NOW)).swept


async def leave_part(store: DiskStore, *, age: float) -> Path:
    with pytest.raises(ConnectionError):
        await pour(store, blob(1_000).descriptor, blob(1_000).content[:500], then=ConnectionError())
    directory = store.layout.ingest(blob(1_000).digest)
    for path in [*directory.iterdir(), directory]:
        os.utime(path, (NOW - age, NOW - age))
    return directory


async def test_an_unfinished_blob_is_kept_for_a_week(store: DiskStore) -> None:
    part = await leave_part(store, age=7 * DAY - 1)
    assert (await swept(store)).ingests == 0
    assert (part / "data").exists()


async def test_an_unfinished_blob_that_nobody_came_back_for_is_removed(store: DiskStore) -> None:
    part = await leave_part(store, age=7 * DAY + 1)
    result = await swept(store)
    assert result.ingests == 1
    assert result.size >= 500
    assert not part.exists()


async def test_an_unfinished_blob_in_use_stays_however_old_it_looks(store: DiskStore) -> None:
    part = await leave_part(store, age=100 * DAY)
    async with store.ingest(blob(1_000).descriptor) as ingest:
        assert ingest is not None
        os.utime(part, (0, 0))
        os.utime(part / "data", (0, 0))
        assert (await swept(store)).ingests == 0
        await ingest.write(blob(1_000).content[500:])
        await ingest.commit()


async def test_an_unfinished_copy_of_what_is_here_is_removed_at_once(store: DiskStore) -> None:
    part = await leave_part(store, age=0)
    store.layout.blob(blob(1_000).digest).write_bytes(blob(1_000).content)
    async with store.lease() as lease:
        await lease.hold([blob(1_000).digest])
        await swept(store)
    assert not part.exists()


async def test_a_small_file_that_was_never_renamed_goes_when_it_is_old(store: DiskStore) -> None:
    young, old = store.layout.scratch("facts"), store.layout.scratch("index.json")
    for path, age in ((young, 0), (old, 8 * DAY)):
        path.touch()
        os.utime(path, (NOW - age, NOW - age))
    await swept(store)
    assert young.exists()
    assert not old.exists()


@pytest.mark.parametrize(("name", "lock"), [("facts", "facts"), ("index.json", "index")])
async def test_a_small_file_whose_writer_is_at_work_stays_however_old_it_looks(
    store: DiskStore, name: str, lock: str
) -> None:
    path = store.layout.scratch(name)
    path.touch()
    os.utime(path, (0, 0))
    async with store.locks.held(store.layout.locks / lock):
        await swept(store)
        assert path.exists()
    await swept(store)
    assert not path.exists()


async def set_aside(store: DiskStore, *, age: float) -> Path:
    await put(store, blob(100))
    await store.set_aside(blob(100).digest)
    path = store.layout.quarantined(blob(100).digest)
    os.utime(path, (NOW - age, NOW - age))
    return path


async def test_a_damaged_blob_stays_aside_for_a_week_and_goes_then(store: DiskStore) -> None:
    path = await set_aside(store, age=7 * DAY - 1)
    assert (await swept(store)).quarantined == 0
    assert path.exists()
    os.utime(path, (NOW - 8 * DAY, NOW - 8 * DAY))
    result = await swept(store)
    assert (result.quarantined, result.quarantined_size, result.size) == (1, 100, 0)
    assert not path.exists()


async def test_the_week_of_a_damaged_blob_begins_when_it_is_set_aside(store: DiskStore) -> None:
    await put(store, blob(100))
    os.utime(store.layout.blob(blob(100).digest), (0, 0))
    before = time.time() - 60
    await store.set_aside(blob(100).digest)
    assert store.layout.quarantined(blob(100).digest).stat().st_mtime > before


async def test_a_dry_run_tells_what_would_be_swept_and_removes_nothing(store: DiskStore) -> None:
    part, aside = await leave_part(store, age=8 * DAY), await set_aside(store, age=8 * DAY)
    result = (await collect(store, dry_run=True, clock=lambda: NOW)).swept
    assert (result.ingests, result.quarantined, result.quarantined_size) == (1, 1, 100)
    assert result.size >= 500
    assert (part / "data").exists()
    assert aside.exists()


async def test_facts_without_a_blob_go_and_others_stay(store: DiskStore) -> None:
    await put(store, image().manifest)
    async with store.lease() as lease:
        await lease.hold([image().manifest.digest])
        await store.prove(image().manifest.digest, Facts(unpacked_size=1))
        await store.prove(blob(9).digest, Facts(unpacked_size=1))
        assert (await swept(store)).facts == 1
    assert await store.facts(blob(9).digest) == Facts()
    assert await store.facts(image().manifest.digest) == Facts(unpacked_size=1)


async def test_lock_files_go_unless_somebody_holds_them(store: DiskStore) -> None:
    await put(store, blob(1), blob(2))
    async with store.ingest(blob(3).descriptor):
        assert (await swept(store)).locks >= 2
        held = store.layout.lock(blob(3).digest)
        assert set(store.layout.locks.iterdir()) == {held, store.layout.probe}
    await put(store, blob(1), blob(3))


async def test_files_that_are_none_of_ours_are_left_alone(store: DiskStore) -> None:
    strange = store.layout.ingests / "strange"
    strange.mkdir()
    (store.layout.blobs("sha256") / "README").write_text("hello")
    os.utime(strange, (0, 0))
    await swept(store)
    assert strange.exists()
    assert (store.layout.blobs("sha256") / "README").exists()
