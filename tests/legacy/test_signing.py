"""Signing: documents that read back, whatever the key; and keys that give nothing of themselves away."""

import datetime
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from puller.errors import InvalidManifest
from puller.legacy import joseb64
from puller.legacy.jws import PrettySignature
from puller.legacy.schema1 import parse_signed_manifest
from puller.legacy.signing import Signer, SigningKey, sign
from tests.legacy.signers import AT, ec_key, payload, rsa_key, signed
from tests.legacy.test_keys import certificate

ALL = [ec_key("P-256"), ec_key("P-384"), ec_key("P-521"), rsa_key()]
NAMES = ["P-256", "P-384", "P-521", "RSA"]
LAYOUTS = [payload(), b'{"a":1}', b'{\n\t"a": 1\n}\n', b'{"a": "}"}  ']


@pytest.mark.parametrize("content", LAYOUTS, ids=repr)
@pytest.mark.parametrize("key", ALL, ids=NAMES)
def test_what_is_signed_reads_back_and_verifies(key: SigningKey, content: bytes) -> None:
    found = PrettySignature.parse(signed(key, content=content))
    assert found.payload == content
    assert found.verify() == (key.public,)


def test_a_signed_manifest_is_a_manifest_by_its_signers() -> None:
    found = parse_signed_manifest(signed(*ALL), require_signature=True)
    assert found.payload == payload()
    assert sorted(found.key_ids) == sorted(key.public.key_id for key in ALL)
    assert found.ignored == ()


def test_signatures_stand_in_the_order_of_their_keys() -> None:
    names = [block["header"]["jwk"]["kid"] for block in json.loads(signed(*ALL))["signatures"]]
    assert names == sorted(names)
    assert signed(*ALL[:3]) == signed(*reversed(ALL[:3]))


def test_what_is_claimed_of_the_time_is_the_time_given_in_utc() -> None:
    east = AT.astimezone(datetime.timezone(datetime.timedelta(hours=5)))
    for moment in (AT, east):
        raw = sign(payload(), [Signer(ec_key())], at=moment)
        header = json.loads(joseb64.decode(json.loads(raw)["signatures"][0]["protected"]))
        assert header["time"] == "2015-10-12T01:02:03Z"
        assert list(header) == ["formatLength", "formatTail", "time"]
    with pytest.raises(ValueError, match="without a zone"):
        sign(payload(), [Signer(ec_key())], at=AT.replace(tzinfo=None))


def test_a_chain_of_certificates_stands_for_the_key() -> None:
    for key in (ec_key(), rsa_key()):
        raw = sign(payload(), [Signer(key, chain=(certificate(key.private), b"an issuer's"))], at=AT)
        header = json.loads(raw)["signatures"][0]["header"]
        assert list(header) == ["alg", "x5c"]
        assert len(header["x5c"]) == 2
        assert PrettySignature.parse(raw).verify() == (key.public,)


def test_a_chain_of_another_key_is_not_signed_with() -> None:
    with pytest.raises(InvalidManifest, match="another key's"):
        sign(payload(), [Signer(ec_key(), chain=(certificate(ec_key(secret=99).private),))], at=AT)


def test_nobody_signs_nothing() -> None:
    with pytest.raises(InvalidManifest, match="nobody"):
        sign(payload(), [], at=AT)


def test_an_algorithm_can_be_chosen_where_there_is_a_choice() -> None:
    raw = sign(payload(), [Signer(rsa_key(), "RS512")], at=AT)
    assert json.loads(raw)["signatures"][0]["header"]["alg"] == "RS512"
    assert PrettySignature.parse(raw).verify()
    for key, algorithm in ((rsa_key(), "ES256"), (rsa_key(), "PS256"), (ec_key(), "ES384"), (ec_key(), "RS256")):
        with pytest.raises(ValueError, match="only"):
            key.sign(b"", algorithm)


def test_a_curve_signs_the_same_the_same_way() -> None:
    assert ec_key().sign(b"content") == ec_key().sign(b"content")
    assert ec_key().sign(b"content") != ec_key().sign(b"other")


@pytest.mark.parametrize("key", ALL, ids=NAMES)
def test_a_private_key_is_kept_and_read_back(key: SigningKey) -> None:
    read = SigningKey.parse(key.jwk())
    assert read.public == key.public
    assert read.jwk() == key.jwk()
    algorithm, signature = read.sign(b"content")
    key.public.verify(algorithm, signature, b"content")


def test_a_private_key_shows_its_id_only() -> None:
    secret = json.loads(ec_key().jwk())["d"]
    assert repr(ec_key()) == f"SigningKey({ec_key().public.key_id})"
    assert secret not in repr(Signer(ec_key()))


@pytest.mark.parametrize("secret", [None, 5, "", "A", "AAAA", "_" * 43])
@pytest.mark.parametrize("name", ["ec", "rsa"])
def test_a_private_key_that_is_not_whole_is_refused_without_showing_it(name: str, secret: object) -> None:
    document = json.loads((ec_key() if name == "ec" else rsa_key()).jwk())
    document["d"] = secret
    with pytest.raises(InvalidManifest) as caught:
        SigningKey.parse(json.dumps(document).encode())
    assert not secret or not isinstance(secret, str) or len(secret) < 4 or secret not in str(caught.value)


def test_the_private_numbers_of_another_key_are_refused() -> None:
    document = json.loads(ec_key().jwk()) | {"d": json.loads(ec_key(secret=99).jwk())["d"]}
    with pytest.raises(InvalidManifest, match="no valid private key"):
        SigningKey.parse(json.dumps(document).encode())


def test_a_curve_that_libtrust_has_not_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="curve signs no manifests"):
        SigningKey.of(ec.derive_private_key(7, ec.SECP256K1()))
