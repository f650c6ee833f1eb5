"""Manifests: what an image or artifact consists of, and the raw bytes that were verified."""

import json
from typing import Any

import pytest

from puller.errors import InvalidManifest, Unsupported
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import MAX_ENTRIES, Index, Manifest, parse_manifest
from tests.model.test_digest import NOT_A_DIGEST

CONFIG = Descriptor(mediatype.OCI_CONFIG, Digest.of(b"config"), 6)
LAYERS = (
    Descriptor(mediatype.OCI_LAYER_GZIP, Digest.of(b"base"), 4),
    Descriptor(mediatype.OCI_LAYER_ZSTD, Digest.of(b"top", "sha512"), 3),
)


def _image(**changes: object) -> dict[str, Any]:
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": CONFIG.encode(),
        "layers": [layer.encode() for layer in LAYERS],
    } | changes
    return {key: value for key, value in document.items() if value is not ...}


def _parsed(document: dict[str, Any], claimed: str | None = None) -> Manifest:
    manifest = parse_manifest(json.dumps(document).encode(), claimed)
    assert isinstance(manifest, Manifest)
    return manifest


def _refused(document: dict[str, Any], claimed: str | None = None) -> str:
    with pytest.raises(InvalidManifest) as refusal:
        parse_manifest(json.dumps(document).encode(), claimed)
    return str(refusal.value)


def test_an_image_is_a_config_and_layers_in_their_order() -> None:
    manifest = _parsed(_image(annotations={"a": "b"}))
    assert manifest.media_type == mediatype.OCI_MANIFEST
    assert manifest.config == CONFIG
    assert manifest.layers == LAYERS
    assert manifest.children == (CONFIG, *LAYERS)
    assert manifest.annotations == {"a": "b"}
    assert manifest.is_image
    assert manifest.artifact_type is None


def test_the_bytes_that_were_verified_are_kept() -> None:
    raw = json.dumps(_image(), indent=7).encode() + b"\n\n"
    assert parse_manifest(raw, None).raw == raw


def test_a_manifest_is_a_value() -> None:
    assert len({_parsed(_image()), _parsed(_image())}) == 1


def test_docker_schema_2_is_an_image_too() -> None:
    config = Descriptor(mediatype.DOCKER_CONFIG, Digest.of(b"config"), 6)
    manifest = _parsed(_image(mediaType=mediatype.DOCKER_MANIFEST, config=config.encode()))
    assert manifest.media_type == mediatype.DOCKER_MANIFEST
    assert manifest.is_image


def test_an_image_without_layers_is_an_image() -> None:
    assert _parsed(_image(layers=[])).children == (CONFIG,)


@pytest.mark.parametrize(
    ("config_type", "artifact_type", "told"),
    [
        ("application/vnd.cncf.helm.config.v1+json", ..., "application/vnd.cncf.helm.config.v1+json"),
        (mediatype.OCI_EMPTY, "application/vnd.example+type", "application/vnd.example+type"),
        (mediatype.OCI_EMPTY, "", mediatype.OCI_EMPTY),
    ],
)
def test_an_artifact_has_a_config_that_is_no_image_config(config_type: str, artifact_type: object, told: str) -> None:
    config = Descriptor(config_type, Digest.of(b"{}"), 2)
    manifest = _parsed(_image(config=config.encode(), artifactType=artifact_type))
    assert not manifest.is_image
    assert manifest.artifact_type == told


def test_an_artifact_manifest_of_the_release_candidates_has_blobs_and_no_schema_version() -> None:
    blobs = [layer.encode() for layer in LAYERS]
    manifest = _parsed({"mediaType": mediatype.OCI_ARTIFACT, "artifactType": "text/x", "blobs": blobs})
    assert (manifest.config, manifest.layers, manifest.artifact_type) == (None, LAYERS, "text/x")
    assert not manifest.is_image
    assert manifest.children == LAYERS
    assert _parsed({"mediaType": mediatype.OCI_ARTIFACT}).children == ()


def test_a_subject_is_read_but_is_no_child() -> None:
    manifest = _parsed(_image(subject=LAYERS[0].encode()))
    assert manifest.subject == LAYERS[0]
    assert manifest.children == (CONFIG, *LAYERS)


@pytest.mark.parametrize("claimed", [None, mediatype.OCI_MANIFEST])
@pytest.mark.parametrize("own", [..., None, ""])
def test_the_body_need_not_repeat_its_media_type(claimed: str | None, own: object) -> None:
    assert _parsed(_image(mediaType=own), claimed).media_type == mediatype.OCI_MANIFEST


@pytest.mark.parametrize("version", [..., None, 1, 3, 99999, 2.0, True, "2", [2]])
def test_the_schema_version_is_the_number_2(version: object) -> None:
    assert "schemaVersion must be 2" in _refused(_image(schemaVersion=version), mediatype.OCI_MANIFEST)


@pytest.mark.parametrize(
    "change",
    [
        {"config": ...}, {"config": None}, {"config": []}, {"config": {}}, {"layers": ...}, {"layers": None},
        {"layers": {}}, {"layers": [None]}, {"layers": [[]]}, {"subject": {}}, {"subject": "x"}, {"subject": False},
        {"annotations": {"a": None}}, {"artifactType": 5}, {"mediaType": 5}, {"mediaType": []},
    ],
    ids=str,
)  # fmt: skip
def test_a4_a_manifest_of_the_wrong_shape_is_refused(change: dict[str, object]) -> None:
    assert next(iter(change)).split("s")[0] in _refused(_image(**change), mediatype.OCI_MANIFEST)


@pytest.mark.parametrize("text", NOT_A_DIGEST)
@pytest.mark.parametrize("place", ["config", "layers", "subject", "manifests", "blobs"])
def test_a3_a_digest_is_checked_wherever_it_stands(place: str, text: str) -> None:
    bad = CONFIG.encode() | {"digest": text}
    document = {
        "config": _image(config=bad),
        "layers": _image(layers=[*_image()["layers"], bad]),
        "subject": _image(subject=bad),
        "manifests": {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [bad]},
        "blobs": {"mediaType": mediatype.OCI_ARTIFACT, "blobs": [bad]},
    }[place]
    error = _refused(document)
    assert place in error
    assert "invalid digest" in error


def test_a_broken_layer_is_named_by_its_place() -> None:
    assert "manifest layers[1]: size" in _refused(
        _image(layers=[LAYERS[0].encode(), LAYERS[1].encode() | {"size": -1}])
    )


@pytest.mark.parametrize("key", ["layers", "manifests", "blobs"])
def test_c10_ten_thousand_entries_are_the_most(key: str) -> None:
    entry = LAYERS[0].encode()

    def document(entries: int) -> dict[str, Any]:
        return {
            "layers": _image(layers=[entry] * entries),
            "manifests": {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [entry] * entries},
            "blobs": {"mediaType": mediatype.OCI_ARTIFACT, "blobs": [entry] * entries},
        }[key]

    whole = parse_manifest(json.dumps(document(MAX_ENTRIES)).encode(), None)
    assert len(whole.manifests if isinstance(whole, Index) else whole.layers) == MAX_ENTRIES
    assert f"too many {key}" in _refused(document(MAX_ENTRIES + 1))


def test_c7_a_manifest_has_at_most_four_megabytes() -> None:
    with pytest.raises(InvalidManifest, match="too large"):
        parse_manifest(b" " * (4 << 20) + json.dumps(_image()).encode(), None)


@pytest.mark.parametrize("claimed", ["application/json", "text/html", "application/octet-stream", mediatype.OCI_CONFIG])
def test_n23_a_kind_nobody_knows_is_not_supported(claimed: str) -> None:
    with pytest.raises(Unsupported, match="unknown kind of manifest"):
        parse_manifest(json.dumps(_image(mediaType=claimed)).encode(), None)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"<html></html>", b'"' + b"x" * 100 + b'"', b"\x1f\x8b"])
def test_what_is_no_document_is_no_manifest(raw: bytes) -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(raw, mediatype.OCI_MANIFEST)


def test_c6_c5_a_manifest_is_read_by_the_strict_loader() -> None:
    text = json.dumps(_image())
    with pytest.raises(InvalidManifest, match="duplicate key"):
        parse_manifest(text.replace('{"schemaVersion"', '{"layers": [], "schemaVersion"').encode(), None)
    with pytest.raises(InvalidManifest, match="no JSON number"):
        parse_manifest(text.replace('"size": 6', '"size": NaN').encode(), None)


@pytest.mark.parametrize("config_type", ["application/octet-stream", "application/json", "text/html"])
def test_a_config_of_no_telling_type_makes_an_image_of_schema_2_only(config_type: str) -> None:
    config = Descriptor(config_type, Digest.of(b"config"), 6).encode()
    assert _parsed(_image(mediaType=mediatype.DOCKER_MANIFEST, config=config)).is_image
    assert not _parsed(_image(config=config)).is_image
