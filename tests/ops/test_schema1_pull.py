"""Pulling images of schema 1: verified, registered under their old IDs, what the graph has reused."""

import hashlib
import json
from pathlib import Path

import pytest

from puller.errors import (
    DigestMismatch,
    InvalidManifest,
    PullerError,
    SignatureInvalid,
    TarsumMismatch,
    WeakDigest,
)
from puller.legacy.idchain import id_chain
from puller.legacy.schema1 import parse_signed_manifest
from puller.model.report import WEAK
from puller.ops.graphs.names import find
from puller.ops.images import images as images_of
from puller.ops.tarsum import tarsum_of
from testregistry import faults, images
from testregistry.documents import SCHEMA1, SCHEMA1_SIGNED
from tests.ops.old_world import (
    BASE,
    MIDDLE,
    OLD,
    TOP,
    OldStory,
    content_of,
    files_of,
    old_story,
    tar_of,
    texts_of,
)
from tests.ops.story import story

pytestmark = pytest.mark.slow  # many small tests: for `make test`

BLOBS = [BASE.digest, MIDDLE.digest, TOP.digest]


def blob_requests(s: OldStory) -> list[str]:
    """Paths of blobs that were asked for."""
    return [request.path for request in s.story.registry.journal.requests if "/blobs/" in request.path]


def strong_ids(raw: bytes) -> list[str]:
    """By the rules alone, base first."""
    return [candidate.strong_id for candidate in id_chain(parse_signed_manifest(raw).layers())]


async def test_images_are_registered_under_the_ids_that_follow_from_their_content(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        report = await s.pull()
        ids = strong_ids(OLD.raw)
        assert [image.image_id for image in report.images] == ids
        assert {image.outcome for image in report.images} == {"registered"}
        assert (report.digest, report.media_type) == (OLD.digest, SCHEMA1_SIGNED)
        assert sorted(ids) == s.ids()
        top = s.graph.images.get(ids[-1])
        assert (top.parent, top.checksum) == (ids[-2], TOP.digest)
        assert top.v1_compatibility == texts_of(OLD)[-1].encode()
        assert b"".join(s.graph.images.layer_tar(ids[-1])) == tar_of(TOP)
        tree = s.graph.place / "vfs" / "dir" / ids[-1]
        assert (tree / "etc/motd").read_bytes() == b"changed\n"
        assert (tree / "usr/share/words").is_file()


async def test_both_names_are_set_the_graphs_to_the_image_and_the_stores_to_the_manifest(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("team/app:1", OLD)
        report = await s.pull("team/app:1")
        assert s.graph.tags.get(f"{s.story.registry.host}/team/app", "1") == report.images[-1].image_id
        (named,) = (await s.story.store.tags()).values()
        assert await s.story.store.read(named, limit=1 << 20) == OLD.raw
        assert report.status == f"Downloaded newer image for {s.story.registry.host}/team/app:1"


async def test_a_second_pull_reuses_every_image_and_asks_for_no_blob(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        first = await s.pull()
        s.story.registry.journal.clear()
        again = await s.pull()
        assert [image.image_id for image in again.images] == [image.image_id for image in first.images]
        assert {image.outcome for image in again.images} == {"reused"}
        assert blob_requests(s) == []
        assert again.status == f"Image is up to date for {s.story.registry.host}/app:1"


async def test_a_pinned_manifest_is_named_by_the_digest_of_its_payload(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        report = await s.pull(f"app@{OLD.digest}")
        assert report.digest == OLD.digest
        assert s.graph.tags.get(f"{s.story.registry.host}/app", OLD.digest) == report.images[-1].image_id
        s.story.registry.journal.clear()
        await s.pull(f"app@{OLD.digest}")
        assert not s.story.registry.journal.requests


async def test_the_digest_that_a_pull_tells_is_the_one_that_images_tells_and_finds(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        report = await s.pull()
        (held,) = await images_of(s.story.store, s.graph)
        assert str(held.digest) == report.digest == OLD.digest
        found = await find(OLD.digest, s.story.store, s.graph)
        assert found.image_id == report.images[-1].image_id


@pytest.mark.parametrize("media_type", [SCHEMA1, SCHEMA1_SIGNED, "application/json", "text/plain"])
async def test_a_manifest_is_known_for_what_it_is_whatever_it_comes_as(tmp_path: Path, media_type: str) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app", OLD)
        s.story.registry.add_manifest("app", OLD.raw, media_type, "1", digest=OLD.digest)
        assert len((await s.pull()).images) == 3


async def test_an_unsigned_manifest_is_taken_with_a_warning_unless_signatures_are_required(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", images.schema1(BASE, TOP, signed=False))
        assert "the manifest is not signed" in (await s.pull()).warnings
        with pytest.raises(SignatureInvalid):
            await s.pull(signed=True)


@pytest.mark.parametrize("architecture", ["amd64/../x", "\x1b]52;c;x\x07", "a\nb", "arm/v7/x"])
async def test_c22_an_architecture_that_is_none_is_told_in_printable_letters(tmp_path: Path, architecture: str) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", images.schema1(BASE, TOP, architecture=architecture))
        (warning,) = (await s.pull()).warnings
        assert warning.startswith("the manifest names an impossible architecture")
        assert warning.isprintable()


async def test_without_a_graph_blobs_and_manifest_are_kept_and_nothing_is_registered(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", OLD)
        report = await s.pull()
        assert {*BLOBS} <= await s.blobs()
        assert report.images == ()
        assert not (s.store.layout.root / "graph").exists()


# --- altered content -----------------------------------------------------------------------------------------------


async def test_an_altered_manifest_is_refused(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app", OLD)
        altered = OLD.raw.replace(BASE.digest.encode(), MIDDLE.digest.encode(), 1)
        s.story.registry.add_manifest("app", altered, SCHEMA1_SIGNED, "1", digest=OLD.digest)
        for name in ("app:1", f"app@{OLD.digest}"):
            with pytest.raises((DigestMismatch, SignatureInvalid), match=r"verif|sign"):
                await s.pull(name)
        assert s.ids() == []
        assert await s.story.blobs() == set()


async def test_an_altered_layer_is_refused_in_dockers_words_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    async with old_story(tmp_path, faults=[faults.flip(TOP.digest, at=-1, times=None)]) as s:
        s.story.registry.add("app:1", OLD)
        with pytest.raises(DigestMismatch, match=f"filesystem layer verification failed for digest {TOP.digest}"):
            await s.pull()
        assert TOP.digest not in await s.story.blobs()
        assert await s.story.tags() == {}
        assert s.graph.tags.repositories() == {}
        assert strong_ids(OLD.raw)[-1] not in s.ids()


async def test_c15_what_stands_outside_of_the_signed_part_is_not_read(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app", OLD)
        more = json.dumps([{"blobSum": MIDDLE.digest}]).encode()
        raw = OLD.raw.rstrip()[:-1] + b',"fsLayers":' + more + b"}"
        s.story.registry.add_manifest("app", raw, SCHEMA1_SIGNED, "1", digest=OLD.digest)
        report = await s.pull()
        assert [image.blob for image in report.images] == BLOBS
        assert any("fsLayers" in warning for warning in report.warnings)


async def test_c18_a_chain_that_is_none_is_refused_before_a_blob_is_asked_for(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        texts = [text.replace('"parent":"', '"parent":"f') for text in texts_of(OLD)]
        s.story.registry.add("app:1", images.schema1(BASE, MIDDLE, TOP, history=texts[::-1]))
        with pytest.raises(InvalidManifest, match="Invalid parent ID"):
            await s.pull()
        assert blob_requests(s) == []
        assert s.ids() == []


# --- IDs that old programs gave ------------------------------------------------------------------------------------


async def test_legacy_images_on_the_disk_are_reused_under_their_ids_without_a_blob_request(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        base, middle, _ = texts_of(OLD)
        s.register(base, BASE, checksum=BASE.digest)
        s.register(middle, MIDDLE, checksum=MIDDLE.digest)
        report = await s.pull()
        legacy = [json.loads(text)["id"] for text in texts_of(OLD)]
        assert [image.image_id for image in report.images][:2] == legacy[:2]
        assert [image.outcome for image in report.images] == ["reused", "reused", "registered"]
        assert report.images[2].image_id == strong_ids(OLD.raw)[2]
        assert s.graph.images.get(report.images[2].image_id).parent == legacy[1]
        assert {path.rpartition("/")[2] for path in blob_requests(s)} == {TOP.digest}
        await s.pull()  # and what was registered on a reused parent is found again
        assert len(s.ids()) == 3


async def test_c14_an_image_of_other_content_under_a_claimed_id_is_not_taken_for_it(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        s.register(texts_of(OLD)[0], TOP, checksum=TOP.digest)
        report = await s.pull()
        assert [image.image_id for image in report.images] == strong_ids(OLD.raw)


async def test_a_taken_strong_id_is_probed_past_and_the_second_pull_finds_the_same(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        strong = strong_ids(OLD.raw)
        image = json.loads(texts_of(OLD)[0]) | {"id": strong[0]}
        s.register(json.dumps(image), BASE)  # as a load leaves it: the same content, and no checksum
        report = await s.pull()
        assert report.images[0].image_id == hashlib.sha256(strong[0].encode()).hexdigest()
        assert (await s.pull()).images[0].image_id == report.images[0].image_id


async def test_verify_disk_refuses_to_reuse_what_was_changed_on_the_disk(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        first = await s.pull()
        top = first.images[-1].image_id
        (s.graph.place / "vfs" / "dir" / top / "etc" / "motd").write_bytes(b"forged!\n")
        again = await s.pull()
        assert again.images[-1].image_id == top  # Docker did not look
        proved = await s.pull(verify_disk=True)
        assert [image.outcome for image in proved.images] == ["reused", "reused", "registered"]
        assert proved.images[-1].image_id != top


# --- layers named by tarsum ----------------------------------------------------------------------------------------

PLAIN = images.layer({"etc/motd": b"hello\n" * 100}, compression="none")
LABELS = ["tarsum.v1+sha256", "tarsum+sha256", "tarsum.dev+sha512"]


def labelled(label: str, *, upper: bool = False) -> tuple[str, bytes]:
    """A name of PLAIN, and its bytes."""
    raw = content_of(PLAIN)
    name = tarsum_of([raw], label)
    head, _, digits = name.rpartition(":")
    return (f"{head}:{digits.upper()}" if upper else name), raw


@pytest.mark.parametrize("label", LABELS)
async def test_d1_a_layer_named_by_tarsum_is_held_to_it_and_called_weak(tmp_path: Path, label: str) -> None:
    async with old_story(tmp_path) as s:
        name, raw = labelled(label)
        s.story.registry.add("app:1", images.schema1(PLAIN, blobs=[name]))
        report = await s.pull()
        (layer,) = (blob for blob in report.blobs if blob.role == "layer 1")
        (check,) = (check for check in layer.checks if check.name == "tarsum")
        assert (check.note, check.got, check.passed) == (WEAK, name, True)
        assert any(WEAK in warning for warning in report.warnings)
        assert layer.digest == PLAIN.digest  # the sha256 of its bytes: it is a plain archive
        assert s.graph.images.get(report.images[0].image_id).checksum == name
        s.story.registry.journal.clear()
        await s.pull()
        assert blob_requests(s) == []
        assert raw


@pytest.mark.parametrize("label", LABELS)
async def test_d1_a_changed_byte_of_content_is_refused_and_nothing_is_kept(tmp_path: Path, label: str) -> None:
    async with old_story(tmp_path) as s:
        name, raw = labelled(label)
        s.story.registry.add("app:1", images.schema1(PLAIN, blobs=[name]))
        s.story.registry.corrupt("app", name, raw.replace(b"hello", b"hullo", 1))
        before = files_of(s.story.store.layout.root)
        with pytest.raises(TarsumMismatch, match="filesystem layer verification failed for digest tarsum"):
            await s.pull()
        assert files_of(s.story.store.layout.root) == before
        assert s.ids() == []


async def test_d1_a_labelled_layer_is_refused_where_strong_digests_are_required(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        name, _ = labelled(LABELS[0])
        s.story.registry.add("app:1", images.schema1(PLAIN, blobs=[name]))
        with pytest.raises(WeakDigest):
            await s.pull(strong=True)
        assert blob_requests(s) == []
        s.story.registry.add("app:2", OLD)
        assert len((await s.pull("app:2", strong=True)).images) == 3  # by digests alone it is as strong as any


async def test_a_label_in_upper_case_is_asked_for_as_it_is_written(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        name, _ = labelled(LABELS[0], upper=True)
        s.story.registry.add("app:1", images.schema1(PLAIN, blobs=[name]))
        assert len((await s.pull()).images) == 1


async def test_a_labelled_layer_may_come_as_gzip_which_is_told(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        name = tarsum_of([tar_of(BASE)], LABELS[0])
        s.story.registry.add("app:1", images.schema1(BASE, blobs=[name]))
        report = await s.pull()
        assert any("came as gzip" in warning for warning in report.warnings)


async def test_d1_a_label_of_a_weak_hash_is_no_name_at_all(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add(
            "app:1", images.schema1(PLAIN, extra={"fsLayers": [{"blobSum": "tarsum+md5:" + "0" * 32}]})
        )
        with pytest.raises(PullerError) as caught:
            await s.pull()
        assert caught.value.digest is None or "md5" in str(caught.value)
        assert s.ids() == []


async def test_what_the_trees_do_not_show_is_told_once_for_each_reason(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        layer = images.layer({"dev/null": images.Device("c", 1, 3), "dev/zero": images.Device("c", 1, 5)})
        s.story.registry.add("app:1", images.schema1(layer))
        report = await s.pull()
        (altered,) = report.images[0].altered
        assert (altered.what, altered.count) == ("device", 2)
        assert [warning for warning in report.warnings if "device" in warning] != []
        again = await s.pull()
        assert [warning for warning in again.warnings if "device" in warning] == []
