"""What only a disk can do to an unfinished blob."""

import os
import stat
import tracemalloc
from pathlib import Path

import pytest

from puller.errors import NoSpace
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.store.disk import DiskStore
from puller.store.part import BLOCK
from tests.contracts.sample import Blob, Seen, blob, blob_of, image, pour, put
from tests.store.disks import NotedDisk, Sealed, SmallDisk


def part(store: DiskStore, wanted: Blob) -> Path:
    return store.layout.ingest(wanted.digest)


def leave(store: DiskStore, wanted: Blob, content: bytes) -> None:
    """A part as a killed process leaves it."""
    part(store, wanted).mkdir()
    (part(store, wanted) / "data").write_bytes(content)


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def offset(store: DiskStore, wanted: Blob) -> int:
    async with store.ingest(wanted.descriptor) as ingest:
        assert ingest is not None
        return ingest.offset


@pytest.fixture
async def store(tmp_path: Path) -> DiskStore:
    return await DiskStore.open(tmp_path / "store", reserve=0)


@pytest.mark.parametrize(("held", "kept"), [(0, 0), (1, 0), (BLOCK - 1, 0), (BLOCK, BLOCK), (3 * BLOCK + 5, 3 * BLOCK)])
async def test_r6_after_an_unclean_stop_a_part_is_cut_back_to_a_block(store: DiskStore, held: int, kept: int) -> None:
    wanted = blob(5 * BLOCK)
    leave(store, wanted, wanted.content[:held])
    assert await offset(store, wanted) == kept


async def test_r1_zeros_that_a_power_loss_left_at_the_end_are_found_at_the_end(store: DiskStore) -> None:
    wanted = blob(3 * BLOCK)
    leave(store, wanted, wanted.content[:BLOCK] + bytes(BLOCK))
    with pytest.raises(Exception, match="another digest"):
        await pour(store, wanted.descriptor, wanted.content[2 * BLOCK :])
    await pour(store, wanted.descriptor, wanted.content)
    assert await store.read(wanted.descriptor, limit=3 * BLOCK) == wanted.content


async def test_a_clean_stop_is_clean_only_once(store: DiskStore) -> None:
    wanted = blob(5 * BLOCK)
    with pytest.raises(ConnectionError):
        await pour(store, wanted.descriptor, wanted.content[: BLOCK + 7], then=ConnectionError())
    async with store.ingest(wanted.descriptor) as ingest:
        assert ingest is not None
        assert ingest.offset == BLOCK + 7
        assert [path.name for path in part(store, wanted).iterdir()] == ["data"]
    with (part(store, wanted) / "data").open("ab") as data:
        data.write(b"written after the mark")
    assert await offset(store, wanted) == BLOCK


@pytest.mark.parametrize("mark", [b"", b"-1", b"1e3", b"9" * 40, b"\xff"])
async def test_h6_a_damaged_mark_means_unclean(store: DiskStore, mark: bytes) -> None:
    wanted = blob(5 * BLOCK)
    leave(store, wanted, wanted.content[: BLOCK + 7])
    (part(store, wanted) / "clean").write_bytes(mark)
    assert await offset(store, wanted) == BLOCK


async def test_a_part_longer_than_the_blob_is_dropped(store: DiskStore) -> None:
    wanted = blob(BLOCK)
    leave(store, wanted, bytes(2 * BLOCK))
    assert await offset(store, wanted) == 0


async def test_a_blob_sealed_by_a_process_that_died_before_the_rename_is_not_fetched_again(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "store", reserve=0, files=Sealed())
    wanted = blob(2 * BLOCK)
    leave(store, wanted, wanted.content)
    (part(store, wanted) / "data").chmod(0o444)
    await pour(store, wanted.descriptor)
    assert await store.exists(wanted.descriptor)


async def test_a_stored_blob_is_read_only_and_nothing_of_its_ingest_is_left(store: DiskStore) -> None:
    wanted = blob(10)
    await put(store, wanted)
    assert stat.S_IMODE(store.layout.blob(wanted.digest).stat().st_mode) == 0o444
    assert list(store.layout.ingests.iterdir()) == []


async def test_r7_after_a_cut_only_the_part_is_left(store: DiskStore) -> None:
    wanted = blob(100)
    before = open_files()
    with pytest.raises(ConnectionError):
        await pour(store, wanted.descriptor, wanted.content[:50], then=ConnectionError())
    assert open_files() == before
    assert [path.name for path in store.layout.ingests.iterdir()] == [f"sha256-{wanted.digest.hex}"]


async def test_n3_after_a_wrong_byte_nothing_is_left(store: DiskStore) -> None:
    wanted = blob(100)
    with pytest.raises(Exception, match="another digest"):
        await pour(store, wanted.descriptor, bytes(100))
    assert list(store.layout.ingests.iterdir()) == []


async def test_a_present_blob_of_the_wrong_size_is_replaced_by_the_right_one(store: DiskStore) -> None:
    wanted = blob(100)
    store.layout.blob(wanted.digest).write_bytes(b"half")
    await put(store, wanted)
    assert store.layout.blob(wanted.digest).read_bytes() == wanted.content


async def test_h1_a_link_planted_under_the_name_of_a_blob_is_replaced_and_its_target_kept(
    store: DiskStore, tmp_path: Path
) -> None:
    wanted, precious = blob(100), tmp_path / "precious"
    precious.write_bytes(b"mine")
    store.layout.blob(wanted.digest).symlink_to(precious)
    assert await store.size(wanted.digest) is None
    await put(store, wanted)
    assert precious.read_bytes() == b"mine"
    assert not store.layout.blob(wanted.digest).is_symlink()


async def test_h1_a_link_planted_in_an_ingest_is_not_followed(store: DiskStore, tmp_path: Path) -> None:
    wanted, precious = blob(100), tmp_path / "precious"
    precious.write_bytes(b"mine")
    part(store, wanted).mkdir()
    (part(store, wanted) / "data").symlink_to(precious)
    with pytest.raises(Exception, match="symbolic link"):
        await put(store, wanted)
    assert precious.read_bytes() == b"mine"


async def test_h1_a_link_planted_in_the_place_of_an_ingest_is_not_followed(store: DiskStore, tmp_path: Path) -> None:
    wanted = blob(100)
    part(store, wanted).symlink_to(tmp_path)
    with pytest.raises(Exception, match="directory should be"):
        await put(store, wanted)
    assert not (tmp_path / "data").exists()


async def test_r11_space_is_checked_before_a_byte_is_written(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "store", reserve=1_000, files=SmallDisk(10_999))
    with pytest.raises(NoSpace) as caught:
        await put(store, blob(10_000))
    assert "11000 bytes" in str(caught.value.wanted)
    assert "10999" in str(caught.value.got)
    await put(store, blob(9_999))


async def test_r11_what_is_held_already_needs_no_space(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "store", reserve=0, files=SmallDisk(BLOCK))
    wanted = blob(2 * BLOCK)
    leave(store, wanted, wanted.content[:BLOCK])
    await pour(store, wanted.descriptor, wanted.content[BLOCK:])


async def test_a_claimed_size_reserves_nothing(store: DiskStore) -> None:
    async with store.ingest(Descriptor(mediatype.OCTETS, blob(1).digest, 10 << 20)) as ingest:
        assert ingest is not None
        await ingest.write(b"x")
        assert (store.layout.ingest(blob(1).digest) / "data").stat().st_blocks * 512 <= BLOCK


async def test_r1_content_is_on_the_disk_before_its_name_and_the_name_before_commit_returns(tmp_path: Path) -> None:
    disk = NotedDisk(tmp_path / "store")
    store = await DiskStore.open(tmp_path / "store", reserve=0, files=disk.files)
    wanted = blob(100)
    disk.notes.clear()
    async with store.ingest(wanted.descriptor) as ingest:
        assert ingest is not None
        await ingest.write(wanted.content)
        await ingest.commit()
        data, name = f"ingest/sha256-{wanted.digest.hex}/data", f"blobs/sha256/{wanted.digest.hex}"
        written, synced = disk.position("write_at", data), disk.position("sync", data)
        renamed, settled = disk.position("rename", name), disk.position("sync_directory", "blobs/sha256")
        assert written < synced < disk.position("seal", data) < renamed < settled


async def test_r2_a_commit_that_was_killed_at_its_end_is_ended_by_the_next_comer(tmp_path: Path) -> None:
    disk = NotedDisk(tmp_path / "store")
    store = await DiskStore.open(tmp_path / "store", reserve=0, files=disk.files)
    wanted = blob(100)
    await put(store, wanted)
    part(store, wanted).mkdir()  # what is left when the kill comes after the rename
    disk.notes.clear()
    await put(store, wanted)
    assert disk.position("sync_directory", "blobs/sha256") >= 0
    assert not part(store, wanted).exists()


async def test_a_store_that_need_not_last_syncs_nothing(tmp_path: Path) -> None:
    disk = NotedDisk(tmp_path / "store")
    store = await DiskStore.open(tmp_path / "store", reserve=0, durable=False, files=disk.files)
    disk.notes.clear()
    await put(store, blob(100))
    assert not [note for note in disk.notes if note[0].startswith("sync")]


@pytest.mark.slow
async def test_r10_memory_does_not_grow_with_the_blob(store: DiskStore) -> None:
    block = os.urandom(1 << 20)
    digest = Digest.of(block * 48)
    wanted = Blob(b"", Descriptor(mediatype.OCTETS, digest, 48 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ConnectionError):
            await pour(store, wanted.descriptor, *[block] * 40, then=ConnectionError())
        await pour(store, wanted.descriptor, *[block] * 8)
        await store.watch(wanted.descriptor)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


async def test_r6_a_large_part_is_replayed_whole(store: DiskStore) -> None:
    wanted, watcher = blob_of(blob(5 << 20).content), Seen()
    with pytest.raises(ConnectionError):
        await pour(store, wanted.descriptor, wanted.content[: (4 << 20) + 3], then=ConnectionError())
    await pour(store, wanted.descriptor, wanted.content[(4 << 20) + 3 :], watchers=[watcher])
    assert watcher.content == wanted.content


async def test_r11_blobs_written_at_once_must_fit_together(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "store", reserve=0, files=SmallDisk(1_000))
    first, second = blob(600, 1), blob(600, 2)
    async with store.ingest(first.descriptor) as ingest:
        assert ingest is not None
        with pytest.raises(NoSpace, match="under way"):
            await put(store, second)
        await ingest.write(first.content[:300])  # the disk would call so much less free now
        async with store.ingest(second.descriptor):
            pass
    await put(store, second)


async def test_r11_a_refused_blob_leaves_no_directory(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "store", reserve=0, files=SmallDisk(10))
    with pytest.raises(NoSpace):
        await put(store, blob(100))
    assert list(store.layout.ingests.iterdir()) == []


async def test_r2_what_a_killed_commit_left_is_settled_by_who_names_it(tmp_path: Path) -> None:
    disk = NotedDisk(tmp_path / "store")
    store = await DiskStore.open(tmp_path / "store", reserve=0, files=disk.files)
    await put(store, *image().blobs)
    store.layout.ingest(image().config.digest).mkdir()
    disk.notes.clear()
    await store.tag(Reference.parse("app:1"), image().manifest.descriptor)
    assert disk.position("sync_directory", "blobs/sha256") < disk.position("rename", "index.json")
    assert list(store.layout.ingests.iterdir()) == []
