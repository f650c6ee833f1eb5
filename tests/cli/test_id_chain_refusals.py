"""`puller id-chain`: the manifests that are refused, with nothing printed but the error (THREATS C15–C19)."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from puller.legacy.jws import MAX_SIGNATURES, format_length
from puller.model.digest import Digest
from tests.cli.chained import BASE, HONEST, Show, check_refused, history, showing, values
from tests.cli.conftest import Puller
from tests.conftest import shared_dir
from tests.legacy.signers import ec_key, payload, protected, relisted, resigned, rsa_key, signed
from tests.legacy.test_history import BLOB, name_of, text

LENGTH = format_length(payload())


@pytest.fixture
def show(puller: Puller, tmp_path: Path) -> Show:
    """`puller id-chain` of these bytes."""
    return showing(puller, tmp_path)


# -- C15: what is signed, and nothing else ---------------------------------------------------------------------------

OTHER = "sha256:" + "cd" * 32
EVIL = f'"fsLayers":[{{"blobSum":"{OTHER}"}},{{"blobSum":"{OTHER}"}}]'.encode()
GOOD = "sha256:02fee8c3220ba806531f606525eceb83f4feb654f62b207191b1c9209188dedd"
HELLO = "OIH7:HQFS:44FK:45VB:3B53:OIAG:TPL4:ATF5:6PNE:MGHN:NHQX:2GE4"


@pytest.mark.parametrize("place", ["between", "after"])
def test_c15_layers_outside_of_what_is_signed_are_named_and_not_read(show: Show, place: str) -> None:
    cut = HONEST.rindex(b'"signatures"') if place == "between" else HONEST.rindex(b"}")
    raw = HONEST[:cut] + (EVIL + b"," if place == "between" else b"," + EVIL) + HONEST[cut:]
    end = show(raw)
    assert values(end, "layer") == [BLOB, BLOB]
    assert values(end, "ignored") == ["1 outside of what is signed: fsLayers"]
    assert json.loads(show(raw, "--json").out)["ignored"] == ["fsLayers"]


def test_c15_layers_put_into_what_is_signed_are_refused(show: Show) -> None:
    raw = HONEST.replace(b'   "name"', EVIL + b',\n   "name"', 1)
    check_refused(show(raw), 3, "SignatureInvalid")
    check_refused(show(raw, "--digest", str(Digest.of(payload()))), 3, "DigestMismatch")


def test_c15_one_field_twice_is_refused_even_where_it_is_signed(show: Show) -> None:
    content = payload()[:-2] + b"," + EVIL.replace(b"fsLayers", b"FSLAYERS") + b"}"
    check_refused(show(signed(content=content)), 1, "InvalidManifest")


@pytest.mark.parametrize("name", ["good", "extra_data", "no_signature"])
def test_c15_the_manifests_of_the_upstream_test_that_are_good(puller: Puller, name: str) -> None:
    folder = shared_dir() / "fixtures/moby/graph/fixtures/validate_manifest"
    end = puller("id-chain", "--digest", GOOD, "--json", str(folder / f"{name}_manifest"))
    found = json.loads(end.out)
    assert (end.code, found["digest"]) == (0, GOOD)
    assert found["images"][0]["strong_id"] == "8889088cb38d470e6bcda58864c025bb4623803c64b37356ed73de3e7759169f"
    assert found["key_ids"] == ([] if name == "no_signature" else [HELLO])
    assert found["ignored"] == (["fsLayers"] if name == "extra_data" else [])


def test_c15_the_manifest_of_the_upstream_test_that_is_bad(puller: Puller) -> None:
    bad = str(shared_dir() / "fixtures/moby/graph/fixtures/validate_manifest/bad_manifest")
    for words in ((), ("--digest", GOOD)):
        end = puller("id-chain", *words, bad)
        assert (end.code, end.out) == (3, "")


def test_every_chain_recorded_of_manifests_from_the_wild_is_shown(puller: Puller) -> None:
    folder = shared_dir() / "fixtures"
    chains = json.loads((folder / "expected.json").read_text())["chains"]
    shown = 0
    for case in chains:
        end = puller("id-chain", "--json", str(folder / case["name"]))
        # Of the one with more than was signed the original read just that, and its chain was recorded so.
        if end.code == 0 and case.get("images") and not json.loads(end.out)["ignored"]:
            found = [f"sha256:{image['strong_id']}" for image in json.loads(end.out)["images"]]
            assert found == [image["strong_id"] for image in case["images"]], case["name"]
            shown += 1
    assert shown >= 2


# -- C16: lengths and tails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "tail"),
    [
        (0, "\n}"), (-5, "\n}"), (10**9, "\n}"), (10**400, "\n}"), (True, "\n}"), (None, "\n}"), (str(LENGTH), "\n}"),
        (float(LENGTH), "\n}"), (LENGTH, ""), (LENGTH, f',"fsLayers":[{{"blobSum":"{OTHER}"}}]}}'), (LENGTH, "}}"),
    ],
)  # fmt: skip
def test_c16_lengths_and_tails_that_no_signer_writes_are_refused(show: Show, length: object, tail: str) -> None:
    check_refused(show(resigned(HONEST, protected=protected(length, tail))), 1, "InvalidManifest")


@pytest.mark.parametrize("length", [LENGTH - 1, LENGTH - 40, 1])
def test_c16_a_shorter_length_is_refused(show: Show, length: int) -> None:
    check_refused(show(resigned(HONEST, protected=protected(length))), 3, "SignatureInvalid")


@pytest.mark.parametrize("place", [0, 1])
def test_c16_signatures_that_disagree_are_refused_in_any_order(show: Show, place: int) -> None:
    both = signed(ec_key(), rsa_key())
    for length in (0, LENGTH - 1):
        check_refused(show(resigned(both, place, protected=protected(length))), 1, "InvalidManifest")


def test_c16_a_cut_within_a_character_is_refused(show: Show) -> None:
    content = payload().replace(b"library/app", "library/é".encode())
    cut = content.index("é".encode()) + 1
    check_refused(show(resigned(signed(content=content), protected=protected(cut, "}"))), 3, "SignatureInvalid")


# -- C17: algorithms and keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["none", "", "HS256", "RS256", "ES384", "ES512", "es256"])
def test_c17_another_algorithm_than_the_keys_own_is_refused(show: Show, algorithm: str) -> None:
    check_refused(show(resigned(HONEST, alg=algorithm)), 3, "SignatureInvalid")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256"])
def test_c17_an_rsa_key_signs_by_rsa_only(show: Show, algorithm: str) -> None:
    check_refused(show(resigned(signed(rsa_key()), alg=algorithm)), 3, "SignatureInvalid")


def jwk(**changes: object) -> dict[str, object]:
    own: dict[str, object] = json.loads(ec_key().public.jwk())
    return own | changes


@pytest.mark.parametrize("key", [jwk(kid=HELLO), jwk(crv="P-521"), jwk(kty="oct", k="AAAA"), jwk(x="AAAA"), {}, "key"])
def test_c17_a_key_that_is_not_whole_or_not_its_own_name_is_refused(show: Show, key: object) -> None:
    check_refused(show(resigned(HONEST, jwk=key)), 1, "InvalidManifest")


def test_c17_a_signature_without_a_key_or_by_someone_else_is_refused(show: Show) -> None:
    check_refused(show(resigned(HONEST, jwk=None)), 3, "SignatureInvalid")
    other = json.loads(ec_key(secret=99).public.jwk())
    check_refused(show(resigned(HONEST, jwk=other)), 3, "SignatureInvalid")


@pytest.mark.parametrize("signature", ["", "AAAA", "A" * 86, "_" * 86, "A" * 10_000])
def test_c17_numbers_that_no_signature_has_are_refused(show: Show, signature: str) -> None:
    end = show(resigned(HONEST, signature=signature))
    assert end.code in (1, 3)
    check_refused(end, end.code)


@pytest.mark.parametrize("chain", [["AAAA"], ["!"], [""], ["AAAA" * 100_000]], ids=lambda chain: chain[0][:4])
def test_c17_a_broken_chain_is_refused_though_a_key_is_there(show: Show, chain: list[str]) -> None:
    check_refused(show(resigned(HONEST, x5c=chain)), 1, "InvalidManifest")


def test_c17_the_signature_of_another_manifest_is_refused(show: Show) -> None:
    other = signed(content=payload("2"))
    grafted = HONEST[: HONEST.rindex(b'"signatures"')] + other[other.rindex(b'"signatures"') :]
    check_refused(show(grafted), 3, "SignatureInvalid")
    check_refused(show(grafted, "--digest", str(Digest.of(payload()))), 3, "SignatureInvalid")


@pytest.mark.parametrize("place", [0, 1])
def test_c17_every_signature_must_hold(show: Show, place: int) -> None:
    both = signed(ec_key(), rsa_key())
    wrong = json.loads(both)["signatures"][1 - place]["signature"]
    check_refused(show(resigned(both, place, signature=wrong)), 3, "SignatureInvalid")


@pytest.mark.parametrize("count", [0, MAX_SIGNATURES + 1, 10_000])
def test_c17_no_signatures_and_very_many_are_refused(show: Show, count: int) -> None:
    one = json.loads(HONEST)["signatures"][0]
    check_refused(show(relisted(HONEST, [one] * count)), 1, "InvalidManifest")


def test_c17_a_second_list_of_signatures_is_refused(show: Show) -> None:
    check_refused(show(HONEST[: HONEST.rindex(b"}")] + b',"signatures":[]}'), 1, "InvalidManifest")


# -- C18, C19: layers and history ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ((text("a", "x"),), "Invalid parent ID in the base layer"),
        ((text("b", "x"), text("a")), "Invalid parent ID. Expected"),
        ((text("a", "a"), text("a", "a")), "Invalid parent ID in the base layer"),
        ((text("a", "b"), text("b", "a"), text("a")), "appears multiple times"),
        ((text("a", "b"), text("b", "c"), text("c", "a"), text("a")), "appears multiple times"),
        ((b'{"id":"short"}',), "invalidimageid"),
        ((b"no json",), "invalid character"),
    ],
)
def test_c18_layers_that_are_no_chain_are_refused(show: Show, texts: Sequence[bytes], says: str) -> None:
    for raw in (history(*texts), signed(content=history(*texts))):
        end = show(raw)
        check_refused(end, 1, "InvalidManifest")
        assert says in end.err


@pytest.mark.parametrize(
    "changes",
    [{"fsLayers": []}, {"fsLayers": [], "history": []}, {"fsLayers": [{"blobSum": BLOB}]}, {"history": None}],
)
def test_c18_c19_layers_and_history_must_pair_up_and_be_there(show: Show, changes: dict[str, object]) -> None:
    check_refused(show(json.dumps(json.loads(payload()) | changes).encode()), 1, "InvalidManifest")


def test_c19_a_layer_marked_as_throwaway_is_a_layer_like_any_other(show: Show) -> None:
    end = show(history(text("b", "a", throwaway=True), text("a", throwaway=True)))
    assert len(values(end, "layer")) == 2
    assert values(end, "legacy") == [name_of("b"), name_of("a")]
    assert values(end, "strong")[1] != BASE.strong_id  # the mark is content, and hashed
