"""Blobs from other local places: taken where they are, verified on the way, and never fetched again."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from puller.errors import InvalidConfig, NotFound
from puller.model.digest import Digest
from puller.model.event import Advanced, Event
from puller.model.platform import Platform
from puller.model.report import Passed
from puller.ops.pull import pull
from puller.ops.pulling.lenders import lenders
from puller.ops.pulling.plan import Wish
from puller.ops.tarsum import tarsum_of
from puller.store.disk import DiskStore
from testregistry import images
from tests.archive.building import config, docker, hex_of, layout, packed
from tests.ops.lending import BIG, archive_of, blob_in, folder_of, linked, piped, pulled_from
from tests.ops.story import BASE, IMAGE, LARGE, TOP, blob_of, passed, story

PLAIN = images.layer({"etc/motd": b"plain\n" * 50}, "none")


async def test_what_another_store_has_is_not_fetched(tmp_path: Path) -> None:
    async with story(tmp_path / "one") as one:
        one.registry.add("app:1", IMAGE)
        await one.pull()
    async with story(tmp_path / "two") as s:
        s.registry.add("app:1", IMAGE)
        report = await pulled_from(s, tmp_path / "one" / "store")
        assert [(request.method, request.kind) for request in s.registry.journal] == [("HEAD", "manifest")]
        assert await s.blobs() == {IMAGE.digest, IMAGE.config.digest, BASE.digest, TOP.digest}
        assert {blob.outcome for blob in report.blobs} == {"copied"}
        layer = blob_of(report, BASE.digest)
        assert passed(layer) == {"size", "digest", "diff_id", "tarsum"}
        assert (layer.copied, layer.fetched, layer.reused) == (layer.size, 0, 0)
        assert layer.origin is not None
        assert layer.origin.host == f"file:{tmp_path}/one/store"
        assert s.warnings() == []


async def test_what_a_place_lacks_is_fetched(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "place", IMAGE, leave_out=[TOP.digest])
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await pulled_from(s, place)
        assert blob_of(report, TOP.digest).outcome == "fetched"
        assert blob_of(report, BASE.digest).outcome == "copied"
        assert report.copied + report.fetched == sum(blob.size or 0 for blob in report.blobs)
        assert s.warnings() == []


async def test_an_archive_of_a_layout_lends_as_its_directory_does(tmp_path: Path) -> None:
    place = archive_of(tmp_path / "image.tar", layout((IMAGE, "app:1")))
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await pulled_from(s, place)
        assert {blob.outcome for blob in report.blobs} == {"copied"}
        assert s.registry.journal.gets(BASE.digest) == 0


async def test_a_compressed_archive_is_unpacked_beside_the_store_and_leaves_nothing_there(tmp_path: Path) -> None:
    place = tmp_path / "image.tar.gz"
    place.write_bytes(images.compress(packed(layout((IMAGE, "app:1"))), "gzip"))
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await pulled_from(s, place)
        assert {blob.outcome for blob in report.blobs} == {"copied"}
        assert list(s.store.layout.ingests.iterdir()) == []


async def test_an_archive_of_docker_lends_the_config_and_layers_that_are_blobs_as_they_are(tmp_path: Path) -> None:
    raw = config([PLAIN.raw])
    image = images.image(PLAIN, config_extra={"config": {}})
    place = archive_of(tmp_path / "saved.tar", docker([PLAIN.raw]))
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        report = await pulled_from(s, place)
        assert blob_of(report, PLAIN.digest).outcome == "copied"
        assert blob_of(report, image.config.digest).outcome == "fetched"  # another document than the archive's
        assert hex_of(raw) != image.config.digest.partition(":")[2]


async def test_a_compressed_layer_is_not_taken_from_an_archive_that_has_it_uncompressed(tmp_path: Path) -> None:
    place = archive_of(tmp_path / "saved.tar", docker([images.tar({"etc/motd": b"hello\n"})]))
    packed_layer = images.layer({"etc/motd": b"hello\n"})
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(packed_layer))
        assert blob_of(await pulled_from(s, place), packed_layer.digest).outcome == "fetched"


@pytest.mark.parametrize("at", [0, -1])
async def test_wrong_bytes_in_a_place_are_fetched_anew_with_a_warning_that_names_it(tmp_path: Path, at: int) -> None:
    place = folder_of(tmp_path / "place", IMAGE)
    raw = bytearray(BASE.raw)
    raw[at] ^= 1
    blob_in(place, BASE.digest).write_bytes(raw)
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await pulled_from(s, place)
        layer = blob_of(report, BASE.digest)
        assert (layer.outcome, layer.copied) == ("fetched", 0)
        assert passed(layer) == {"size", "digest", "diff_id", "tarsum"}
        (warning,) = s.warnings()
        assert str(place) in warning
        assert report.warnings == (warning,)
        assert layer.origin is not None
        assert layer.origin.passed == (Passed(f"file:{place}", "held other bytes"),)
        assert s.parts() == set()


async def test_wrong_documents_in_a_place_are_fetched_anew(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "place", IMAGE)
    for digest in (IMAGE.digest, IMAGE.config.digest):
        path = blob_in(place, digest)
        path.write_bytes(b" " * path.stat().st_size)
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await pulled_from(s, place)
        assert await s.tags() == {"app:1": IMAGE.digest}
        assert blob_of(report, IMAGE.digest).outcome == "fetched"
        assert len(s.warnings()) == 2


async def test_the_next_place_is_taken_where_the_first_has_wrong_bytes(tmp_path: Path) -> None:
    bad, good = folder_of(tmp_path / "bad", IMAGE), folder_of(tmp_path / "good", IMAGE)
    blob_in(bad, BASE.digest).write_bytes(bytes(BASE.size))
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        layer = blob_of(await pulled_from(s, bad, good), BASE.digest)
        assert layer.outcome == "copied"
        assert layer.origin is not None
        assert layer.origin.host == f"file:{good}"
        assert s.registry.journal.gets(BASE.digest) == 0


def foldered(path: Path) -> None:
    path.unlink()
    path.mkdir()


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"and more")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def huge(path: Path) -> None:
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("spoil", [linked, piped, foldered, grown, cut, huge])
async def test_h1_what_is_no_regular_file_of_the_promised_size_is_not_even_read(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    place = folder_of(tmp_path / "place", IMAGE)
    spoil(blob_in(place, BASE.digest))
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await pulled_from(s, place)
        assert blob_of(report, BASE.digest).outcome == "fetched"
        assert blob_of(report, TOP.digest).outcome == "copied"
        (warning,) = s.warnings()
        assert f"file:{place} is of no use for {BASE.digest[7:19]}" in warning


@pytest.mark.parametrize("which", ["blobs", "blobs/sha256"])
async def test_h1_a_link_in_the_place_of_a_directory_is_not_followed(tmp_path: Path, which: str) -> None:
    place = folder_of(tmp_path / "place", IMAGE)
    if which == "blobs":
        linked(place / which)
        with pytest.raises(InvalidConfig):
            async with lenders([place], tmp_path):
                pass
        return
    linked(place / which)
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await pulled_from(s, place)
        assert {blob.outcome for blob in report.blobs} == {"fetched"}
        assert len(s.warnings()) == 1  # one for all blobs: the reason is the same


async def test_a_file_that_becomes_shorter_while_it_is_read_is_gone_on_with_at_the_registry(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "place", BIG)
    half = 1 << 20

    class Cutting:
        """Cuts the file as soon as its first part has been read."""

        def __init__(self, path: Path) -> None:
            self.path = path

        def __call__(self, event: Event) -> None:
            if isinstance(event, Advanced) and str(event.descriptor.digest) == LARGE.digest:
                os.truncate(self.path, half)  # again and again, which changes nothing

    async with story(tmp_path) as s:
        s.registry.add("app:1", BIG)
        reference = s.reference("app:1")
        async with lenders([place], s.store.layout.ingests) as places:
            cutting = Cutting(blob_in(place, LARGE.digest))
            wish = Wish([Platform.parse("linux/amd64")])
            report = await pull(reference, s.client.source(reference), s.store, wish, places=places, report=cutting)
        layer = blob_of(report, LARGE.digest)
        assert (layer.copied, layer.fetched) == (half, LARGE.size - half)
        assert layer.outcome == "fetched"
        assert s.registry.journal.ranges(LARGE.digest) == [f"bytes={half}-"]
        assert passed(layer) == {"size", "digest", "diff_id", "tarsum"}
        assert layer.origin is not None
        assert layer.origin.resumed_at == (half,)


async def test_a_part_that_was_kept_is_gone_on_with_from_a_place(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "place", BIG)
    async with story(tmp_path) as s:
        s.registry.add("app:1", BIG)
        part = s.store.layout.ingest(Digest.parse(LARGE.digest))
        part.mkdir()
        (part / "data").write_bytes(LARGE.raw[: 1 << 20])
        layer = blob_of(await pulled_from(s, place), LARGE.digest)
        assert (layer.outcome, layer.resumed, layer.copied) == ("resumed", 1 << 20, LARGE.size - (1 << 20))
        assert s.registry.journal.gets(LARGE.digest) == 0


async def test_a_kept_part_that_rotted_costs_no_request_and_blames_no_place(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "place", BIG)
    async with story(tmp_path) as s:
        s.registry.add("app:1", BIG)
        part = s.store.layout.ingest(Digest.parse(LARGE.digest))
        part.mkdir()
        (part / "data").write_bytes(bytes(1 << 20))
        layer = blob_of(await pulled_from(s, place), LARGE.digest)
        assert (layer.outcome, layer.copied) == ("copied", LARGE.size)
        assert s.warnings() == []
        assert s.registry.journal.gets(LARGE.digest) == 0


async def test_a_digest_that_a_place_has_whole_is_pulled_without_any_request(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "place", IMAGE)
    async with story(tmp_path) as s:
        report = await pulled_from(s, place, name=f"app@{IMAGE.digest}")
        assert report.digest == IMAGE.digest
        assert s.registry.journal.requests == []


async def test_c2_what_a_tag_names_is_for_the_registry_alone_to_say(tmp_path: Path) -> None:
    other = images.image(TOP)
    place = folder_of(tmp_path / "place", IMAGE)
    async with story(tmp_path) as s:
        s.registry.add("app:1", other)
        assert (await pulled_from(s, place)).digest == other.digest
        with pytest.raises(NotFound):
            await pulled_from(s, place, name="app:2")


async def test_nothing_is_made_or_changed_in_a_place_and_no_lock_is_taken(tmp_path: Path) -> None:
    async with story(tmp_path / "one") as one:
        one.registry.add("app:1", IMAGE)
        await one.pull()
    place = tmp_path / "one" / "store"

    def state() -> dict[str, tuple[int, int, int]]:
        found = sorted(place.rglob("*"))
        return {str(path): (s.st_mtime_ns, s.st_ctime_ns, s.st_size) for path in found for s in [path.lstat()]}

    before = state()
    async with story(tmp_path / "two") as s:
        s.registry.add("app:1", IMAGE)
        other = await DiskStore.open(place)  # as another process that is writing there holds its locks
        async with (
            other.locks.held(other.layout.lock(Digest.parse(BASE.digest))),
            other.locks.held(other.layout.lock("index-json")),
        ):
            with anyio.fail_after(5):
                report = await pulled_from(s, place)
        assert {blob.outcome for blob in report.blobs} == {"copied"}
    after = state()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert not [path for path in changed if "/locks" not in path]


async def test_an_archive_with_a_broken_listing_still_lends_what_its_names_say(tmp_path: Path) -> None:
    parts = [*layout((IMAGE, "")), ("manifest.json", b'[{"Config":"nowhere.json","Layers":["a"],"RepoTags":null}]')]
    place = archive_of(tmp_path / "image.tar", parts)
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        assert {blob.outcome for blob in (await pulled_from(s, place)).blobs} == {"copied"}


async def test_a_layer_named_by_tarsum_comes_from_the_registry_and_one_named_by_digest_from_the_place(
    tmp_path: Path,
) -> None:
    label = tarsum_of([PLAIN.raw], "tarsum.v1+sha256")
    place = folder_of(tmp_path / "place", images.image(PLAIN, BASE))
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.schema1(PLAIN, BASE, blobs=[label, BASE.digest]))
        report = await pulled_from(s, place)
        assert blob_of(report, PLAIN.digest).outcome == "fetched"
        assert blob_of(report, BASE.digest).outcome == "copied"
