"""How a directory becomes a store, and which directories are refused."""

import errno
import json
import logging
import os
import stat
from pathlib import Path

import anyio
import pytest

from puller.errors import ContentCorrupt, StoreUnusable
from puller.model import mediatype
from puller.store.disk import DiskStore
from puller.store.files import Files
from tests.contracts.sample import Blob, blob, image, put, stored
from tests.store.disks import FaultyDisk, NoLocks, NotedDisk


def layout_by_others(root: Path, *blobs: Blob) -> Path:
    """An image layout as another tool leaves it: no directories of ours, its own rights and spacing."""
    (root / "blobs" / "sha256").mkdir(parents=True)
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}\n')
    for one in blobs:
        (root / "blobs" / "sha256" / one.digest.hex).write_bytes(one.content)
    entry = blobs[-1].descriptor.encode() | {"annotations": {"org.opencontainers.image.ref.name": "latest"}}
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return root


def names_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def make_shared(path: Path, mode: int) -> None:
    path.chmod(mode)


async def test_an_absent_directory_becomes_an_image_layout_for_its_owner_alone(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b" / "store"
    await DiskStore.open(root)
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((root / "index.json").read_text()) == {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_INDEX,
        "manifests": [],
    }
    assert mode_of(root) == 0o700


async def test_h7_nothing_but_the_layout_itself_is_readable_for_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = await DiskStore.open(tmp_path / "store")
        await put(store, blob(10))
        async with store.lease():
            open_to_others = {
                path.name for path in store.layout.root.rglob("*") if path.is_file() and path.stat().st_mode & 0o077
            }
    finally:
        os.umask(before)
    assert open_to_others == {"oci-layout", "index.json", blob(10).digest.hex}


async def test_an_empty_directory_becomes_a_store(tmp_path: Path) -> None:
    await DiskStore.open(tmp_path)
    assert (tmp_path / "oci-layout").exists()


async def test_a_store_opens_again_with_all_it_holds(tmp_path: Path) -> None:
    await put(await DiskStore.open(tmp_path), blob(10))
    assert await stored(await DiskStore.open(tmp_path)) == [blob(10).digest]


async def test_a_directory_that_holds_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreUnusable, match="neither empty nor an OCI image layout"):
        await DiskStore.open(tmp_path)
    assert names_in(tmp_path) == ["letter.txt"]


async def test_a_file_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("dear")
    with pytest.raises(StoreUnusable):
        await DiskStore.open(path)


async def test_a_store_whose_founder_died_at_once_is_founded_again(tmp_path: Path) -> None:
    (tmp_path / "oci-layout.new").write_text('{"imageLay')
    await DiskStore.open(tmp_path)
    assert (tmp_path / "index.json").exists()


async def test_many_may_found_the_same_store_at_once(tmp_path: Path) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(DiskStore.open, tmp_path / "store")
    assert await stored(await DiskStore.open(tmp_path / "store")) == []


async def test_a_layout_of_others_is_read_as_it_is(tmp_path: Path) -> None:
    wanted = image(blob(100))
    make_shared(tmp_path, 0o755)
    store = await DiskStore.open(layout_by_others(tmp_path, *wanted.blobs), reserve=0)
    assert set(await stored(store)) == wanted.digests
    assert await store.tags() == {"latest": wanted.manifest.descriptor}
    assert await store.read(wanted.config.descriptor, limit=1_000) == wanted.config.content
    assert mode_of(tmp_path) == 0o755


async def test_a_layout_of_another_version_is_refused(tmp_path: Path) -> None:
    layout_by_others(tmp_path, blob(1))
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')
    with pytest.raises(StoreUnusable, match="another version"):
        await DiskStore.open(tmp_path)


@pytest.mark.parametrize("mark", ["", "[]", '{"imageLayoutVersion": "1.0.0"', "\x00" * 30])
async def test_a_layout_with_a_damaged_mark_is_refused(tmp_path: Path, mark: str) -> None:
    layout_by_others(tmp_path, blob(1))
    (tmp_path / "oci-layout").write_text(mark)
    with pytest.raises(StoreUnusable):
        await DiskStore.open(tmp_path)


async def test_blobs_without_an_index_are_not_taken_for_an_empty_store(tmp_path: Path) -> None:
    layout_by_others(tmp_path, blob(1))
    (tmp_path / "index.json").unlink()
    with pytest.raises(ContentCorrupt, match=r"no index\.json"):
        await DiskStore.open(tmp_path)


@pytest.mark.parametrize("name", ["blobs", "ingest", "locks", "leases", "facts"])
async def test_h1_a_planted_link_in_the_place_of_a_directory_is_refused(tmp_path: Path, name: str) -> None:
    root, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    elsewhere.mkdir()
    await DiskStore.open(root)
    (root / name).rename(tmp_path / "old")
    (root / name).symlink_to(elsewhere)
    with pytest.raises(StoreUnusable):
        await DiskStore.open(root)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("files", [NoLocks(code=errno.ENOLCK), NoLocks(code=errno.EOPNOTSUPP), NoLocks()])
async def test_l5_a_file_system_without_locks_is_found_at_once(tmp_path: Path, files: Files) -> None:
    with pytest.raises(StoreUnusable, match=r"lock|lacks"):
        await DiskStore.open(tmp_path / "store", files=files)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM])
async def test_l4_a_store_that_cannot_be_written_says_so(tmp_path: Path, code: int) -> None:
    await DiskStore.open(tmp_path / "store")
    disk = FaultyDisk("open", code, where="/locks/")
    disk.armed = True
    with pytest.raises(StoreUnusable) as caught:
        await DiskStore.open(tmp_path / "store", files=disk.files)
    assert caught.value.got == errno.errorcode[code]
    assert caught.value.hint


async def test_d3_a_store_that_others_may_write_into_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_shared(tmp_path, 0o777)
    with caplog.at_level(logging.WARNING):
        await DiskStore.open(tmp_path)
    assert "may be written by other users" in caplog.text


async def test_r2_the_way_to_a_new_store_is_on_the_disk_before_it_is_marked(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b" / "store"
    disk = NotedDisk(root)
    await DiskStore.open(root, files=disk.files)
    marked = disk.position("rename", "oci-layout")
    for parent in (root.parent, root.parent.parent, tmp_path):
        assert disk.position("sync_directory", str(parent)) < marked


async def test_r2_what_a_dead_founder_made_and_did_not_sync_is_synced_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "a" / "store"
    await DiskStore.open(root)
    (root / "index.json").unlink()
    disk = NotedDisk(root)
    await DiskStore.open(root, files=disk.files)
    named = disk.position("rename", "index.json")
    for directory in (str(root), "blobs", "facts"):
        assert disk.position("sync_directory", directory) < named
    (root / "oci-layout").unlink()
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    disk.notes.clear()
    await DiskStore.open(root, files=disk.files)
    assert disk.position("sync_directory", str(tmp_path / "a")) < disk.position("rename", "oci-layout")


async def test_a_place_where_no_directory_can_be_made_is_not_called_vanished() -> None:
    with pytest.raises(StoreUnusable, match="no directory can be made") as caught:
        await DiskStore.open(Path("/proc/puller-store"))
    assert "vanished" not in str(caught.value)
