"""index.json: what other tools wrote stays, what is damaged is told, and many names cost little."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from puller.errors import ContentCorrupt, ContentMissing
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCI_MANIFEST
from puller.model.reference import Reference
from puller.store.audit import audit
from puller.store.disk import DiskStore
from puller.store.gc import collect
from puller.store.naming import REF_NAME
from tests.contracts.sample import Blob, blob, image, put
from tests.store.disks import NotedDisk

APP = Reference.parse("app:1")
NAME = "docker.io/library/app:1"
MANIFEST = image().manifest


def document(store: DiskStore) -> dict[str, Any]:
    loaded = json.loads(store.layout.index.read_text())
    assert isinstance(loaded, dict)
    return loaded


def entry(wanted: Blob, name: str | None = None, **keys: object) -> dict[str, object]:
    annotations = {"annotations": {REF_NAME: name}} if name is not None else {}
    return wanted.descriptor.encode() | annotations | keys


def write(store: DiskStore, *entries: object, **keys: object) -> None:
    store.layout.index.write_text(json.dumps({"schemaVersion": 2, "manifests": list(entries)} | keys))


@pytest.fixture
async def store(tmp_path: Path) -> DiskStore:
    store = await DiskStore.open(tmp_path / "store", reserve=0)
    await put(store, *image().blobs)
    return store


async def test_entries_and_keys_of_other_tools_stay_as_they_are(store: DiskStore) -> None:
    foreign = entry(blob(1), "latest", platform={"os": "linux", "architecture": "amd64"}, novel=[1, {"a": 1.5}])
    unnamed = entry(blob(2))
    write(store, foreign, unnamed, annotations={"by": "other"}, novel="key")
    await store.tag(APP, MANIFEST.descriptor)
    await store.untag(APP)
    assert document(store) == {
        "schemaVersion": 2,
        "manifests": [foreign, unnamed],
        "annotations": {"by": "other"},
        "novel": "key",
    }


async def test_a_name_that_others_gave_twice_is_one_after_it_moved(store: DiskStore) -> None:
    write(store, entry(blob(1), NAME), entry(blob(2), "other"), entry(blob(3), NAME))
    assert await store.resolve(APP) == blob(1).descriptor
    await store.tag(APP, MANIFEST.descriptor)
    names = [one["annotations"][REF_NAME] for one in document(store)["manifests"]]
    assert sorted(names) == [NAME, "other"]


async def test_r12_entries_without_a_name_are_kept_from_collection(store: DiskStore) -> None:
    write(store, entry(MANIFEST))
    assert await store.tags() == {}
    assert (await collect(store)).freed == ()


async def test_the_tag_of_a_descriptor_carries_nothing_of_where_it_came_from(store: DiskStore) -> None:
    told = Descriptor(
        MANIFEST.descriptor.media_type, MANIFEST.digest, len(MANIFEST.content), {"vendor": "x"}, urls=("https://u",)
    )
    await store.tag(APP, told)
    assert document(store)["manifests"] == [entry(MANIFEST, NAME)]


async def test_a5_a_name_is_text_in_the_index_and_never_a_path(store: DiskStore) -> None:
    before = {path for path in store.layout.root.rglob("*") if path.parent != store.layout.locks}
    for text in ("a/b/c:d", "127.0.0.1:5000/x/y:z", "app:con", f"app:{'x' * 128}"):
        await store.tag(Reference.parse(text), MANIFEST.descriptor)
    assert {path for path in store.layout.root.rglob("*") if path.parent != store.layout.locks} == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "\x00" * 100,
        '{"schemaVersion": 2, "manifests": [',
        '{"schemaVersion": 1, "manifests": []}',
        '{"schemaVersion": 2, "manifests": {}}',
        '{"schemaVersion": 2, "manifests": [1]}',
        '{"schemaVersion": 2, "manifests": [], "manifests": []}',
    ],
)
async def test_h6_a_damaged_index_is_told_and_not_written_over(store: DiskStore, text: str) -> None:
    store.layout.index.write_text(text)
    with pytest.raises(ContentCorrupt, match=r"index\.json") as caught:
        await store.tags()
    assert "pull again" in caught.value.hint
    with pytest.raises(ContentCorrupt):
        await store.tag(APP, MANIFEST.descriptor)
    with pytest.raises(ContentCorrupt):
        await collect(store)
    assert store.layout.index.read_text() == text


@pytest.mark.parametrize(
    "digest",
    ["sha256:../../../etc/passwd", "sha256:", "md5:" + "0" * 32, "sha256:" + "A" * 64, "sha384:" + "0" * 96, 7, None],
)
async def test_a3_h6_an_entry_that_cannot_be_read_is_told_kept_and_harms_no_other(
    store: DiskStore, digest: object, caplog: pytest.LogCaptureFixture
) -> None:
    odd = entry(MANIFEST, "odd") | {"digest": digest}
    write(store, odd, entry(MANIFEST, NAME))
    assert await store.tags() == {NAME: MANIFEST.descriptor}
    assert "passed over" in caplog.text
    await store.tag(Reference.parse("app:2"), MANIFEST.descriptor)
    await store.untag(APP)
    assert document(store)["manifests"] == [odd, entry(MANIFEST, "docker.io/library/app:2")]
    assert (await collect(store)).freed == ()


async def test_r12_what_an_entry_mentions_that_cannot_be_read_is_kept_with_all_it_reaches(store: DiskStore) -> None:
    await put(store, blob(100))
    write(store, entry(MANIFEST) | {"size": "many"})
    assert (await collect(store)).freed == (blob(100).digest,)


async def test_r12_a_document_of_another_algorithm_keeps_what_it_mentions(store: DiskStore) -> None:
    await put(store, blob(100))
    name = hashlib.sha384(MANIFEST.content).hexdigest()
    (store.layout.root / "blobs" / "sha384").mkdir()
    (store.layout.root / "blobs" / "sha384" / name).write_bytes(MANIFEST.content)
    write(store, entry(MANIFEST) | {"digest": f"sha384:{name}"})
    assert set((await collect(store)).freed) == {blob(100).digest, MANIFEST.digest}


async def test_h6_an_unreadable_entry_for_a_damaged_manifest_frees_nothing_and_is_found(store: DiskStore) -> None:
    write(store, entry(MANIFEST) | {"size": "many"})
    path = store.layout.blob(MANIFEST.digest)
    path.chmod(0o644)
    path.write_bytes(b"}" + MANIFEST.content[1:])
    with pytest.raises(ContentCorrupt):
        await collect(store)
    assert [finding.digest for finding in (await audit(store)).findings] == [MANIFEST.digest]


@pytest.mark.parametrize(
    ("name", "typed"), [("latest", "latest"), ("app:1", "app:1"), ("app", "app"), ("team/app:1", "team/app:1")]
)
async def test_a_name_by_another_tool_is_found_and_taken_as_it_is_typed(
    store: DiskStore, name: str, typed: str
) -> None:
    write(store, entry(MANIFEST, name), entry(MANIFEST, "other"))
    assert await store.resolve(Reference.parse(typed)) == MANIFEST.descriptor
    await store.untag(Reference.parse(typed).tagged())
    assert list(await store.tags()) == ["other"]


async def test_a_bare_name_by_another_tool_is_no_other_tag_of_it(store: DiskStore) -> None:
    write(store, entry(MANIFEST, "app"))
    with pytest.raises(ContentMissing):
        await store.resolve(APP)


async def test_the_full_name_goes_before_the_same_name_by_another_tool(store: DiskStore) -> None:
    write(store, entry(blob(1), "app:1"), entry(MANIFEST, NAME))
    assert await store.resolve(APP) == MANIFEST.descriptor
    assert await store.untag(APP) == MANIFEST.descriptor
    assert list(await store.tags()) == ["app:1"]


async def test_an_index_that_vanished_is_told(store: DiskStore) -> None:
    store.layout.index.unlink()
    with pytest.raises(ContentCorrupt, match="gone"):
        await store.tags()


async def test_r2_the_new_index_is_on_the_disk_before_it_takes_the_name(tmp_path: Path) -> None:
    disk = NotedDisk(tmp_path / "store")
    store = await DiskStore.open(tmp_path / "store", reserve=0, files=disk.files)
    await put(store, *image().blobs)
    disk.notes.clear()
    await store.tag(APP, MANIFEST.descriptor)
    synced = disk.position("sync", "ingest/index.json.new")
    renamed = disk.position("rename", "index.json")
    assert synced < renamed < disk.position("sync_directory", str(tmp_path / "store"))


async def test_r2_tags_set_at_once_are_all_kept(store: DiskStore) -> None:
    other = await DiskStore.open(store.layout.root)
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon((store, other)[number % 2].tag, Reference.parse(f"app:{number}"), MANIFEST.descriptor)
    assert len(await store.tags()) == 20


async def test_r2_a_reader_sees_a_tag_at_every_moment_of_its_move(store: DiskStore) -> None:
    old, new = image(seed=1).manifest, image(seed=2).manifest
    await put(store, *image(seed=1).blobs, *image(seed=2).blobs)
    await store.tag(APP, old.descriptor)
    seen: set[Digest] = set()

    async def read(scope: anyio.CancelScope) -> None:
        with scope:
            while True:
                seen.add((await store.resolve(APP)).digest)

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(read, scope)
        for _ in range(10):
            await store.tag(APP, new.descriptor)
            await store.tag(APP, old.descriptor)
        scope.cancel()
    assert seen <= {old.digest, new.digest}


@pytest.mark.slow
@pytest.mark.parametrize(("names", "milliseconds"), [(2_000, 50), (20_000, 500)])
async def test_one_tag_more_among_many_is_cheap(store: DiskStore, names: int, milliseconds: int) -> None:
    write(store, *(entry(MANIFEST, f"docker.io/library/app{number}:1") for number in range(names)))
    taken = []
    for number in range(5):
        start = time.process_time()  # a busy machine proves nothing; what grows with the names is work
        await store.tag(Reference.parse(f"new:{number}"), MANIFEST.descriptor)
        taken.append(time.process_time() - start)
    assert min(taken) * 1_000 < milliseconds
    assert len(await store.tags()) == names + 5


async def test_a_pinned_reference_takes_its_media_type_from_an_entry(store: DiskStore) -> None:
    odd = Descriptor("application/vnd.example+json", MANIFEST.digest, len(MANIFEST.content))
    pinned = Reference.parse(f"other@{MANIFEST.digest}")
    assert (await store.resolve(pinned)).media_type == OCI_MANIFEST
    await store.tag(APP, odd)
    assert (await store.resolve(pinned)).media_type == "application/vnd.example+json"


async def test_names_are_read_anew_when_the_file_has_changed_and_not_before(store: DiskStore) -> None:
    write(store, entry(MANIFEST, str(APP)))
    first = await store.resolve(APP)
    other = image(seed=3).manifest
    write(store, entry(other, str(APP)))  # as another tool does it, in place

    assert first.digest == MANIFEST.digest
    assert (await store.resolve(APP)).digest == other.digest


@pytest.mark.slow
async def test_to_ask_for_one_name_among_many_again_costs_little(store: DiskStore) -> None:
    write(store, *(entry(MANIFEST, f"docker.io/library/app{number}:1") for number in range(20_000)))
    name = Reference.parse("docker.io/library/app7:1")
    await store.resolve(name)
    taken = []
    for _ in range(5):
        start = time.process_time()
        await store.resolve(name)
        taken.append(time.process_time() - start)
    assert min(taken) * 1_000 < 60
