"""Pushing images of a graph: as Docker 1.8 and 1.9 did, and as images of today; checksums made when they are wanted."""

import gzip
import json
from pathlib import Path

import pytest

from puller.errors import ContentCorrupt, ContentMissing, Unavailable
from puller.legacy.idchain import id_chain
from puller.model.digest import Digest
from puller.model.event import Warned
from puller.ops.graphs.names import name_image
from puller.ops.push import tags_of
from testregistry import faults, images
from tests.ops.old_world import BASE, MIDDLE, OLD, TOP, content_of, old_story, tar_of, texts_of
from tests.ops.pushing import blob, made, modern, named, outcomes, pushed, signed, uploads

pytestmark = pytest.mark.slow

ONE, TWO = "1" * 64, "2" * 64
EMPTY = images.layer({})


async def test_a_pulled_image_goes_back_as_schema_1_with_the_blobs_it_came_in(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        top = (await s.pull()).images[-1].image_id
        report = await pushed(s, name="other:2", form="schema1")
        manifest = signed(s.story.registry, "other:2")
        assert manifest.blobs == (TOP.digest, MIDDLE.digest, BASE.digest)
        assert [text.decode() for text in reversed(manifest.history)] == texts_of(OLD)
        assert (manifest.name, manifest.tag, manifest.architecture) == ("other", "2", "amd64")
        assert (report.digest, report.graph_id) == (str(manifest.digest), top)
        assert {blob(s.story.registry, "other", layer.digest) for layer in (BASE, MIDDLE, TOP)} == {
            content_of(layer) for layer in (BASE, MIDDLE, TOP)
        }
        assert report.hashed == 0


async def test_what_was_pushed_as_schema_1_has_the_ids_of_what_was_pulled(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        ids = [image.image_id for image in (await s.pull()).images]
        await pushed(s, name="other:2", form="schema1")
        assert [candidate.strong_id for candidate in id_chain(signed(s.story.registry, "other:2").layers())] == ids


async def test_it_is_signed_with_the_key_of_the_store(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.pull()
        await pushed(s, name="other:2", form="schema1")
        await pushed(s, name="third:3", form="schema1")
        key = json.loads((s.story.store.layout.root / "key.json").read_bytes())
        assert (
            signed(s.story.registry, "other:2").key_ids == signed(s.story.registry, "third:3").key_ids == (key["kid"],)
        )


@pytest.mark.parametrize("form", ["schema1", "schema2", "oci"])
async def test_a_second_push_sends_and_hashes_nothing(tmp_path: Path, form: str) -> None:
    async with old_story(tmp_path) as s:
        made(s, ONE, "", BASE)
        await named(s, "app:1", made(s, TWO, ONE, TOP))
        first = await pushed(s, form=form)
        assert first.hashed == len(tar_of(BASE)) + len(tar_of(TOP))
        assert uploads(s.story.registry) == (2 if form == "schema1" else 3)
        s.story.registry.journal.clear()
        again = await pushed(s, form=form)
        assert (again.sent, again.hashed, again.digest) == (0, 0, first.digest)
        assert {request.method for request in s.story.registry.journal} == {"HEAD"}


@pytest.mark.parametrize("form", ["schema1", "schema2"])
async def test_a_layer_without_checksum_gets_the_digest_of_what_was_uploaded(tmp_path: Path, form: str) -> None:
    async with old_story(tmp_path) as s:
        await named(s, "app:1", made(s, ONE, "", BASE))
        assert not (s.graph.place / "graph" / ONE / "checksum").exists()
        await pushed(s, form=form)
        checksum = (s.graph.place / "graph" / ONE / "checksum").read_text()
        assert checksum == str(Digest.of(tar_of(BASE)))
        assert blob(s.story.registry, "app", checksum) == tar_of(BASE)


async def test_v1_compatibility_is_made_for_the_whole_line_and_kept(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        made(s, ONE, "", BASE)
        await named(s, "app:1", made(s, TWO, ONE, TOP))
        await pushed(s, form="schema1")
        top, base = map(json.loads, signed(s.story.registry, "app:1").history)
        assert (top["id"], top["parent"], base["id"]) == (TWO, ONE, ONE)
        for image_id, text in zip((TWO, ONE), signed(s.story.registry, "app:1").history, strict=True):
            assert (s.graph.place / "graph" / image_id / "v1Compatibility").read_bytes() == text


async def test_a_blob_that_is_gone_goes_uncompressed_and_the_checksum_follows_with_a_warning(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", images.schema1(BASE))
        top = (await s.pull()).images[-1].image_id
        await s.story.store.delete(Digest.parse(BASE.digest))
        report = await pushed(s, name="other:2", form="schema1")
        plain = str(Digest.of(tar_of(BASE)))
        assert signed(s.story.registry, "other:2").blobs == (plain,)
        assert s.graph.images.get(top).checksum == plain
        (warning,) = report.warnings
        assert plain in warning
        assert [event.text for event in s.story.events if isinstance(event, Warned)] == [warning]


async def test_a_blob_that_is_gone_is_no_loss_where_the_registry_has_it(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        top = (await s.pull()).images[-1].image_id
        for layer in (BASE, MIDDLE, TOP):
            await s.story.store.delete(Digest.parse(layer.digest))
        report = await pushed(s, form="schema1")
        assert report.warnings == ()
        assert s.graph.images.get(top).checksum == TOP.digest
        assert outcomes(report)[:3] == [("layer 1", "exists"), ("layer 2", "exists"), ("layer 3", "exists")]


async def test_as_an_image_of_today_it_keeps_its_layers_and_gets_a_config(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.pull()
        report = await pushed(s, name="other:2")
        manifest = modern(s.story.registry, "other:2")
        assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
        assert [layer["digest"] for layer in manifest["layers"]] == [BASE.digest, MIDDLE.digest, TOP.digest]
        config = json.loads(blob(s.story.registry, "other", manifest["config"]["digest"]))
        assert config["rootfs"]["diff_ids"] == [str(Digest.of(tar_of(layer))) for layer in (BASE, MIDDLE, TOP)]
        assert report.image_id == manifest["config"]["digest"]


async def test_what_was_pushed_as_an_image_of_today_is_pulled_again(tmp_path: Path) -> None:
    async with old_story(tmp_path / "one") as s:
        made(s, ONE, "", BASE)
        await named(s, "app:1", made(s, TWO, ONE, TOP))
        report = await pushed(s, form="oci")
        again = await s.story.pull("app:1")
        assert (again.digest, again.media_type) == (report.digest, "application/vnd.oci.image.manifest.v1+json")


async def test_push_empty_layer(tmp_path: Path) -> None:
    """TestPushEmptyLayer: an image whose layer holds nothing is pushed like any other."""
    async with old_story(tmp_path) as s:
        await named(s, "app:1", made(s, ONE, "", EMPTY))
        await pushed(s, form="schema1")
        (digest,) = signed(s.story.registry, "app:1").blobs
        assert blob(s.story.registry, "app", digest) == gzip.decompress(content_of(EMPTY))


async def test_push_multiple_tags_the_second_finds_its_layers_there(tmp_path: Path) -> None:
    """TestPushMultipleTags."""
    async with old_story(tmp_path) as s:
        made(s, ONE, "", BASE)
        made(s, TWO, ONE, TOP)
        await named(s, "app:t1", TWO)
        await named(s, "app:t2", TWO)
        reports = [
            await pushed(s, f"app:{r.tag}", form="schema1") for r in await tags_of(s.story.reference("app"), s.graph)
        ]
        assert [outcomes(report)[:2] for report in reports] == [
            [("layer 1", "pushed"), ("layer 2", "pushed")],
            [("layer 1", "exists"), ("layer 2", "exists")],
        ]
        assert signed(s.story.registry, "app:t1").blobs == signed(s.story.registry, "app:t2").blobs


async def test_push_untagged_by_digest_there_is_no_tag(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        await named(s, "app:1", made(s, ONE, "", BASE))
        with pytest.raises(ContentMissing, match="Tag does not exist for"):
            await pushed(s, name=f"app@{BASE.digest}", form="schema1")


async def test_an_image_is_pushed_by_its_id(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        made(s, ONE, "", BASE)
        await pushed(s, "/111111111111", "app:1", form="schema1")
        assert len(signed(s.story.registry, "app:1").blobs) == 1


async def test_one_layer_in_several_images_is_sent_once(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        made(s, ONE, "", BASE)
        await named(s, "app:1", made(s, TWO, ONE, BASE))
        await pushed(s, form="schema1")
        assert s.story.registry.journal.count("PUT", kind="upload", status=201) == 1
        top, base = signed(s.story.registry, "app:1").blobs
        assert top == base


async def test_a_checksum_that_is_none_is_refused_and_nothing_sent(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        await named(s, "app:1", made(s, ONE, "", BASE))
        (s.graph.place / "graph" / ONE / "checksum").write_text("sha256:tooshort")
        with pytest.raises(ContentCorrupt, match="error getting image checksum"):
            await pushed(s, form="schema1")
        assert uploads(s.story.registry) == 0


async def test_a_tarsum_in_the_checksum_makes_way_for_a_digest(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        await named(s, "app:1", made(s, ONE, "", BASE))
        (s.graph.place / "graph" / ONE / "checksum").write_text("tarsum.dev+sha256:" + "0a" * 32)
        await pushed(s, form="schema1")
        assert signed(s.story.registry, "app:1").blobs == (str(Digest.of(tar_of(BASE))),)


async def test_a_line_that_breaks_goes_on_with_a_layer_that_is_made_as_it_is_read(tmp_path: Path) -> None:
    large = images.layer({"large": bytes(range(256)) * 20_000})
    async with old_story(tmp_path, faults=[faults.cut_upload(after=2_000_000)]) as s:
        await named(s, "app:1", made(s, ONE, "", large))
        await pushed(s, form="schema1")
        (second,) = s.story.registry.journal.find("PATCH", status=202)
        assert second.headers["Content-Range"].startswith("2000000-")
        assert blob(s.story.registry, "app", str(Digest.of(tar_of(large)))) == tar_of(large)


async def test_a_push_that_fails_leaves_the_name_where_it_was(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await named(s, "app:1", made(s, ONE, "", BASE))
        s.story.registry.faults.append(faults.status(503, method="PUT", kind="upload", times=None))
        with pytest.raises(Unavailable):
            await pushed(s, form="schema1")
        assert s.story.registry.storage.repository("app").tags == {"1": OLD.digest}


async def test_d1_a_tree_that_was_changed_on_disk_never_arrives_as_the_layer(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        await named(s, "app:1", made(s, ONE, "", BASE))
        await pushed(s, form="schema1")
        (s.graph.place / "vfs" / "dir" / ONE / "etc" / "motd").write_bytes(b"changed\n" * 75)
        s.story.registry.faults.append(faults.status(405, method="POST", path="mount=", times=None))
        with pytest.raises(ContentCorrupt):
            await pushed(s, name="other:2", form="schema1")
        assert "2" not in s.story.registry.storage.repository("other").tags


async def test_the_name_of_a_graph_image_is_what_it_is_pushed_to(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        made(s, ONE, "", BASE)
        reference = s.story.reference("team/app:2")
        await name_image(reference, ONE, s.story.store, s.graph)
        assert (await pushed(s, "team/app:2")).reference == str(reference)
