"""Documents recorded by containers/image, from real registries and daemons: read, or refused for the right reason."""

import pytest

from puller.errors import InvalidManifest, MediaTypeMismatch, PullerError, Unsupported
from puller.model import mediatype
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.platform import Platform
from tests.conftest import shared_dir

RECORDED = "internal/manifest/testdata"
CONVERTED = "internal/image/fixtures"
WRITTEN = "manifest/fixtures"


def _bytes(path: str) -> bytes:
    return (shared_dir() / "fixtures/containers-image" / path).read_bytes()


@pytest.mark.parametrize(
    ("path", "media_type", "layers"),
    [
        (f"{RECORDED}/v2s2.manifest.json", mediatype.DOCKER_MANIFEST, 3),
        (f"{CONVERTED}/schema2.json", mediatype.DOCKER_MANIFEST, 5),
        (f"{CONVERTED}/schema2-all-media-types.json", mediatype.DOCKER_MANIFEST, 5),
        (f"{CONVERTED}/schema2-all-media-types-to-oci1.json", mediatype.OCI_MANIFEST, 5),
        (f"{CONVERTED}/schema2-to-oci1.json", mediatype.OCI_MANIFEST, 5),
        (f"{WRITTEN}/v2s2.everything.json", mediatype.DOCKER_MANIFEST, 1),
        (f"{WRITTEN}/v2s2.nondistributable.manifest.json", mediatype.DOCKER_MANIFEST, 1),
        (f"{WRITTEN}/v2s2.nondistributable.gzip.manifest.json", mediatype.DOCKER_MANIFEST, 1),
        (f"{WRITTEN}/v2s2.uncompressed.manifest.json", mediatype.DOCKER_MANIFEST, 3),
    ],
)
def test_a_recorded_image_is_read(path: str, media_type: str, layers: int) -> None:
    raw = _bytes(path)
    for claimed in (None, media_type):
        manifest = parse_manifest(raw, claimed)
        assert isinstance(manifest, Manifest)
        assert manifest.media_type == media_type
        assert manifest.is_image
        assert len(manifest.layers) == layers
        assert all(mediatype.is_layer(layer.media_type) for layer in manifest.layers)


@pytest.mark.parametrize("name", ["v2s2.nondistributable.manifest.json", "v2s2.nondistributable.gzip.manifest.json"])
def test_a_recorded_foreign_layer_is_known_as_one(name: str) -> None:
    config, layer = parse_manifest(_bytes(f"{WRITTEN}/{name}"), None).children
    assert not mediatype.is_foreign(config.media_type)
    assert mediatype.is_foreign(layer.media_type)


def test_the_facts_of_a_recorded_image_are_those_of_its_text() -> None:
    manifest = parse_manifest(_bytes(f"{RECORDED}/v2s2.manifest.json"), mediatype.DOCKER_MANIFEST)
    assert manifest.children[0] == Descriptor(
        mediatype.DOCKER_CONFIG,
        Digest.parse("sha256:b5b2b2c507a0944348e0303114d8d93aaaa081732b86451d9bce1f432a537bc7"),
        7023,
    )
    assert [child.size for child in manifest.children[1:]] == [32654, 16724, 73109]


def test_urls_of_a_recorded_layer_are_kept_as_text() -> None:
    layer = parse_manifest(_bytes(f"{WRITTEN}/v2s2.everything.json"), None).children[1]
    assert layer.urls == ("https://some.example/layer",)


@pytest.mark.parametrize("claimed", [mediatype.DOCKER_MANIFEST, mediatype.OCI_MANIFEST, None])
def test_a_recorded_image_without_media_type_is_what_is_claimed_of_it(claimed: str | None) -> None:
    manifest = parse_manifest(_bytes(f"{RECORDED}/v2s2nomime.manifest.json"), claimed)
    assert manifest.media_type == (claimed or mediatype.OCI_MANIFEST)


@pytest.mark.parametrize("name", ["schema2.json", "schema2-invalid-media-type.json"])
def test_an_early_docker_image_with_a_config_of_no_type_is_an_image(name: str) -> None:
    manifest = parse_manifest(_bytes(f"{CONVERTED}/{name}"), mediatype.DOCKER_MANIFEST)
    assert isinstance(manifest, Manifest)
    assert manifest.children[0].media_type == mediatype.OCTETS
    assert manifest.is_image
    assert manifest.artifact_type is None


@pytest.mark.parametrize(
    ("path", "wanted", "digest"),
    [
        ("schema2list.json", "linux/amd64", "030fcb92e148"),
        ("schema2list.json", "linux/arm/v5", "9142d97ef280"),
        ("schema2list.json", "linux/arm/v7", "b5dbad4bdb44"),  # v6 is the nearest that still runs
        ("schema2list.json", "linux/arm64", "dc472a59fb00"),
        ("schema2list.json", "linux/i386", "9a33b9909e56"),
        ("schema2list-variants.json", "linux/arm/v6", "f365626a556e"),
        ("schema2list-variants.json", "linux/arm/v7", "c84b0a3a07b6"),  # no variant means v7
        ("schema2list-variants.json", "linux/arm/v8", "c84b0a3a07b6"),
        ("schema2list-variants.json", "linux/arm/unrecognized-present", "bcf9771c0b50"),
    ],
)
def test_c11_a_recorded_list_gives_its_platforms(path: str, wanted: str, digest: str) -> None:
    index = parse_manifest(_bytes(f"{RECORDED}/{path}"), mediatype.DOCKER_LIST)
    assert isinstance(index, Index)
    assert index.choose(Platform.parse(wanted)).digest.short == digest


def test_c11_a_recorded_list_has_nothing_for_a_platform_that_nobody_built() -> None:
    index = parse_manifest(_bytes(f"{RECORDED}/schema2list.json"), mediatype.DOCKER_LIST)
    assert isinstance(index, Index)
    with pytest.raises(Unsupported, match=r"linux/amd64, .*linux/s390x"):
        index.choose(Platform.parse("linux/riscv64"))


@pytest.mark.parametrize("path", [f"{RECORDED}/v2list.manifest.json", f"{RECORDED}/v2list.everything.json"])
def test_a_recorded_list_is_an_index(path: str) -> None:
    assert isinstance(parse_manifest(_bytes(path), None), Index)
    with pytest.raises(MediaTypeMismatch):
        parse_manifest(_bytes(path), mediatype.OCI_INDEX)


@pytest.mark.parametrize(
    ("path", "error", "reason"),
    [
        (f"{RECORDED}/non-json.manifest.json", InvalidManifest, "not valid JSON"),
        (f"{RECORDED}/unknown-version.manifest.json", InvalidManifest, "schemaVersion must be 2, got 99999"),
        (f"{RECORDED}/v2s1.manifest.json", Unsupported, "schema 1"),
        (f"{RECORDED}/v2s1-unsigned.manifest.json", Unsupported, "schema 1"),
        (f"{RECORDED}/v2s1-invalid-signatures.manifest.json", Unsupported, "schema 1"),
        (f"{WRITTEN}/v2s1.everything.json", Unsupported, "schema 1"),
        (f"{CONVERTED}/schema1.json", Unsupported, "schema 1"),
        (f"{CONVERTED}/schema1-for-oci-config.json", Unsupported, "schema 1"),
        (f"{CONVERTED}/schema2-to-schema1-by-docker.json", Unsupported, "schema 1"),
        (f"{CONVERTED}/schema1-to-oci1.json", InvalidManifest, "size must be a size in bytes"),
        (f"{CONVERTED}/schema1-to-schema2.json", InvalidManifest, "size must be a size in bytes"),
    ],
)
def test_a_recorded_document_that_cannot_be_used_says_why(path: str, error: type[PullerError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        parse_manifest(_bytes(path), None)


@pytest.mark.parametrize(
    ("path", "layers", "user"),
    [
        ("schema2-config.json", 5, ""),
        ("schema2-to-oci1-config.json", 5, ""),
        ("schema1-to-oci1-config.json", 6, "nova"),
        ("schema1-to-schema2-config.json", 6, "nova"),
    ],
)
def test_a_recorded_config_is_read(path: str, layers: int, user: str) -> None:
    config = parse_config(_bytes(f"{CONVERTED}/{path}"))
    assert config.platform == Platform.parse("linux/amd64")
    assert len(config.diff_ids) == layers
    assert config.user == user
    assert sum(not step.empty_layer for step in config.history) == layers
    assert len(set(config.chain_ids)) == layers
