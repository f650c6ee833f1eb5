"""What stays until a date though no name needs it: whoever collects, and wherever a process died that saw to it."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from puller.errors import PullerError, StoreUnusable
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import SCHEMA1_SIGNED
from puller.store.disk import DiskStore
from puller.store.gc import collect
from puller.store.plain import PlainLayout
from testregistry import images
from tests.contracts.sample import Image, blob, blob_of, image
from tests.store.disks import WatchedFiles
from tests.store.plainly import bring, listed, put

APP = image(blob(5_000, 1), blob(7_000, 2), seed=1)
NEXT = image(blob(5_000, 1), blob(9_000, 3), seed=2)
OLD = images.schema1(images.layer({"etc/motd": b"hello\n"}), images.layer({"srv/app": b"app\n"}))
DAY = 86_400.0


async def given(folder: Path, *tagged: tuple[str, Image]) -> None:
    async with await PlainLayout.at(folder, reserve=0) as layout:
        for tag, one in tagged:
            await put(layout, one, tag)


async def collected(folder: Path, *, at: float | None = None) -> set[Digest]:
    """What a process that knows nothing of the one before it frees, at a time that is now unless said."""
    async with await PlainLayout.at(folder, reserve=0) as layout:
        # Nothing is so young that it has to be waited for.
        clock: Callable[[], float] = time.time if at is None else lambda: at
        return set((await layout.collect(grace=-1 - 100 * DAY, clock=clock)).freed)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def notes(folder: Path) -> list[Path]:
    return list((folder / ".puller" / "kept").iterdir())


async def test_what_has_lost_its_name_stays_until_its_date_whoever_collects(tmp_path: Path) -> None:
    await given(tmp_path, ("1.0", APP), ("2.0", NEXT))
    until = time.time() + 10 * DAY
    async with await PlainLayout.at(tmp_path, reserve=0) as layout:
        await layout.retain(APP.manifest.descriptor, until)
        await layout.untag("1.0", APP.manifest.digest)
    assert await collected(tmp_path) == set()
    assert await collected(tmp_path, at=until - 1) == set()
    assert await collected(tmp_path, at=until + 2) == APP.digests - NEXT.digests
    assert notes(tmp_path) == []


async def test_of_two_dates_the_later_one_counts(tmp_path: Path) -> None:
    await given(tmp_path, ("1.0", APP))
    now = time.time()
    async with await PlainLayout.at(tmp_path, reserve=0) as layout:
        for days in (5, 10, 3):
            await layout.retain(APP.manifest.descriptor, now + days * DAY)
        await layout.untag("1.0", APP.manifest.digest)
    assert await collected(tmp_path, at=now + 9 * DAY) == set()
    assert await collected(tmp_path, at=now + 11 * DAY) == APP.digests


@pytest.mark.parametrize("content", [b"", b"soon", b"9" * 40, b"-1\n"])
async def test_h6_a_damaged_date_keeps_it_for_a_month(tmp_path: Path, content: bytes) -> None:
    await given(tmp_path, ("1.0", APP))
    async with await PlainLayout.at(tmp_path, reserve=0) as layout:
        await layout.retain(APP.manifest.descriptor, time.time() + DAY)
        await layout.untag("1.0", APP.manifest.digest)
    (note,) = notes(tmp_path)
    note.write_bytes(content)
    assert await collected(tmp_path, at=time.time() + 29 * DAY) == set()
    assert await collected(tmp_path, at=time.time() + 31 * DAY) == APP.digests


async def test_a5_what_else_lies_there_names_nothing(tmp_path: Path) -> None:
    await given(tmp_path, ("1.0", APP))
    for name in ("notes.txt", "sha256-short", f"sha256-{'0' * 64}"):
        (tmp_path / ".puller" / "kept" / name).write_text(str(int(time.time() + DAY)))
    assert await collected(tmp_path) == set()
    assert listed(tmp_path) == {"1.0": str(APP.manifest.digest)}


async def test_what_is_kept_is_no_image_to_anybody_else(tmp_path: Path) -> None:
    await given(tmp_path, ("1.0", APP), ("2.0", NEXT))
    async with await PlainLayout.at(tmp_path, reserve=0) as layout:
        await layout.retain(APP.manifest.descriptor, time.time() + DAY)
        await layout.untag("1.0", APP.manifest.digest)
    assert listed(tmp_path) == {"2.0": str(NEXT.manifest.digest)}


async def test_a_directory_of_before_gets_a_place_for_it(tmp_path: Path) -> None:
    await given(tmp_path, ("1.0", APP))
    (tmp_path / ".puller" / "kept").rmdir()
    async with await PlainLayout.at(tmp_path, reserve=0) as layout:
        await layout.retain(APP.manifest.descriptor, time.time() + DAY)
    assert len(notes(tmp_path)) == 1


async def test_a_store_that_is_also_synced_to_as_a_directory_keeps_it_from_its_own_collection(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path, reserve=0)
    await given(tmp_path, ("1.0", APP))
    now = time.time()
    async with await PlainLayout.at(tmp_path, reserve=0) as layout:
        await layout.retain(APP.manifest.descriptor, now + DAY)
        await layout.untag("1.0", APP.manifest.digest)
    assert (await collect(store)).freed == ()
    later = now + 2 * DAY
    assert (await collect(store, dry_run=True, clock=lambda: later)).freed == ()
    assert set((await collect(store, clock=lambda: later)).freed) == APP.digests


class Killed(Exception):
    """Nothing is done any more."""


class Mortal:
    """A process that dies before the `last`-th touch of the disk: that one and all after it are not made."""

    def __init__(self, last: int) -> None:
        self.left = last
        self.files = WatchedFiles(self._before)

    def _before(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed(name)


async def replaced(folder: Path, disk: Mortal) -> bool:
    """What a run does with a tag that has moved; whether it came to its end."""
    try:
        async with await PlainLayout.at(folder, reserve=0, files=disk.files) as layout:
            await layout.retain(APP.manifest.descriptor, time.time() + 10 * DAY)
            await put(layout, NEXT, "1.0")
            await layout.untag("2.0", APP.manifest.digest)
    except (Killed, PullerError):
        return False
    return True


@pytest.mark.slow
async def test_r1_killed_between_any_two_steps_what_lost_its_name_is_kept(tmp_path: Path) -> None:
    for last in range(1, 1000):
        folder = tmp_path / str(last)
        await given(folder, ("1.0", APP), ("2.0", APP))
        is_done = await replaced(folder, Mortal(last))
        freed = await collected(folder)
        assert not freed & APP.digests, last
        names = set(listed(folder).values())
        assert names <= {str(APP.manifest.digest), str(NEXT.manifest.digest)}
        if str(NEXT.manifest.digest) in names:
            assert not freed
        if is_done:
            assert listed(folder) == {"1.0": str(NEXT.manifest.digest)}
            break
    else:
        pytest.fail("it never came to its end")
    assert last > 20


async def test_l6_a_note_that_a_dead_process_has_begun_is_swept_and_written_by_the_next(tmp_path: Path) -> None:
    await given(tmp_path, ("1.0", APP))
    scratch = tmp_path / ".puller" / "ingest" / "kept.new"
    scratch.write_text("17")
    async with await PlainLayout.at(tmp_path, reserve=0) as layout:
        await layout.retain(APP.manifest.descriptor, time.time() + DAY)
        assert not scratch.exists()
    scratch.write_text("17")
    os.utime(scratch, (1e9, 1e9))
    await collected(tmp_path)
    assert not scratch.exists()


async def test_a_signed_manifest_of_schema_1_is_kept_by_all_of_its_bytes(tmp_path: Path) -> None:
    named = Digest.parse(OLD.digest)
    descriptor = Descriptor(SCHEMA1_SIGNED, named, len(OLD.raw))
    async with await PlainLayout.at(tmp_path, reserve=0) as layout:
        await bring(layout, *(blob_of(b"".join(layer.body.chunks())) for layer in OLD.layers))
        await layout.put_manifest(OLD.raw, descriptor, "old")
    async with await PlainLayout.at(tmp_path, reserve=0) as layout:
        await layout.retain(descriptor, time.time() + DAY)
        await layout.untag("old", named)
    assert await collected(tmp_path) == set()


async def test_h1_a_directory_in_the_place_of_a_note_is_named_and_left_open_by_nobody(tmp_path: Path) -> None:
    await given(tmp_path, ("1.0", APP))
    note = tmp_path / ".puller" / "kept" / f"sha256-{APP.manifest.digest.hex}"
    note.mkdir()
    opened = open_files()
    for _ in range(20):
        with pytest.raises(StoreUnusable) as caught:
            await collected(tmp_path)
        assert str(note) in str(caught.value)
    assert open_files() < opened + 20
