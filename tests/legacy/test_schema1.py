"""Signed manifests: verified first, and decoded from nothing but what was verified."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import DigestMismatch, InvalidDigest, InvalidManifest, PullerError, SignatureInvalid, Unsupported
from puller.legacy.idchain import id_chain
from puller.legacy.jws import format_length
from puller.legacy.schema1 import MAX_LAYERS, SignedManifest, encode_manifest, parse_signed_manifest
from puller.legacy.schema1compat import validate_manifest
from puller.model.digest import Digest, TarsumDigest
from tests.legacy.golden import cases, fixture, from_base64, named, recorded
from tests.legacy.signers import ec_key, payload, signed
from tests.legacy.test_history import BLOB, text

pytestmark = pytest.mark.slow  # many small tests: for `make test`

CASES = cases("schema1")
WILD = recorded("expected")["schema1"]
OTHER = "sha256:" + "cd" * 32
# Not to be asked for: what is no digest here is no `expected` either.
NO_DIGEST = {"by_digest_upper_hex", "by_digest_sha384_ok", "by_digest_tarsum", "by_digest_unsupported_alg"}


def expected_digest(case: dict[str, Any]) -> Digest | None:
    try:
        return Digest.parse(case["tag"])
    except InvalidDigest:
        return None


def is_taken(case: dict[str, Any]) -> bool:
    """By what was recorded: verified as 011bfd666e did, and besides every signature holds, if there is any at all."""
    if case["unmarshal_error"] is not None or case["verify_manifest_011bfd666e"]["error"] is not None:
        return False
    unsigned = case.get("payload_error") == "missing signature key"
    return unsigned or bool(case.get("verify_error") is None and case.get("key_ids"))


@pytest.mark.parametrize("case", [case for case in CASES if case["name"] not in NO_DIGEST], ids=named)
def test_what_is_taken_is_what_the_original_verified(case: dict[str, Any]) -> None:
    raw = from_base64(case["raw_b64"])
    if not is_taken(case):
        with pytest.raises(PullerError):
            parse_signed_manifest(raw, expected=expected_digest(case))
        return
    found = parse_signed_manifest(raw, expected=expected_digest(case))
    assert list(found.key_ids) == (case["key_ids"] or [])
    if "payload_b64" in case:
        assert found.payload == from_base64(case["payload_b64"])
        assert str(found.digest) == case["payload_digest"]
    if expected_digest(case):
        assert list(found.blobs) == case["verify_manifest_011bfd666e"]["fslayers"]


def test_every_outcome_occurs_often() -> None:
    assert sum(map(is_taken, CASES)) == 52


@pytest.mark.parametrize("case", [case for case in WILD if case["unmarshal_error"] is None], ids=named)
def test_of_manifests_from_the_wild_those_that_verify_are_taken(case: dict[str, Any]) -> None:
    raw = fixture(case["name"])
    if not is_taken(case):
        with pytest.raises(PullerError):
            parse_signed_manifest(raw)
        return
    found = parse_signed_manifest(raw)
    assert list(found.blobs) == case["verify_manifest_011bfd666e"]["fslayers"] or found.ignored
    assert list(found.key_ids) == (case["key_ids"] or [])


GOOD = "sha256:02fee8c3220ba806531f606525eceb83f4feb654f62b207191b1c9209188dedd"
FIRST = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"


@pytest.mark.parametrize("name", ["good_manifest", "extra_data_manifest"])
def test_c15_validate_manifest_as_upstream_tests_it(name: str) -> None:
    raw = fixture(f"moby/graph/fixtures/validate_manifest/{name}")
    found = parse_signed_manifest(raw, expected=Digest.parse(GOOD))
    assert found.blobs[0] == FIRST
    assert found.ignored == (("fsLayers",) if name == "extra_data_manifest" else ())


def test_c15_a_bad_manifest_is_refused_as_upstream_tests_it() -> None:
    with pytest.raises(DigestMismatch, match="image verification failed for digest"):
        parse_signed_manifest(
            fixture("moby/graph/fixtures/validate_manifest/bad_manifest"), expected=Digest.parse(GOOD)
        )


def test_an_unsigned_manifest_is_taken_as_upstream_tests_it_unless_a_signature_is_required() -> None:
    raw = fixture("moby/graph/fixtures/validate_manifest/no_signature_manifest")
    found = parse_signed_manifest(raw, expected=Digest.parse(GOOD))
    assert not found.is_signed
    with pytest.raises(SignatureInvalid, match="not signed"):
        parse_signed_manifest(raw, require_signature=True)


EVIL = f'"fsLayers":[{{"blobSum":"{OTHER}"}},{{"blobSum":"{OTHER}"}}]'.encode()


def with_evil(place: str) -> bytes:
    raw = signed()
    if place == "before":  # within what is signed: it does not verify
        return raw.replace(b'   "name"', EVIL + b',\n   "name"', 1)
    cut = raw.rindex(b'"signatures"') if place == "between" else raw.rindex(b"}")
    separator = b"," if place == "after" else b""
    return raw[:cut] + separator + EVIL + (b"," if place == "between" else b"") + raw[cut:]


@pytest.mark.parametrize("place", ["between", "after"])
def test_c15_layers_outside_of_what_is_signed_are_never_believed(place: str) -> None:
    raw = with_evil(place)
    assert validate_manifest(raw, "1").blobs == (OTHER, OTHER)  # the original believed them
    for expected in (None, Digest.of(payload())):
        found = parse_signed_manifest(raw, expected=expected)
        assert found.blobs == (BLOB, BLOB)
        assert found.ignored == ("fsLayers",)


def test_c15_layers_put_into_what_is_signed_are_refused() -> None:
    for expected in (None, Digest.of(payload())):
        with pytest.raises(PullerError):
            parse_signed_manifest(with_evil("before"), expected=expected)


def test_c15_a_number_that_goes_on_behind_what_is_signed_is_named() -> None:
    content = payload()[:-2] + b',\n   "size": 12\n}'
    raw, cut = signed(content=content), format_length(content)
    found = parse_signed_manifest(raw[:cut] + b"34" + raw[cut:])
    assert (found.payload, found.ignored) == (content, ("size",))
    assert parse_signed_manifest(raw).ignored == ()


def test_c15_one_field_twice_is_refused_even_where_it_is_signed() -> None:
    # Which of two readers gets which value is what such a document is made for; case does not tell them apart in Go.
    for extra in (EVIL, EVIL.replace(b"fsLayers", b"FSLAYERS"), EVIL.replace(b"fsLayers", "fsLayer\u017f".encode())):
        content = payload()[:-2] + b"," + extra + b"}"
        for raw in (content, signed(content=content)):
            with pytest.raises(InvalidManifest, match=r"twice|duplicate key"):
                parse_signed_manifest(raw)


def test_c15_the_digest_is_of_what_is_signed_and_not_of_the_whole_document() -> None:
    raw = signed()
    assert parse_signed_manifest(raw, expected=Digest.of(payload())).digest == Digest.of(payload())
    assert parse_signed_manifest(raw, expected=Digest.of(payload(), "sha512"))
    for wrong in (Digest.of(raw), Digest.of(payload("2"))):
        with pytest.raises(DigestMismatch) as caught:
            parse_signed_manifest(raw, expected=wrong)
        assert (caught.value.wanted, caught.value.got) == (wrong, Digest.of(payload()))


def test_c15_a_signature_must_hold_even_where_the_digest_does() -> None:
    raw = signed()
    other = signed(content=payload("2"))
    grafted = raw[: raw.rindex(b'"signatures"')] + other[other.rindex(b'"signatures"') :]
    with pytest.raises(SignatureInvalid):
        parse_signed_manifest(grafted, expected=Digest.of(payload()))


@given(st.data())
def test_c15_no_changed_byte_of_a_signed_manifest_changes_what_is_read(data: st.DataObject) -> None:
    raw = bytearray(signed())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    try:
        found = parse_signed_manifest(bytes(raw), require_signature=True)
    except PullerError:
        return
    assert found.payload == payload()


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_with_an_error_of_ours(raw: bytes) -> None:
    with pytest.raises(PullerError):
        parse_signed_manifest(raw)


def document(**changes: object) -> bytes:
    return json.dumps({key: value for key, value in (json.loads(payload()) | changes).items() if value != "-"}).encode()


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"schemaVersion": 2}, Unsupported, "unsupported schema version"),
        ({"schemaVersion": "1"}, Unsupported, "unsupported schema version"),
        ({"schemaVersion": True}, Unsupported, "unsupported schema version"),
        ({"schemaVersion": "-"}, Unsupported, "unsupported schema version"),
        ({"fsLayers": []}, InvalidManifest, "length of history"),
        ({"fsLayers": [], "history": []}, InvalidManifest, "no FSLayers"),
        ({"fsLayers": None, "history": None}, InvalidManifest, "no FSLayers"),
        ({"fsLayers": {}}, InvalidManifest, "must be a list"),
        ({"fsLayers": [BLOB, BLOB]}, InvalidManifest, "must hold objects"),
        ({"fsLayers": [{}, {}]}, InvalidManifest, "blobSum must be a string"),
        ({"history": [{"v1Compatibility": {}}, {}]}, InvalidManifest, "v1Compatibility must be a string"),
        ({"name": 1}, InvalidManifest, "name must be a string"),
        ({"fsLayers": [{"blobSum": BLOB}] * (MAX_LAYERS + 1)}, InvalidManifest, "too many fsLayers"),
    ],
)
def test_c18_a_manifest_of_another_shape_is_refused(
    changes: dict[str, object], error: type[PullerError], says: str
) -> None:
    with pytest.raises(error, match=says):
        parse_signed_manifest(document(**changes))


def test_a_manifest_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(InvalidManifest, match="too large"):
        parse_signed_manifest(b" " * (5 << 20))


def test_a_manifest_leads_to_its_images_and_their_ids() -> None:
    chain = id_chain(parse_signed_manifest(signed()).layers())
    assert [candidate.layer.v1_compatibility for candidate in chain] == [text("a"), text("b", "a")]


def test_d1_layers_named_by_a_tarsum_are_told_from_those_named_by_a_digest() -> None:
    label = "tarsum.v1+sha256:" + "AB" * 32
    content = encode_manifest("app", "1", "amd64", [label, BLOB], [text("b", "a"), text("a")])
    assert parse_signed_manifest(content).blob_names() == (TarsumDigest.parse(label), Digest.parse(BLOB))


@pytest.mark.parametrize(
    "name", ["tarsum+md5:" + "ab" * 16, "md5:" + "ab" * 16, "sha256:ab", "sha256:" + "AB" * 32, ""]
)
def test_d1_layers_named_by_anything_else_cannot_be_named(name: str) -> None:
    content = encode_manifest("app", "1", "amd64", [name], [text("a")])
    with pytest.raises(InvalidDigest):
        parse_signed_manifest(content).blob_names()


def test_a_manifest_is_written_as_docker_wrote_it() -> None:
    # Recorded: the payload of a manifest that distribution's manifest.Sign made.
    case = next(case for case in CASES if case["name"] == "valid_sign_api")
    found = parse_signed_manifest(from_base64(case["raw_b64"]))
    again = encode_manifest(found.name, found.tag, found.architecture, found.blobs, found.history)
    assert again == found.payload


@given(st.text(max_size=5), st.text(max_size=5), st.lists(st.text(max_size=5), min_size=1, max_size=3))
def test_what_is_written_reads_back(name: str, tag: str, history: list[str]) -> None:
    texts = tuple(line.encode() for line in history)
    content = encode_manifest(name, tag, "amd64", [BLOB] * len(texts), texts)
    expected = SignedManifest(content, name, tag, "amd64", (BLOB,) * len(texts), texts)
    assert parse_signed_manifest(content) == expected


@pytest.mark.parametrize(("blobs", "history"), [([], []), ([BLOB], []), ([BLOB], [b"\xff"])])
def test_what_would_not_read_back_is_not_written(blobs: list[str], history: list[bytes]) -> None:
    with pytest.raises(InvalidManifest):
        encode_manifest("app", "1", "amd64", blobs, history)


def test_c14_the_name_and_tag_in_a_manifest_are_its_own_claim() -> None:
    found = parse_signed_manifest(signed(ec_key(), content=payload("evil")))
    assert (found.name, found.tag) == ("library/app", "evil")
