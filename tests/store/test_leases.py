"""Leases on disk: the living count, the dead do not."""

from pathlib import Path

import anyio
import pytest

from puller.store.disk import DiskStore
from puller.store.gc import collect
from puller.store.locks import try_lock
from tests.contracts.sample import blob, put


@pytest.fixture
async def store(tmp_path: Path) -> DiskStore:
    return await DiskStore.open(tmp_path / "store", reserve=0)


def leases(store: DiskStore) -> list[Path]:
    return sorted(store.layout.leases.iterdir())


async def test_r12_another_process_sees_what_is_held(store: DiskStore) -> None:
    other = await DiskStore.open(store.layout.root)
    async with store.lease() as lease:
        await lease.hold([blob(1).digest])
        assert await other.leased() == {blob(1).digest}
    assert await other.leased() == set()


async def test_r12_the_lease_of_a_dead_process_holds_nothing_and_is_removed(store: DiskStore) -> None:
    await put(store, blob(1))
    (store.layout.leases / "0").write_text(f"{blob(1).digest}\n")
    assert (await collect(store)).freed == (blob(1).digest,)
    assert leases(store) == []


async def test_a_new_lease_never_inherits_what_the_dead_have_held(store: DiskStore) -> None:
    (store.layout.leases / "0").write_text(f"{blob(1).digest}\n{blob(3).digest}\n")
    async with store.lease() as lease:
        await lease.hold([blob(2).digest])
        assert await store.leased() == {blob(2).digest}


async def test_each_lease_has_a_file_of_its_own_and_leaves_none(store: DiskStore) -> None:
    async with store.lease(), store.lease():
        assert len(leases(store)) == 2
    assert leases(store) == []


async def test_a_digest_that_is_still_being_written_is_not_read(store: DiskStore) -> None:
    path = store.layout.leases / "0"
    fd = try_lock(store.files, path)
    assert fd is not None
    try:
        path.write_text(f"{blob(1).digest}\nnonsense\n{blob(2).digest}")
        assert await store.leased() == {blob(1).digest}
    finally:
        store.files.close(fd)


async def test_a_thousand_digests_are_held_at_once(store: DiskStore) -> None:
    digests = [blob(1, seed).digest for seed in range(1_000)]
    async with store.lease() as lease:
        await lease.hold(digests[:600])
        await lease.hold(digests[500:])
        assert await store.leased() == set(digests)


async def test_r12_digests_held_at_once_by_many_tasks_are_all_seen(store: DiskStore) -> None:
    digests = [blob(1, seed).digest for seed in range(300)]
    async with store.lease() as lease:
        async with anyio.create_task_group() as group:
            for digest in digests:
                group.start_soon(lease.hold, [digest])
        assert await store.leased() == set(digests)


async def test_r12_a_lease_that_has_ended_writes_into_no_file_of_others(store: DiskStore) -> None:
    async with store.lease() as lease:
        pass
    async with store.lease():
        with pytest.raises(ValueError, match="ended"):
            await lease.hold([blob(1).digest])
        assert await store.leased() == set()
