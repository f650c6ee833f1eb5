"""Facts on disk: believed only with their seal, and no error when they cannot be."""

import logging
from pathlib import Path

import pytest

from puller.model.facts import Facts
from puller.store.disk import DiskStore
from puller.store.facts import decode, encode
from tests.contracts.sample import blob
from tests.store.disks import NotedDisk

DIGEST = blob(1).digest
FACTS = Facts(
    diff_id=blob(2).digest,
    unpacked_size=1234,
    tarsum=f"tarsum.v1+sha256:{'0' * 64}",
    absent=(blob(3).digest, blob(4).digest),
)


@pytest.fixture
async def store(tmp_path: Path) -> DiskStore:
    return await DiskStore.open(tmp_path / "store")


async def test_facts_survive_the_process(store: DiskStore) -> None:
    await store.prove(DIGEST, FACTS)
    assert await (await DiskStore.open(store.layout.root)).facts(DIGEST) == FACTS


def test_h6_no_flipped_bit_is_believed() -> None:
    raw = encode(FACTS, DIGEST)
    for position in range(len(raw)):
        damaged = bytearray(raw)
        damaged[position] ^= 1
        try:
            read = decode(bytes(damaged), DIGEST)
        except ValueError:
            continue
        assert read == FACTS, position


def test_h6_no_cut_is_believed() -> None:
    raw = encode(FACTS, DIGEST)
    for length in range(len(raw)):
        with pytest.raises(ValueError, match="facts"):
            decode(raw[:length], DIGEST)


def test_facts_of_one_blob_are_not_believed_of_another() -> None:
    with pytest.raises(ValueError, match="seal"):
        decode(encode(FACTS, DIGEST), blob(5).digest)


@pytest.mark.parametrize("facts", [{"unpacked_size": -1}, {"diff_id": "sha256:.."}, {"absent": 1}, {"tarsum": "md5"}])
def test_facts_of_another_shape_are_refused_even_with_a_seal(facts: dict[str, object]) -> None:
    class Shaped(Facts):
        def encode(self) -> dict[str, object]:
            return facts

    with pytest.raises(ValueError, match=r".+"):
        decode(encode(Shaped(), DIGEST), DIGEST)


async def test_r15_damaged_facts_are_unknown_and_proved_anew(
    store: DiskStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.prove(DIGEST, FACTS)
    store.layout.fact(DIGEST).write_bytes(b'{"facts":')
    with caplog.at_level(logging.WARNING):
        assert await store.facts(DIGEST) == Facts()
    assert "damaged" in caplog.text
    await store.prove(DIGEST, FACTS)
    assert await store.facts(DIGEST) == FACTS


async def test_r2_absent_platforms_survive_a_power_loss_other_facts_need_not(tmp_path: Path) -> None:
    disk = NotedDisk(tmp_path / "store")
    store = await DiskStore.open(tmp_path / "store", files=disk.files)
    disk.notes.clear()
    await store.prove(DIGEST, Facts(unpacked_size=1))
    assert not [note for note in disk.notes if note[0].startswith("sync")]
    await store.prove(DIGEST, Facts(absent=(blob(3).digest,)))
    name = f"facts/sha256/{DIGEST.hex}.json"
    assert disk.position("sync", "ingest/facts.new") < disk.position("sync_directory", "facts/sha256")
    assert ("rename", name) in disk.notes
