"""Blobs by tarsum label, as registries of 2014 and 2015 served them: found, ranged, broken and noted like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testregistry import faults, images, serve
from tests.testregistry.asking import ask, get

LAYER = images.layer({"etc/motd": b"hello\n" * 100}, "none")
LABELS = [
    "tarsum.v1+sha256:" + "0a" * 32,
    "tarsum+sha256:" + "0A" * 32,
    "tarsum.dev+sha512:" + "0a" * 64,
    "tarsum+sha512:" + "0a" * 64,
]


@pytest.mark.parametrize("label", LABELS)
async def test_a_blob_is_served_under_the_label_it_was_given(label: str) -> None:
    async with serve() as registry:
        registry.add_blob_as("app", label, LAYER.raw)
        got = await get(f"{registry.url}/v2/app/blobs/{label}")
        head = await ask("HEAD", f"{registry.url}/v2/app/blobs/{label}")
    assert (got.status, got.body) == (200, LAYER.raw)
    assert (head.status, head.headers["Content-Length"]) == (200, str(LAYER.size))


async def test_a_label_may_come_percent_encoded() -> None:
    async with serve() as registry:
        registry.add_blob_as("app", LABELS[0], LAYER.raw)
        got = await get(f"{registry.url}/v2/app/blobs/{LABELS[0].replace('+', '%2B')}")
    assert got.body == LAYER.raw


@pytest.mark.parametrize("label", ["tarsum.v2+sha256:" + "0a" * 32, "tarsum+md5:" + "0a" * 16, "tarsum.v1+sha256:beef"])
async def test_what_is_no_label_is_refused(label: str) -> None:
    async with serve() as registry:
        registry.add("app", images.image(LAYER))
        got = await get(f"{registry.url}/v2/app/blobs/{label}")
    assert (got.status, got.codes()) == (400, ["DIGEST_INVALID"])


async def test_an_unknown_label_is_404() -> None:
    async with serve() as registry:
        registry.add_blob_as("app", LABELS[0], LAYER.raw)
        got = await get(f"{registry.url}/v2/app/blobs/{LABELS[1]}")
    assert (got.status, got.codes()) == (404, ["BLOB_UNKNOWN"])


async def test_a_range_of_it_is_served_and_noted() -> None:
    async with serve() as registry:
        registry.add_blob_as("app", LABELS[0], LAYER.raw)
        got = await get(f"{registry.url}/v2/app/blobs/{LABELS[0]}", Range="bytes=100-")
        assert registry.journal.ranges(LABELS[0]) == ["bytes=100-"]
    assert (got.status, got.body) == (206, LAYER.raw[100:])


async def test_a_fault_finds_it_by_its_label() -> None:
    async with serve(faults=[faults.flip(LABELS[0], at=512)]) as registry:
        registry.add_blob_as("app", LABELS[0], LAYER.raw)
        got = await get(f"{registry.url}/v2/app/blobs/{LABELS[0]}")
    assert [place for place, (a, b) in enumerate(zip(got.body, LAYER.raw, strict=True)) if a != b] == [512]


async def test_other_bytes_are_served_under_a_label_on_demand() -> None:
    async with serve() as registry:
        registry.add_blob_as("app", LABELS[0], LAYER.raw)
        registry.corrupt("app", LABELS[0], b"other")
        assert (await get(f"{registry.url}/v2/app/blobs/{LABELS[0]}")).body == b"other"


async def test_labels_outlive_the_registry_in_its_directory(tmp_path: Path) -> None:
    async with serve(data=tmp_path) as registry:
        registry.add_blob_as("app", LABELS[0], LAYER.raw)
    async with serve(data=tmp_path) as registry:
        assert (await get(f"{registry.url}/v2/app/blobs/{LABELS[0]}")).body == LAYER.raw


async def test_a_schema_1_manifest_names_its_layers_by_labels_and_brings_them_along() -> None:
    manifest = images.schema1(LAYER, images.layer({"b": b"2"}, "none"), blobs=LABELS[:2])
    async with serve() as registry:
        registry.add("app:1", manifest)
        got = await get(f"{registry.url}/v2/app/manifests/1")
        base = await get(f"{registry.url}/v2/app/blobs/{LABELS[0]}")
    assert [layer["blobSum"] for layer in json.loads(got.body)["fsLayers"]] == [LABELS[1], LABELS[0]]
    assert base.body == LAYER.raw


async def test_a_schema_1_manifest_with_labels_is_taken_when_its_blobs_are_here() -> None:
    manifest = images.schema1(LAYER, blobs=LABELS[:1])
    headers = {"Content-Type": manifest.media_type}
    async with serve() as registry:
        url = f"{registry.url}/v2/app/manifests/1"
        early = await ask("PUT", url, data=manifest.raw, headers=headers)
        registry.add_blob_as("app", LABELS[0], LAYER.raw)
        late = await ask("PUT", url, data=manifest.raw, headers=headers)
    assert (early.status, early.codes()) == (404, ["MANIFEST_BLOB_UNKNOWN"])
    assert (late.status, late.headers["Docker-Content-Digest"]) == (201, manifest.digest)
