"""Distribution-spec 1.1, "Pushing Manifests": what is taken, what is refused, and what the answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testregistry import TestRegistry, images, serve
from testregistry.grammar import digest_of
from tests.testregistry.asking import OCI_INDEX, OCI_MANIFEST, Got, absolute, ask, get

LAYER = images.layer({"a": b"b"})
IMAGE = images.image(LAYER)


async def put(registry: TestRegistry, reference: str, raw: bytes, media_type: str = OCI_MANIFEST) -> Got:
    headers = {"Content-Type": media_type} if media_type else {}
    return await ask("PUT", f"{registry.url}/v2/app/manifests/{reference}", headers=headers, data=raw)


def changed(**fields: Any) -> bytes:
    document = json.loads(IMAGE.raw)
    document.update(fields)
    return images.document({key: value for key, value in document.items() if value is not None})


async def test_a_pushed_manifest_is_201_with_a_location_it_can_be_pulled_from() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        got = await put(registry, "2", IMAGE.raw)
        assert got.status == 201
        assert got.headers["Docker-Content-Digest"] == IMAGE.digest
        assert (await get(absolute(registry.url, got.headers["Location"]))).body == IMAGE.raw
        assert (await get(f"{registry.url}/v2/app/manifests/2")).body == IMAGE.raw


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_manifest_is_pushed_by_digest(algorithm: str) -> None:
    image = images.image(LAYER, algorithm=algorithm)
    async with serve() as registry:
        registry.add("app", IMAGE)
        registry.add_blob("app", image.config.raw, algorithm=algorithm)
        got = await put(registry, image.digest, image.raw)
        assert (got.status, got.headers["Docker-Content-Digest"]) == (201, image.digest)
        assert (await get(f"{registry.url}/v2/app/manifests/{image.digest}")).body == image.raw


async def test_a_manifest_whose_digest_is_not_that_of_the_path_is_refused() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        got = await put(registry, digest_of(b"other"), IMAGE.raw)
        assert (got.status, got.codes()) == (400, ["DIGEST_INVALID"])


async def test_a_push_by_digest_may_name_tags() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        got = await put(registry, f"{IMAGE.digest}?tag=one&tag=two", IMAGE.raw)
        assert (got.status, got.headers.getall("OCI-Tag")) == (201, ["one", "two"])
        assert (await get(f"{registry.url}/v2/app/tags/list")).json()["tags"] == ["one", "two"]


async def test_every_blob_a_manifest_lacks_is_named() -> None:
    async with serve() as registry:
        got = await put(registry, "1", IMAGE.raw)
    assert got.status == 404
    assert got.codes() == ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"]
    assert [error["detail"]["digest"] for error in got.json()["errors"]] == [IMAGE.config.digest, LAYER.digest]


async def test_an_index_wants_its_manifests() -> None:
    index = images.index(IMAGE)
    async with serve() as registry:
        registry.add_blob("app", IMAGE.raw)  # there as a blob, but no manifest
        got = await put(registry, "1", index.raw, OCI_INDEX)
    assert got.codes() == ["MANIFEST_BLOB_UNKNOWN"]


async def test_a_layer_with_urls_may_be_elsewhere() -> None:
    layers = [
        {"mediaType": LAYER.media_type, "digest": digest_of(b"far"), "size": 3, "urls": ["https://far.example/x"]}
    ]
    async with serve() as registry:
        registry.add("app", IMAGE)
        assert (await put(registry, "1", changed(layers=layers))).status == 201


async def test_a_manifest_without_layers_is_taken() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        assert (await put(registry, "1", changed(layers=[]))).status == 201


async def test_unknown_fields_are_kept_byte_for_byte() -> None:
    raw = changed(**{"org.example.custom": {"a": [1.10, None]}})
    async with serve() as registry:
        registry.add("app", IMAGE)
        await put(registry, "1", raw)
        assert (await get(f"{registry.url}/v2/app/manifests/1")).body == raw


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (b"", OCI_MANIFEST),
        (b"[]", OCI_MANIFEST),
        (b"{", OCI_MANIFEST),
        (b"[" * 100_000, OCI_MANIFEST),
        (b"\xff\xfe{\x00}\x00", OCI_MANIFEST),
        (IMAGE.raw + b"x", OCI_MANIFEST),
        (IMAGE.raw, OCI_INDEX),
        (IMAGE.raw, ""),
        (IMAGE.raw, "text/plain"),
        (changed(schemaVersion=1), OCI_MANIFEST),
        (changed(mediaType=OCI_INDEX), OCI_MANIFEST),
        (changed(layers=None), OCI_MANIFEST),
        (changed(layers={}), OCI_MANIFEST),
        (changed(config=None), OCI_MANIFEST),
        (changed(manifests=[]), OCI_MANIFEST),
        (changed(fsLayers=[]), OCI_MANIFEST),
        (changed(annotations={"a": 1}), OCI_MANIFEST),
        (changed(artifactType=7), OCI_MANIFEST),
        (changed(config={"digest": LAYER.digest, "size": -1}), OCI_MANIFEST),
        (changed(config={"digest": LAYER.digest, "size": True}), OCI_MANIFEST),
        (changed(config={"digest": LAYER.digest, "size": 1.5}), OCI_MANIFEST),
        (IMAGE.raw[:-1] + b',"layers":[]}', OCI_MANIFEST),
    ],
)
async def test_what_is_no_manifest_of_its_media_type_is_refused(raw: bytes, media_type: str) -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        got = await put(registry, "1", raw, media_type)
        assert (got.status, got.codes()) == (400, ["MANIFEST_INVALID"])
        assert (await get(f"{registry.url}/v2/app/manifests/1")).status == 404


@pytest.mark.parametrize("digest", ["sha256:../x", "md5:00", 7, None])
async def test_a_manifest_with_a_malformed_digest_is_refused(digest: object) -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        got = await put(registry, "1", changed(config={"digest": digest, "size": 1}))
    assert (got.status, got.codes()) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize("tag", [".a", "-a", "a" * 129, "a%0a", "%C3%A4"])
async def test_a_tag_that_breaks_the_grammar_is_refused(tag: str) -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        got = await put(registry, tag, IMAGE.raw)
    assert (got.status, got.codes()) == (400, ["MANIFEST_INVALID"])


async def test_a_tag_of_128_characters_is_taken() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        assert (await put(registry, "a" * 128, IMAGE.raw)).status == 201


async def test_a_manifest_of_almost_four_mebibytes_is_taken() -> None:
    raw = changed(annotations={"long": "a" * (4 * 1024 * 1024 - 2000)})
    async with serve() as registry:
        registry.add("app", IMAGE)
        assert (await put(registry, "1", raw)).status == 201


async def test_a_manifest_over_four_mebibytes_is_413() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        got = await put(registry, "1", changed(annotations={"long": "a" * 4 * 1024 * 1024}))
    assert (got.status, got.codes()) == (413, ["SIZE_INVALID"])


async def test_a_manifest_with_a_subject_is_answered_with_oci_subject() -> None:
    signature = images.artifact(subject=IMAGE)
    async with serve() as registry:
        registry.add("app", images.artifact())
        got = await put(registry, "sig", signature.raw)
    assert (got.status, got.headers["OCI-Subject"]) == (201, IMAGE.digest)  # the subject itself need not be here


async def test_a_manifest_without_a_subject_is_answered_without_oci_subject() -> None:
    async with serve() as registry:
        registry.add("app", IMAGE)
        assert "OCI-Subject" not in (await put(registry, "1", IMAGE.raw)).headers


async def test_a_tag_moves_to_the_manifest_pushed_last() -> None:
    other = images.image(LAYER, annotations={"a": "b"})
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        await put(registry, "1", other.raw)
        assert (await get(f"{registry.url}/v2/app/manifests/1")).body == other.raw
        assert (await get(f"{registry.url}/v2/app/manifests/{IMAGE.digest}")).status == 200


async def test_a_signed_schema_1_manifest_is_named_by_its_payload() -> None:
    manifest = images.schema1(LAYER)
    async with serve() as registry:
        registry.add("app", IMAGE)
        got = await put(registry, "old", manifest.raw, manifest.media_type)
        assert (got.status, got.headers["Docker-Content-Digest"]) == (201, digest_of(manifest.payload))
        pulled = await get(f"{registry.url}/v2/app/manifests/old")
    assert (pulled.body, pulled.headers["Content-Type"]) == (manifest.raw, manifest.media_type)


async def test_a_schema_1_manifest_whose_layers_and_history_do_not_pair_is_refused() -> None:
    manifest = images.schema1(LAYER, history=[])
    async with serve() as registry:
        registry.add("app", IMAGE)
        assert (await put(registry, "old", manifest.raw, manifest.media_type)).codes() == ["MANIFEST_INVALID"]
