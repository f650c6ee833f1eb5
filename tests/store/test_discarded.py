"""Layers whose blobs were given up once they were unpacked: not missing, and never missed by anyone else."""

from pathlib import Path

import pytest

from puller.errors import ContentMissing
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.store.audit import audit
from puller.store.disk import DiskStore
from puller.store.gc import free
from testregistry import images

LAYER = images.layer({"etc/motd": b"hello\n"})
IMAGE = images.image(LAYER)
NAME, OTHER = Reference.parse("registry.example/app:1"), Reference.parse("registry.example/app:2")


async def put(store: DiskStore, content: bytes, media_type: str) -> Descriptor:
    wanted = Descriptor(media_type, Digest.of(content), len(content))
    async with store.ingest(wanted) as ingest:
        if ingest is not None:
            await ingest.write(content)
            await ingest.commit()
    return wanted


async def held(folder: Path) -> tuple[DiskStore, Descriptor, Digest]:
    """A store with one image, its root and the digest of its layer."""
    store = await DiskStore.open(folder / "store", durable=False)
    layer = Digest.parse(LAYER.digest)
    for raw in (IMAGE.config.raw, LAYER.raw):
        await put(store, raw, "application/octet-stream")
    root = await put(store, IMAGE.raw, IMAGE.media_type)
    await store.tag(NAME, root)
    return store, root, layer


async def discard(store: DiskStore, root: Descriptor, *layers: Digest) -> int:
    await store.prove(root.digest, Facts(discarded=layers))
    return len((await free(store, layers)).freed)


async def test_r2_a_discarded_layer_is_freed_and_not_missing(tmp_path: Path) -> None:
    store, root, layer = await held(tmp_path)

    assert await discard(store, root, layer) == 1
    assert await store.size(layer) is None
    assert (await audit(store, [NAME])).findings == ()
    await store.tag(OTHER, root)


async def test_r12_a_layer_that_another_image_needs_stays(tmp_path: Path) -> None:
    store, root, layer = await held(tmp_path)
    other = await put(store, IMAGE.raw.replace(b"{", b"{ ", 1), IMAGE.media_type)
    await store.tag(OTHER, other)

    assert await discard(store, root, layer) == 0
    assert await store.size(layer)


async def test_r12_a_layer_that_is_leased_stays(tmp_path: Path) -> None:
    store, root, layer = await held(tmp_path)
    async with store.lease() as lease:
        await lease.hold([layer])
        assert await discard(store, root, layer) == 0
    assert await store.size(layer)


async def test_what_was_fetched_again_counts_again(tmp_path: Path) -> None:
    store, root, layer = await held(tmp_path)
    await discard(store, root, layer)

    await store.prove(root.digest, Facts(discarded=()))
    with pytest.raises(ContentMissing):
        await store.tag(OTHER, root)
    assert [finding.kind for finding in (await audit(store, [NAME])).findings] == ["missing"]


@pytest.mark.parametrize("name", ["", "layer", "../x-y", "Layer-x", "layer-", "a-b\n"])
async def test_a_lock_has_a_name_that_is_no_path(tmp_path: Path, name: str) -> None:
    store, _, _ = await held(tmp_path)
    with pytest.raises(ValueError, match="no name for a lock"):
        store.layout.lock(name)


async def test_a_named_lock_keeps_others_out(tmp_path: Path) -> None:
    store, _, _ = await held(tmp_path)
    other = await DiskStore.open(tmp_path / "store")
    async with store.locked("layer-vfs-0"), other.attempted("layer-vfs-0") as free_of_it:
        assert not free_of_it
    async with other.attempted("layer-vfs-0") as free_of_it:
        assert free_of_it
