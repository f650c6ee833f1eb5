"""Pulls that go well: every kind of image ends in the store, verified, under its name."""

import json
from pathlib import Path

import pytest

from puller.errors import NotFound, Unsupported
from puller.model.digest import Digest
from puller.model.platform import Platform
from puller.ops.pulling.plan import Depth
from testregistry import images
from testregistry.documents import OCI_ARTIFACT, OCI_EMPTY
from testregistry.layers import Compression
from tests.ops.story import BASE, IMAGE, TOP, blob_of, passed, story

ARM = images.image(BASE, images.layer({"bin/arm": b"arm"}), platform=("linux", "arm64"))
COSIGN_CONFIG = images.document(
    {"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}}
)


async def test_an_oci_image_is_stored_whole_under_its_name(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("team/app:1", IMAGE)
        report = await s.pull("team/app:1")
        assert await s.tags() == {"team/app:1": IMAGE.digest}
        assert await s.blobs() == {IMAGE.digest, IMAGE.config.digest, BASE.digest, TOP.digest}
        assert (report.digest, report.platforms, report.error) == (IMAGE.digest, ("linux/amd64",), None)


async def test_every_layer_is_proved_by_digest_diff_id_and_tarsum_in_one_pass(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await s.pull()
        for layer in (BASE, TOP):
            blob = blob_of(report, layer.digest)
            assert passed(blob) == {"size", "digest", "diff_id", "tarsum"}
            assert {check.name: check.expected for check in blob.checks}["diff_id"] == layer.diff_id
            assert s.registry.journal.gets(layer.digest) == 1


async def test_a_docker_image_keeps_its_media_types_and_so_its_digests(tmp_path: Path) -> None:
    image = images.image(BASE, TOP, format="docker")
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        report = await s.pull()
        assert (await s.tags()) == {"app:1": image.digest}
        assert report.media_type == "application/vnd.docker.distribution.manifest.v2+json"
        assert passed(blob_of(report, BASE.digest)) == {"size", "digest", "diff_id", "tarsum"}


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_layers_of_every_compression_are_read(tmp_path: Path, compression: Compression) -> None:
    layer = images.layer({"a": b"content" * 1000}, compression)
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        report = await s.pull()
        facts = await s.store.facts(Digest.parse(layer.digest))
        assert passed(blob_of(report, layer.digest)) == {"size", "digest", "diff_id", "tarsum"}
        assert str(facts.diff_id) == layer.diff_id


async def test_the_same_files_have_the_same_tarsum_however_they_are_compressed(tmp_path: Path) -> None:
    layers = [images.layer({"a": b"content" * 1000}, kind) for kind in ("gzip", "zstd", "none")]
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(*layers))
        await s.pull()
        sums = {(await s.store.facts(Digest.parse(layer.digest))).tarsum for layer in layers}
        assert len(sums) == 1
        assert str(sums.pop()).startswith("tarsum.v1+sha256:")


async def test_sha512_names_are_verified_like_any_other(tmp_path: Path) -> None:
    layer = images.layer({"a": b"content"}, algorithm="sha512")
    image = images.image(layer, algorithm="sha512")
    async with story(tmp_path) as s:
        s.registry.add("app", image)
        report = await s.pull(f"app@{image.digest}")
        assert {image.digest, image.config.digest, layer.digest} == await s.blobs()
        assert passed(blob_of(report, layer.digest)) == {"size", "digest", "diff_id", "tarsum"}


async def test_of_an_index_only_the_wanted_platform_is_fetched(tmp_path: Path) -> None:
    index = images.index(IMAGE, ARM)
    async with story(tmp_path) as s:
        s.registry.add("app:1", index)
        report = await s.pull(platforms=["linux/arm64"])
        assert await s.tags() == {"app:1": index.digest}
        assert {index.digest, ARM.digest, ARM.config.digest} < await s.blobs()
        assert not {IMAGE.digest, IMAGE.config.digest, TOP.digest} & await s.blobs()
        assert report.platforms == ("linux/arm64",)


async def test_platforms_nobody_asked_for_are_recorded_as_absent(tmp_path: Path) -> None:
    index = images.index(IMAGE, ARM)
    async with story(tmp_path) as s:
        s.registry.add("app:1", index)
        await s.pull(platforms=["linux/arm64"])
        facts = await s.store.facts(Digest.parse(index.digest))
        assert facts.absent == (Digest.parse(IMAGE.digest),)


async def test_a_platform_pulled_later_is_no_longer_absent(tmp_path: Path) -> None:
    index = images.index(IMAGE, ARM)
    async with story(tmp_path) as s:
        s.registry.add("app:1", index)
        await s.pull(platforms=["linux/arm64"])
        await s.pull(platforms=["linux/amd64"])
        assert (await s.store.facts(Digest.parse(index.digest))).absent == ()


@pytest.mark.parametrize("format_", ["oci", "docker"])
async def test_all_platforms_of_an_index_are_pulled_when_asked_for(tmp_path: Path, format_: images.Format) -> None:
    amd, arm = (images.image(BASE, format=format_, platform=("linux", cpu)) for cpu in ("amd64", "arm64"))
    index = images.index(amd, arm, format=format_)
    async with story(tmp_path) as s:
        s.registry.add("app:1", index)
        report = await s.pull(platforms=None)
        assert {index.digest, amd.digest, arm.digest, BASE.digest} < await s.blobs()
        assert report.platforms == ("linux/amd64", "linux/arm64")
        assert s.registry.journal.gets(BASE.digest) == 1


async def test_an_index_within_an_index_is_followed(tmp_path: Path) -> None:
    inner = images.index(IMAGE, ARM)
    outer = images.index(inner)
    async with story(tmp_path) as s:
        s.registry.add("app:1", outer)
        await s.pull()
        assert await s.tags() == {"app:1": outer.digest}
        assert {outer.digest, inner.digest, IMAGE.digest, TOP.digest} < await s.blobs()
        assert ARM.digest not in await s.blobs()


async def test_the_best_variant_that_runs_here_is_chosen(tmp_path: Path) -> None:
    variants = {v: images.image(images.layer({v: b""}), platform=("linux", "arm", v)) for v in ("v5", "v6", "v7")}
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.index(variants["v5"], variants["v7"], variants["v6"]))
        await s.pull(platforms=["linux/arm/v6"])
        assert variants["v6"].digest in await s.blobs()
        assert not {variants["v5"].digest, variants["v7"].digest} & await s.blobs()


async def test_a_platform_that_is_not_there_is_refused_and_those_that_are_get_named(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.index(IMAGE, ARM))
        error = await s.refused(Unsupported, platforms=["linux/s390x"])
        assert error.wanted == Platform.parse("linux/s390x")
        assert error.got == "linux/amd64, linux/arm64"


async def test_an_image_in_one_platform_only_is_pulled_with_a_warning_where_another_was_wanted(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", ARM)
        report = await s.pull()
        assert await s.tags() == {"app:1": ARM.digest}
        assert len(report.warnings) == 1
        assert "linux/arm64" in report.warnings[0]


async def test_an_artifact_is_pulled_and_its_blobs_are_no_layers(tmp_path: Path) -> None:
    chart = images.blob(b"a chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    artifact = images.artifact(chart, artifact_type="application/vnd.cncf.helm.config.v1+json")
    async with story(tmp_path) as s:
        s.registry.add("chart:1", artifact)
        blob = blob_of(await s.pull("chart:1"), chart.digest)
        assert await s.tags() == {"chart:1": artifact.digest}
        assert passed(blob) == {"size", "digest"}
        assert [check.note for check in blob.checks if check.name == "tarsum"] == [
            f"none (not a layer: {chart.media_type})"
        ]


async def test_an_artifact_without_blobs_has_the_empty_config_alone(tmp_path: Path) -> None:
    artifact = images.artifact()
    async with story(tmp_path) as s:
        s.registry.add("thing:1", artifact)
        report = await s.pull("thing:1")
        assert await s.blobs() == {artifact.digest, artifact.config.digest}
        assert blob_of(report, artifact.config.digest).media_type == OCI_EMPTY


async def test_an_artifact_manifest_of_the_release_candidates_is_pulled(tmp_path: Path) -> None:
    blob = images.blob(b"a report", "text/plain")
    raw = images.document(
        {"mediaType": OCI_ARTIFACT, "artifactType": "text/x-report", "blobs": [images.descriptor(blob)]}
    )
    async with story(tmp_path) as s:
        s.registry.add_blob("app", blob.raw)
        digest = s.registry.add_manifest("app", raw, OCI_ARTIFACT, "1")
        await s.pull()
        assert await s.blobs() == {digest, blob.digest}


async def test_a_signature_in_image_form_names_no_platform_and_no_layer_of_it_is_a_tar(tmp_path: Path) -> None:
    payload = images.blob(b'{"critical":{}}', "application/vnd.dev.cosign.simplesigning.v1+json")
    config = images.blob(COSIGN_CONFIG, images.OCI_CONFIG)
    signature = images.artifact(payload, artifact_type=None, config=config)
    async with story(tmp_path) as s:
        s.registry.add("app:sig", signature)
        report = await s.pull("app:sig")
        assert await s.tags() == {"app:sig": signature.digest}
        assert report.platforms == ()
        assert [c.note for c in blob_of(report, payload.digest).checks if c.name == "tarsum"] == [
            f"none (not a layer: {payload.media_type})"
        ]


async def test_a_layer_the_2015_reader_refuses_has_no_tarsum_and_the_reason_is_told(tmp_path: Path) -> None:
    layer = images.raw_layer(b"no tar at all, but the digest and the diff ID hold" * 20)
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(layer))
        blob = blob_of(await s.pull(), layer.digest)
        (tarsum,) = (check for check in blob.checks if check.name == "tarsum")
        assert passed(blob) == {"size", "digest", "diff_id"}
        assert (tarsum.passed, tarsum.got) == (None, None)
        assert tarsum.note.startswith("none (")


async def test_without_tarsum_only_the_tarsum_is_left_out(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        blob = blob_of(await s.pull(depth=Depth.NO_TARSUM), BASE.digest)
        assert passed(blob) == {"size", "digest", "diff_id"}
        assert [check.name for check in blob.checks] == ["size", "digest", "diff_id"]


async def test_digest_only_leaves_the_diff_id_to_unpacking_and_says_so(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        blob = blob_of(await s.pull(depth=Depth.DIGEST_ONLY), BASE.digest)
        (diff_id,) = (check for check in blob.checks if check.name == "diff_id")
        assert passed(blob) == {"size", "digest"}
        assert (diff_id.passed, diff_id.expected) == (None, BASE.diff_id)
        assert "unpacking" in diff_id.note


async def test_one_blob_twice_in_an_image_is_fetched_once(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(BASE, TOP, BASE))
        await s.pull()
        assert s.registry.journal.gets(BASE.digest) == 1


async def test_a_tag_that_moved_in_the_registry_moves_in_the_store(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        s.registry.add("app:1", ARM)
        await s.pull(platforms=["linux/arm64"])
        assert await s.tags() == {"app:1": ARM.digest}


async def test_a_name_without_tag_means_latest(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:latest", IMAGE)
        await s.pull("app")
        assert await s.tags() == {"app:latest": IMAGE.digest}


async def test_a_tag_that_is_not_there_is_not_found_and_nothing_is_stored(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        error = await s.refused(NotFound, name="app:2")
        assert error.reference == str(s.reference("app:2"))
        assert await s.blobs() == set()


async def test_the_store_is_an_oci_layout_with_the_full_name_of_the_image(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        index = json.loads((tmp_path / "store" / "index.json").read_text())
        (entry,) = index["manifests"]
        assert (entry["digest"], entry["mediaType"]) == (IMAGE.digest, IMAGE.media_type)
        assert entry["annotations"]["org.opencontainers.image.ref.name"] == f"{s.registry.host}/app:1"
        assert (tmp_path / "store" / "blobs" / IMAGE.digest.replace(":", "/")).read_bytes() == IMAGE.raw
