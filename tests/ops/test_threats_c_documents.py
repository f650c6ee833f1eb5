"""THREATS C4 to C9 against whole pulls: documents that are two things at once, or larger than they may be.

The strict JSON rules have their tables in tests/model; here they are met through the front door.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from puller.errors import (
    DigestMismatch,
    InputError,
    InvalidManifest,
    MediaTypeMismatch,
    NotFound,
    ProtocolViolation,
    SizeMismatch,
    StoreError,
    Unsupported,
)
from testregistry import faults, images
from testregistry.documents import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, SCHEMA1, SCHEMA1_SIGNED
from tests.ops.story import BASE, IMAGE, OTHER, TOP, blob_of, document, passed, story

pytestmark = pytest.mark.slow  # many small tests: for `make test`


# --- C4: one document under two descriptions -----------------------------------------------------------------------

DOCUMENTS = {
    OCI_INDEX: images.index(IMAGE).raw,
    DOCKER_LIST: images.index(IMAGE, format="docker").raw,
    OCI_MANIFEST: IMAGE.raw,
    DOCKER_MANIFEST: images.image(BASE, TOP, format="docker").raw,
    SCHEMA1: images.schema1(BASE, TOP, signed=False).raw,
    SCHEMA1_SIGNED: images.schema1(BASE, TOP).raw,
}


OLD = (SCHEMA1, SCHEMA1_SIGNED)  # signed or not is seen in the document, and no type says otherwise
PAIRS = [(a, b) for a in DOCUMENTS for b in DOCUMENTS if a != b and not (a in OLD and b in OLD)]


@pytest.mark.parametrize(("actual", "served"), PAIRS)
async def test_c4_a_document_under_another_kinds_content_type_is_refused(
    tmp_path: Path, actual: str, served: str
) -> None:
    async with story(tmp_path) as s:
        digest = s.add_raw(DOCUMENTS[actual], served)
        await s.refused((MediaTypeMismatch, Unsupported), digest)
        assert await s.blobs() == set()


@pytest.mark.parametrize(
    "more",
    [
        {"manifests": []},
        {"manifests": json.loads(images.index(OTHER).raw)["manifests"]},
        {"fsLayers": [{"blobSum": BASE.digest}]},
        {"history": []},
        {"signatures": []},
        {"blobs": []},
    ],
    ids=lambda more: next(iter(more)),
)
@pytest.mark.parametrize("stated", [True, False], ids=["with mediaType", "without mediaType"])
async def test_c4_a_document_of_two_kinds_is_refused_under_either_type(
    tmp_path: Path, more: dict[str, Any], stated: bool
) -> None:
    raw = document(IMAGE.raw, **more, **({} if stated else {"mediaType": None}))
    for served in (OCI_MANIFEST, OCI_INDEX):
        async with story(tmp_path / served.replace("/", "-")) as s:
            digest = s.add_raw(raw, served)
            await s.refused(MediaTypeMismatch, digest)


async def test_c4_an_index_entry_that_lies_about_its_kind_is_refused(tmp_path: Path) -> None:
    entry = images.descriptor(IMAGE) | {"mediaType": DOCKER_MANIFEST}
    raw = document(images.index(IMAGE).raw, manifests=[entry])
    async with story(tmp_path) as s:
        s.add_raw(raw, OCI_INDEX)
        await s.refused(MediaTypeMismatch, IMAGE.digest)


async def test_strong_digests_are_what_images_of_today_have(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        assert (await s.pull(strong=True)).digest == IMAGE.digest


# --- C5, C6, C7: JSON ----------------------------------------------------------------------------------------------


def twice(raw: bytes, key: str, other: str) -> bytes:
    """The document with `"key":other` put in front of the first `"key":`."""
    return raw.replace(f'"{key}":'.encode(), f'"{key}":{other},"{key}":'.encode(), 1)


DUPLICATES = {
    "top level": (twice(IMAGE.raw, "config", "{}"), OCI_MANIFEST),
    "layers": (twice(IMAGE.raw, "layers", "[]"), OCI_MANIFEST),
    "inside a descriptor": (twice(IMAGE.raw, "digest", f'"{OTHER.config.digest}"'), OCI_MANIFEST),
    "in annotations": (document(IMAGE.raw)[:-1] + b',"annotations":{"a":"1","a":"2"}}', OCI_MANIFEST),
    "in an index": (twice(images.index(IMAGE).raw, "manifests", "[]"), OCI_INDEX),
    "in an index entry": (twice(images.index(IMAGE).raw, "digest", f'"{OTHER.digest}"'), OCI_INDEX),
}


@pytest.mark.parametrize("where", DUPLICATES)
async def test_c5_a_key_that_comes_twice_is_refused(tmp_path: Path, where: str) -> None:
    raw, media_type = DUPLICATES[where]
    async with story(tmp_path) as s:
        digest = s.add_raw(raw, media_type)
        error = await s.refused(InvalidManifest, digest)
        assert "duplicate key" in str(error)
        assert await s.blobs() == set()


async def test_c5_a_key_that_comes_twice_in_a_config_is_refused(tmp_path: Path) -> None:
    config = images.blob(twice(IMAGE.config.raw, "rootfs", '{"type":"layers","diff_ids":[]}'), images.OCI_CONFIG)
    async with story(tmp_path) as s:
        s.registry.add_blob("app", config.raw)
        s.add_raw(document(IMAGE.raw, config=images.descriptor(config)))
        await s.refused(InvalidManifest, config.digest, BASE.digest)


async def test_c5_keys_that_differ_in_case_are_strangers_and_not_the_same(tmp_path: Path) -> None:
    raw = document(IMAGE.raw, Config=images.descriptor(OTHER.config), Layers=[], MANIFESTS=[])
    async with story(tmp_path) as s:
        digest = s.add_raw(raw)
        await s.pull()
        assert {digest, IMAGE.config.digest, BASE.digest, TOP.digest} == await s.blobs()


def with_size(size: str) -> bytes:
    """The image's manifest with a config of this size, as written."""
    return IMAGE.raw.replace(f'"size":{IMAGE.config.size}'.encode(), f'"size":{size}'.encode(), 1)


TRAPS = {
    "negative": with_size("-1"),
    "true": with_size("true"),
    "float": with_size("1.0"),
    "infinite": with_size("1e400"),
    "NaN": with_size("NaN"),
    "a string": with_size('"12"'),
    "2^63": with_size(str(2**63)),
    "5,000 digits": with_size("9" * 5000),
    "deep": document(IMAGE.raw)[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no UTF-8": IMAGE.raw[:-1] + b',"x":"\xff"}',
    "byte order mark": b"\xef\xbb\xbf" + IMAGE.raw,
    "UTF-16": IMAGE.raw.decode().encode("utf-16"),
    "lone surrogate": IMAGE.raw[:-1] + b',"x":"\\ud800"}',
    "more behind": IMAGE.raw + b"{}",
    "a list": b"[]",
    "null": b"null",
    "nothing": b"",
    "half": IMAGE.raw[:100],
}


@pytest.mark.parametrize("trap", TRAPS)
async def test_c6_json_traps_in_a_manifest_are_refused(tmp_path: Path, trap: str) -> None:
    async with story(tmp_path) as s:
        digest = s.add_raw(TRAPS[trap])
        await s.refused((InputError, ProtocolViolation), digest)
        assert await s.blobs() == set()
        assert s.registry.journal.count(kind="blob") == 0


async def test_c7_an_endless_manifest_is_left_soon(tmp_path: Path) -> None:
    endless = [faults.status(405, method="HEAD", times=None), faults.endless(kind="manifest", times=None)]
    async with story(tmp_path, faults=endless) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused((ProtocolViolation, SizeMismatch), IMAGE.digest)
        assert s.registry.journal.requests[-1].bytes_sent < 16 << 20


async def test_c7_an_endless_config_is_left_at_its_size(tmp_path: Path) -> None:
    async with story(tmp_path, faults=[faults.endless(IMAGE.config.digest, times=None)]) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused((SizeMismatch, DigestMismatch), IMAGE.config.digest)
        assert s.registry.journal.bytes_sent(IMAGE.config.digest) < 16 << 20


async def test_c7_an_endless_error_body_is_left_soon(tmp_path: Path) -> None:
    endless = [faults.endless(kind="manifest", times=None), faults.status(404, kind="manifest", times=None)]
    async with story(tmp_path, faults=endless) as s:
        s.registry.add("app:1", IMAGE)
        await s.refused(NotFound)
        assert s.registry.journal.requests[-1].bytes_sent < 16 << 20


async def test_c7_a_document_that_claims_to_be_huge_is_not_even_asked_for(tmp_path: Path) -> None:
    huge = images.descriptor(IMAGE.config) | {"size": 5 << 20}
    async with story(tmp_path) as s:
        s.add_raw(document(IMAGE.raw, config=huge))
        await s.refused(Unsupported, IMAGE.config.digest)
        assert s.registry.journal.gets(IMAGE.config.digest) == 0


async def test_c7_nothing_is_set_aside_for_a_size_that_is_only_claimed(tmp_path: Path) -> None:
    vast = images.descriptor(images.blob(TOP.raw, TOP.media_type)) | {"size": 1 << 62}
    layers = [json.loads(IMAGE.raw)["layers"][0], vast]
    async with story(tmp_path) as s:
        s.add_raw(document(IMAGE.raw, layers=layers))
        await s.refused((StoreError, SizeMismatch), TOP.digest)


# --- C8, C9: descriptors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [TOP.size - 1, TOP.size + 1, 0])
async def test_c8_a_layer_of_another_size_than_its_descriptor_is_refused(tmp_path: Path, size: int) -> None:
    layers = json.loads(IMAGE.raw)["layers"]
    async with story(tmp_path) as s:
        s.add_raw(document(IMAGE.raw, layers=[layers[0], layers[1] | {"size": size}]))
        error = await s.refused(SizeMismatch, TOP.digest)
        assert error.digest == TOP.digest


@pytest.mark.parametrize("delta", [-1, 1])
async def test_c8_a_config_of_another_size_than_its_descriptor_is_refused(tmp_path: Path, delta: int) -> None:
    config = images.descriptor(IMAGE.config) | {"size": IMAGE.config.size + delta}
    async with story(tmp_path) as s:
        s.add_raw(document(IMAGE.raw, config=config))
        await s.refused(SizeMismatch, IMAGE.config.digest, BASE.digest)


async def test_c8_an_index_entry_of_another_size_is_refused(tmp_path: Path) -> None:
    entry = images.descriptor(IMAGE) | {"size": IMAGE.size + 1}
    async with story(tmp_path) as s:
        s.add_raw(document(images.index(IMAGE).raw, manifests=[entry]), OCI_INDEX)
        await s.refused(SizeMismatch, IMAGE.digest)


async def test_c8_a_blob_with_two_sizes_in_one_manifest_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    image = images.image(TOP, TOP)
    layers = json.loads(image.raw)["layers"]
    async with story(tmp_path) as s:
        s.registry.add("app", image)
        s.add_raw(document(image.raw, layers=[layers[0], layers[1] | {"size": TOP.size + 1}]))
        await s.refused(InvalidManifest, TOP.digest)
        assert s.registry.journal.gets(TOP.digest) == 0


@pytest.mark.parametrize("data", ["d3Jvbmc=", "!!! no base64 !!!", "A" * 100_000])
async def test_c9_inline_data_is_ignored_and_the_blob_is_fetched_and_verified(tmp_path: Path, data: str) -> None:
    config = images.descriptor(IMAGE.config) | {"data": data}
    async with story(tmp_path) as s:
        s.add_raw(document(IMAGE.raw, config=config))
        report = await s.pull()
        assert s.registry.journal.gets(IMAGE.config.digest) == 1
        assert passed(blob_of(report, IMAGE.config.digest)) == {"size", "digest"}
