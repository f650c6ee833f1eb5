"""Signatures hidden in documents: what was recorded of libtrust, and the tricks that are refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import InvalidManifest, SignatureInvalid
from puller.legacy import joseb64
from puller.legacy.jws import MAX_SIGNATURES, PrettySignature, assemble, format_length, indent_of
from tests.legacy.golden import cases, fixture, from_base64, named, recorded
from tests.legacy.signers import ec_key, payload, protected, relisted, resigned, rsa_key, signed

pytestmark = pytest.mark.slow  # many small tests: for `make test`

CASES = [case for case in cases("schema1") if case["unmarshal_error"] is None]
WILD = [case for case in recorded("expected")["schema1"] if case["unmarshal_error"] is None]
SPACE = b" \t\r\n"


def check(case: dict[str, Any], raw: bytes) -> None:
    content = raw.strip(SPACE)
    trouble = case.get("payload_panic") or case["payload_error"]
    if trouble is not None:
        with pytest.raises(InvalidManifest) as caught:
            PrettySignature.parse_like_libtrust(content)
        assert caught.value.what == trouble
        return
    found = PrettySignature.parse_like_libtrust(content)
    if case["verify_error"] is not None:
        with pytest.raises((InvalidManifest, SignatureInvalid)) as refused:
            found.verify()
        assert refused.value.what == case["verify_error"]
    else:
        assert [key.key_id for key in found.verify()] == (case["key_ids"] or [])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_payloads_keys_and_errors_are_those_recorded_of_the_original(case: dict[str, Any]) -> None:
    raw = from_base64(case["raw_b64"])
    check(case, raw)
    if "payload_b64" in case:
        assert PrettySignature.parse_like_libtrust(raw.strip(SPACE)).payload == from_base64(case["payload_b64"])


@pytest.mark.parametrize("case", WILD, ids=named)
def test_manifests_from_the_wild_are_taken_as_recorded_of_the_original(case: dict[str, Any]) -> None:
    check(case, fixture(case["name"]))


WRITTEN_BY_LIBTRUST = [
    "valid_ec256a", "valid_ec384", "valid_ec521", "valid_rsa2048", "valid_compact", "valid_indent2", "valid_indent_tab",
    "valid_sign_api", "valid_trailing_ws", "valid_unicode", "multi_2", "multi_3_mixed", "multi_same_key_twice",
]  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN_BY_LIBTRUST)
def test_a_document_is_put_together_byte_for_byte_as_libtrust_did(name: str) -> None:
    (case,) = [case for case in CASES if case["name"] == name]
    raw = from_base64(case["raw_b64"])
    blocks = [json.dumps(block, separators=(",", ":")).encode() for block in json.loads(raw)["signatures"]]
    assert assemble(from_base64(case["payload_b64"]), blocks) == raw


@pytest.mark.parametrize(
    ("content", "length", "indent"),
    [
        (b'{"a":1}', 6, ""),
        (b'{\n   "a": 1\n}', 11, "   "),
        (b'{\n\t"a": 1\n}\n', 9, "\t"),
        (b'{ "a": 1 }  ', 8, ""),
    ],
)
def test_a_document_is_cut_before_its_closing_brace(content: bytes, length: int, indent: str) -> None:
    assert format_length(content) == length
    assert indent_of(content) == indent


def test_an_empty_object_is_not_signed_as_no_reader_would_take_what_comes_of_it() -> None:
    for content in (b"{}", b"{\n}"):
        with pytest.raises(InvalidManifest, match="empty object"):
            signed(content=content)


UNSIGNABLE = {"array_payload": b"[1]", "trailing_comma_payload": b'{"a":1,}'}


@pytest.mark.parametrize("name", recorded("schema1_unsignable"))
def test_what_the_original_could_not_sign_is_not_signed(name: str) -> None:
    with pytest.raises(InvalidManifest):
        signed(content=UNSIGNABLE[name])


def refusal(raw: bytes) -> str:
    with pytest.raises(InvalidManifest) as caught:
        PrettySignature.parse(raw)
    return caught.value.what


HONEST = signed(ec_key(), rsa_key())
LENGTH = format_length(payload())


def test_an_honest_document_gives_its_payload_and_its_keys() -> None:
    found = PrettySignature.parse(HONEST)
    assert found.payload == payload()
    assert {key.key_id for key in found.verify()} == {ec_key().public.key_id, rsa_key().public.key_id}


def test_a_number_written_otherwise_is_refused_though_libtrust_took_it() -> None:
    for length in (float(LENGTH), f"{LENGTH}0e-1"):
        text = protected(0).encode()
        header = joseb64.decode(text.decode()).replace(b'"formatLength": 0', f'"formatLength": {length}'.encode())
        raw = resigned(signed(), protected=joseb64.encode(header))
        assert PrettySignature.parse_like_libtrust(raw).payload == payload()
        assert refusal(raw) == "format length is no positive integer"


@pytest.mark.parametrize(
    ("length", "tail", "expected"),
    [
        (0, "\n}", "format length is no positive integer"),
        (-5, "\n}", "runtime error: slice bounds out of range [:-5]"),
        (10**9, "\n}", "invalid format length"),
        (True, "\n}", "missing formatted length"),
        (None, "\n}", "missing formatted length"),
        ("857", "\n}", "missing formatted length"),
        (10**400, "\n}", "invalid format length"),
        (LENGTH, "", "format tail is more than a closing brace"),
        (LENGTH, ',"fsLayers":[]}', "format tail is more than a closing brace"),
        (LENGTH, "}}", "format tail is more than a closing brace"),
        (LENGTH, "\u00a0}", "format tail is more than a closing brace"),
    ],
)
def test_c16_lengths_and_tails_that_no_signer_writes_are_refused(length: object, tail: str, expected: str) -> None:
    assert refusal(resigned(signed(), protected=protected(length, tail))) == expected


@pytest.mark.parametrize("place", [0, 1])
def test_c16_signatures_that_disagree_are_refused_in_any_order(place: int) -> None:
    # The original took a first length of 0 for none, and believed the second.
    for length, tail in ((0, "\n}"), (LENGTH - 1, "\n}"), (LENGTH, "\n\n}"), (LENGTH, "")):
        assert refusal(resigned(HONEST, place, protected=protected(length, tail)))


def test_c16_a_cut_within_a_character_proves_nothing() -> None:
    content = '{"tag":"é"}'.encode()
    cut = content.index("é".encode()) + 1
    raw = resigned(signed(content=content), protected=protected(cut, "}"))
    with pytest.raises((InvalidManifest, SignatureInvalid)):
        PrettySignature.parse(raw).verify()


@pytest.mark.parametrize("signatures", [[], None, {}, "x", 1, [None], ["x"], [[]]])
def test_c17_nothing_is_verified_by_no_signature(signatures: object) -> None:
    assert refusal(relisted(signed(), signatures))


def test_c17_a_second_list_of_signatures_is_refused() -> None:
    raw = signed()
    for extra in (b',"signatures":[]}', b',"signatures":null}', raw[raw.rindex(b',\n   "signatures"') :]):
        assert refusal(raw[: raw.rindex(b"}")] + extra) == "more than one member of signatures"


def test_c17_very_many_signatures_are_refused_before_any_is_looked_at() -> None:
    one = json.loads(signed())["signatures"][0]
    PrettySignature.parse(relisted(signed(), [one] * MAX_SIGNATURES))
    assert refusal(relisted(signed(), [one] * (MAX_SIGNATURES + 1))) == "too many signatures"
    assert refusal(relisted(signed(), [None] * 10_000)) == "too many signatures"


def test_c17_every_signature_must_hold() -> None:
    document = json.loads(HONEST)
    for place in (0, 1):
        broken = resigned(HONEST, place, signature=document["signatures"][1 - place]["signature"])
        with pytest.raises(SignatureInvalid):
            PrettySignature.parse(broken).verify()


@pytest.mark.parametrize("jwk", [None, "null", {}, "oct"])
def test_c17_a_signature_without_a_key_is_refused(jwk: object) -> None:
    with pytest.raises((InvalidManifest, SignatureInvalid)):
        PrettySignature.parse(resigned(signed(), jwk=jwk)).verify()


def test_c17_the_key_of_someone_else_is_refused() -> None:
    other = json.loads(ec_key(secret=99).public.jwk())
    with pytest.raises(SignatureInvalid, match="invalid signature"):
        PrettySignature.parse(resigned(signed(), jwk=other)).verify()


@pytest.mark.parametrize("chain", [["AAAA"], ["!"], [""], ["AAAA" * 100_000]])
def test_c17_a_broken_chain_is_not_passed_over_for_the_bare_key(chain: list[str]) -> None:
    with pytest.raises(InvalidManifest):
        PrettySignature.parse(resigned(signed(), x5c=chain)).verify()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b""),
        ("AQ", b"\1"),
        ("AQ==", b"\1"),
        ("A Q\n", b"\1"),
        ("AQI", b"\1\2"),
        ("_-8", b"\xff\xef"),
        ("AQ=", b"\1"),
    ],
)
def test_base64_is_read_as_loosely_as_the_original_read_it(text: str, expected: bytes) -> None:
    assert joseb64.decode(text) == expected


@pytest.mark.parametrize("text", ["A", "AQIDB", "AQ=\r=", "AQI\r", "A+Q=", "A/==", "é", "AQ=A", "====", "AQID="])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(InvalidManifest, match="illegal base64"):
        joseb64.decode(text)


@given(st.binary())
def test_base64_reads_back(content: bytes) -> None:
    assert joseb64.decode(joseb64.encode(content)) == content
