"""discard_damaged: a blob goes only if it is not what its name says, whatever its finder believed."""

from pathlib import Path

import pytest

from puller.errors import ContentMissing
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.mediatype import OCTETS
from puller.store.disk import DiskStore
from puller.store.memory import MemoryStore

CONTENT = b"content" * 1000
WANTED = Descriptor(OCTETS, Digest.of(CONTENT), len(CONTENT))


async def filled(store: DiskStore | MemoryStore) -> None:
    """Put the content into a store."""
    async with store.ingest(WANTED) as ingest:
        assert ingest is not None
        await ingest.write(CONTENT)
        await ingest.commit()


async def test_l7_a_damaged_blob_is_discarded(tmp_path: Path) -> None:
    store = await DiskStore.open(tmp_path / "store", durable=False)
    await filled(store)
    path = store.layout.blob(WANTED.digest)
    path.chmod(0o600)
    path.write_bytes(bytes(len(CONTENT)))
    await store.discard_damaged(WANTED.digest)
    assert not await store.exists(WANTED)


@pytest.mark.parametrize("kind", ["disk", "memory"])
async def test_l7_a_blob_that_is_right_stays(tmp_path: Path, kind: str) -> None:
    store = MemoryStore() if kind == "memory" else await DiskStore.open(tmp_path / "store", durable=False)
    await filled(store)
    await store.discard_damaged(WANTED.digest)
    assert await store.read(WANTED, limit=1 << 20) == CONTENT


@pytest.mark.parametrize("kind", ["disk", "memory"])
async def test_l7_a_blob_that_is_gone_already_is_no_error(tmp_path: Path, kind: str) -> None:
    store = MemoryStore() if kind == "memory" else await DiskStore.open(tmp_path / "store", durable=False)
    await store.discard_damaged(WANTED.digest)
    with pytest.raises(ContentMissing):
        await store.read(WANTED, limit=1 << 20)


@pytest.mark.parametrize("kind", ["disk", "memory"])
async def test_l7_what_was_proved_of_bytes_that_went_bad_is_forgotten(tmp_path: Path, kind: str) -> None:
    store = MemoryStore() if kind == "memory" else await DiskStore.open(tmp_path / "store", durable=False)
    await filled(store)
    other = Digest.of(b"never pulled")
    await store.prove(WANTED.digest, Facts(verified=True, unpacked_size=1, absent=(other,)))
    await store.set_aside(WANTED.digest)
    assert await store.facts(WANTED.digest) == Facts(absent=(other,))
