"""THREATS C4 (CVE-2021-41190): no document is two things, and none is what its description does not say."""

import itertools
import json
from typing import Any

import pytest

from puller.errors import MediaTypeMismatch, Unsupported
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Index, Manifest, parse_manifest

_CONFIG = Descriptor(mediatype.OCI_CONFIG, Digest.of(b"config"), 6).encode()
_LAYER = Descriptor(mediatype.OCI_LAYER_GZIP, Digest.of(b"layer"), 5).encode()
_MANIFEST = Descriptor(mediatype.OCI_MANIFEST, Digest.of(b"manifest"), 8).encode()
_IMAGE = {"schemaVersion": 2, "config": _CONFIG, "layers": [_LAYER]}
_MANY = {"schemaVersion": 2, "manifests": [_MANIFEST]}
_OLD = {
    "schemaVersion": 1,
    "name": "team/app",
    "tag": "1",
    "architecture": "amd64",
    "fsLayers": [{"blobSum": str(Digest.of(b"layer"))}],
    "history": [{"v1Compatibility": "{}"}],
}

# kind → its media type and its keys
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "index": (mediatype.OCI_INDEX, _MANY),
    "list": (mediatype.DOCKER_LIST, _MANY),
    "OCI": (mediatype.OCI_MANIFEST, _IMAGE),
    "schema 2": (mediatype.DOCKER_MANIFEST, _IMAGE),
    "artifact": (mediatype.OCI_ARTIFACT, {"blobs": [_LAYER]}),
    "schema 1": (mediatype.SCHEMA1, _OLD),
    "signed schema 1": (mediatype.SCHEMA1_SIGNED, _OLD | {"signatures": []}),
}
MULTI = {"index", "list"}
OLD = {"schema 1", "signed schema 1"}
PAIRS = list(itertools.product(KINDS, KINDS))


def _kind_of(parsed: Manifest | Index) -> str:
    return next(kind for kind, (media_type, _) in KINDS.items() if media_type == parsed.media_type)


def _parse(document: dict[str, Any], claimed: str | None) -> Manifest | Index:
    return parse_manifest(json.dumps(document).encode(), claimed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("body_says", "description_says"), [(True, True), (True, False), (False, True)])
def test_c4_a_document_that_is_what_is_said_of_it_is_read(kind: str, body_says: bool, description_says: bool) -> None:
    media_type, document = KINDS[kind]
    if body_says:
        document = document | {"mediaType": media_type}
    claimed = media_type if description_says else None
    if kind in OLD:
        with pytest.raises(Unsupported, match="schema 1"):
            _parse(document, claimed)
    else:
        parsed = _parse(document, claimed)
        assert _kind_of(parsed) == kind
        assert isinstance(parsed, Index) == (kind in MULTI)


@pytest.mark.parametrize("kind", ["index", "OCI", "schema 1"])
def test_where_nothing_is_said_the_keys_tell(kind: str) -> None:
    document = KINDS[kind][1]
    if kind in OLD:
        with pytest.raises(Unsupported, match="schema 1"):
            _parse(document, None)
    else:
        assert _kind_of(_parse(document, None)) == kind


@pytest.mark.parametrize(("keys", "claim"), PAIRS)
def test_c4_keys_of_one_kind_are_not_read_as_another(keys: str, claim: str) -> None:
    document, claimed = KINDS[keys][1], KINDS[claim][0]
    same_keys = {keys, claim} <= MULTI or {keys, claim} <= {"OCI", "schema 2"} or keys == claim
    if {keys, claim} <= OLD:
        with pytest.raises(Unsupported):
            _parse(document, claimed)
    elif same_keys:
        assert _kind_of(_parse(document, claimed)) == claim
    else:
        with pytest.raises(MediaTypeMismatch):
            _parse(document, claimed)


@pytest.mark.parametrize(("own", "claim"), [pair for pair in PAIRS if len(set(pair)) == 2 and set(pair) != OLD])
def test_c4_the_media_type_in_the_body_must_be_the_one_in_the_description(own: str, claim: str) -> None:
    media_type, document = KINDS[own]
    with pytest.raises(MediaTypeMismatch) as refusal:
        _parse(document | {"mediaType": media_type}, KINDS[claim][0])
    assert refusal.value.wanted == KINDS[claim][0]
    assert refusal.value.got == media_type


FAMILIES: dict[str, dict[str, Any]] = {
    "manifests": {"manifests": [_MANIFEST]},
    "config": {"config": _CONFIG},
    "layers": {"layers": [_LAYER]},
    "blobs": {"blobs": [_LAYER]},
    "fsLayers": {"fsLayers": []},
    "history": {"history": []},
    "signatures": {"signatures": []},
}
_OF_ONE_KIND = ({"config", "layers"}, {"fsLayers", "history", "signatures"})
CLASHES = [pair for pair in itertools.combinations(FAMILIES, 2) if not any(set(pair) <= kind for kind in _OF_ONE_KIND)]


@pytest.mark.parametrize("claim", [None, *KINDS])
@pytest.mark.parametrize(("one", "other"), CLASHES)
def test_c4_keys_of_two_kinds_in_one_document_are_refused_whatever_it_is_called(
    one: str, other: str, claim: str | None
) -> None:
    claimed = None if claim is None else KINDS[claim][0]
    for own in ({}, {"mediaType": claimed} if claimed else {}):
        with pytest.raises(MediaTypeMismatch, match="two kinds at once"):
            _parse({"schemaVersion": 2, **own, **FAMILIES[one], **FAMILIES[other]}, claimed)


@pytest.mark.parametrize("empty", [[], {}, None, 0, ""])
def test_c4_an_empty_key_of_another_kind_is_enough(empty: object) -> None:
    with pytest.raises(MediaTypeMismatch, match="config, layers, manifests"):
        _parse(_IMAGE | {"manifests": empty}, mediatype.OCI_MANIFEST)


def test_keys_of_no_kind_are_left_alone() -> None:
    assert isinstance(_parse(_IMAGE | {"x-extension": [], "Manifests": []}, mediatype.OCI_MANIFEST), Manifest)
