"""Manifests as Docker itself checked them: everything that was recorded of both versions."""

from typing import Any

import pytest

from puller.errors import InvalidManifest
from puller.legacy.gojson import load
from puller.legacy.schema1compat import decode, validate_manifest, verify_manifest
from tests.legacy.golden import cases, fixture, from_base64, named, recorded

pytestmark = pytest.mark.slow  # many small tests: for `make test`

ALL = cases("schema1")
CASES = [case for case in ALL if case["unmarshal_error"] is None]
WILD = [case for case in recorded("expected")["schema1"] if case["unmarshal_error"] is None]


def content_of(case: dict[str, Any]) -> bytes:
    return from_base64(case["raw_b64"]) if "raw_b64" in case else fixture(case["name"])


def decoded(raw: bytes) -> dict[str, Any]:
    load(raw)
    return decode(raw.strip())


@pytest.mark.parametrize("case", ALL, ids=named)
def test_what_cannot_be_decoded_is_what_was_recorded_of_the_original(case: dict[str, Any]) -> None:
    if case["unmarshal_error"] is None:
        assert decoded(content_of(case))
        return
    for read in (decoded, lambda raw: validate_manifest(raw, "1"), lambda raw: verify_manifest(raw, "1")):
        with pytest.raises(InvalidManifest) as caught:
            read(content_of(case))
        assert caught.value.what == case["unmarshal_error"]


@pytest.mark.parametrize("case", CASES + WILD, ids=named)
def test_the_whole_document_decodes_to_what_was_recorded_of_the_original(case: dict[str, Any]) -> None:
    values = decoded(content_of(case))
    lengths = {key: len(values[key].items) if values[key] else 0 for key in ("fsLayers", "history")}
    assert values | lengths == case["parsed"]
    blobs = [layer["blobSum"] for layer in values["fsLayers"].items] if values["fsLayers"] else []
    assert blobs == (case["unverified_fslayers"] or [])


@pytest.mark.parametrize("case", CASES + WILD, ids=named)
def test_validate_manifest_says_what_was_recorded_of_504e67b867(case: dict[str, Any]) -> None:
    error = case["validate_error"]
    if error is None:
        found = validate_manifest(content_of(case), case["tag"])
        assert list(found.blobs) == case["unverified_fslayers"]
        assert list(found.key_ids) == (case["key_ids"] or [])
        return
    with pytest.raises(InvalidManifest) as caught:
        validate_manifest(content_of(case), case["tag"])
    # Where the original crashed there is an error of the same words (LEGACY.md, decision 2).
    assert caught.value.what.endswith(error.removeprefix("PANIC: "))


@pytest.mark.parametrize("case", CASES + WILD, ids=named)
def test_verify_manifest_says_what_was_recorded_of_011bfd666e(case: dict[str, Any]) -> None:
    expected = case["verify_manifest_011bfd666e"]
    if expected["error"] is None:
        found = verify_manifest(content_of(case), case["tag"])
        assert (list(found.blobs), found.name, found.tag) == (expected["fslayers"], expected["name"], expected["tag"])
        return
    with pytest.raises(InvalidManifest) as caught:
        verify_manifest(content_of(case), case["tag"])
    assert caught.value.what == expected["error"]


def test_c15_the_holes_that_were_closed_later_are_in_the_old_way_only() -> None:
    case = next(case for case in CASES if case["name"] == "ext_by_digest_appended_fslayers")
    raw = content_of(case)
    old = validate_manifest(raw, case["tag"])
    new = verify_manifest(raw, case["tag"])
    assert old.payload == new.payload
    assert old.blobs != new.blobs
