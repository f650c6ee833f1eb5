"""Keys: their IDs, their JWK, what they verify and what they refuse."""

import datetime
import subprocess
import sys
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from puller.errors import InvalidManifest, SignatureInvalid
from puller.legacy.gojson import load
from puller.legacy.keys import ECPublicKey, PublicKey, RSAPublicKey, key_id, parse_certificate, parse_jwk
from puller.legacy.signing import SigningKey
from tests.legacy.golden import recorded
from tests.legacy.signers import ec_key, rsa_key

KEYS: dict[str, dict[str, str]] = recorded("schema1")["keys"]
CONTENT = b"what is signed"

KINDS = ["P-256", "P-384", "P-521", "RSA"]


def parsed(text: str) -> PublicKey:
    return parse_jwk(load(text.encode()))


def refusal(text: str) -> str:
    with pytest.raises(InvalidManifest) as caught:
        parsed(text)
    return caught.value.what.removesuffix("\n")


@pytest.mark.parametrize("name", KEYS)
def test_ids_and_jwk_are_those_recorded_of_the_original(name: str) -> None:
    key = parsed(KEYS[name]["public_jwk"])
    assert key.key_id == KEYS[name]["kid"]
    assert key.jwk().decode() == KEYS[name]["public_jwk"]


@pytest.mark.parametrize("key", [ec_key("P-256"), ec_key("P-384"), ec_key("P-521"), rsa_key()], ids=KINDS)
def test_an_id_is_the_hash_of_the_key_as_openssl_writes_it(key: SigningKey) -> None:
    spki = key.private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert key.public.key_id == key_id(spki)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kty": None}, 'JWK Public Key type: "kty" value not specified'),
        ({"kty": 1}, 'JWK Public Key type: "kty" value must be a string'),
        ({"kty": '"oct"'}, 'JWK Public Key type not supported: "oct"'),
        ({"crv": None}, 'JWK EC Public Key curve identifier: "crv" value not specified'),
        ({"crv": '"P-224"'}, 'JWK EC Public Key curve identifier not supported: "P-224"'),
        ({"x": '"AQID"'}, "JWK EC Public Key x-coordinate: invalid number of octets: got 3, should be 32"),
        ({"y": '"A"'}, "JWK EC Public Key y-coordinate: illegal base64url string"),
        ({"y": '"!!!!"'}, "JWK EC Public Key y-coordinate: illegal base64 data at input byte 0"),
        ({"kid": '"AAAA:BBBB"'}, "JWK EC Public Key ID does not match: AAAA:BBBB"),
        ({"kid": "null"}, 'JWK EC Public Key ID: "kid" value must be a string'),
    ],
)
def test_c17_a_key_that_is_not_whole_or_not_its_own_name_is_refused(changes: dict[str, Any], expected: str) -> None:
    fields = {"kty": '"EC"', "crv": '"P-256"', "x": f'"{"AQEB" * 10}AQE"', "y": f'"{"AQEB" * 10}AQE"'} | changes
    members = ",".join(f'"{key}":{value}' for key, value in fields.items() if value is not None)
    assert refusal(f"{{{members}}}") == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('"n":"AQAB"', 'JWK RSA Public Key exponent: "e" value not specified'),
        ('"e":"AQAB"', 'JWK RSA Public Key modulus: "n" value not specified'),
        ('"n":"AQAB","e":"AQABAQAB"', "JWK RSA Public Key exponent is too long"),
        (f'"n":"{"A" * 2800}","e":"AQAB","kid":"x"', "JWK RSA Public Key ID does not match: x"),
        (f'"n":"{"z" * 2800}","e":"AQAB"', "RSA modulus is too long"),
    ],
)
def test_c17_an_rsa_key_has_bounds(fields: str, expected: str) -> None:
    assert refusal(f'{{"kty":"RSA",{fields}}}') == expected


def test_what_is_no_object_is_no_key() -> None:
    assert refusal("[]").startswith("decoding JWK Public Key JSON data: json: cannot unmarshal array")


@pytest.mark.parametrize("key", [ec_key("P-256"), ec_key("P-384"), ec_key("P-521"), rsa_key()], ids=KINDS)
def test_what_is_signed_verifies_and_nothing_else_does(key: SigningKey) -> None:
    algorithm, signature = key.sign(CONTENT)
    key.public.verify(algorithm, signature, CONTENT)
    with pytest.raises(SignatureInvalid):
        key.public.verify(algorithm, signature, CONTENT + b"!")
    with pytest.raises(SignatureInvalid):
        key.public.verify(algorithm, signature[:-1] + bytes([signature[-1] ^ 1]), CONTENT)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "ES512", "RS256", "PS256", "es256", ""])
def test_c17_a_curve_has_one_algorithm(algorithm: str) -> None:
    _, signature = ec_key().sign(CONTENT)
    with pytest.raises(SignatureInvalid, match="does not support signature algorithm"):
        ec_key().public.verify(algorithm, signature, CONTENT)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256", "PS256", "RS1", "RS224", ""])
def test_c17_rsa_has_three_algorithms(algorithm: str) -> None:
    _, signature = rsa_key().sign(CONTENT)
    with pytest.raises(SignatureInvalid, match="not supported"):
        rsa_key().public.verify(algorithm, signature, CONTENT)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_rsa_signs_by_each_of_its_algorithms_and_under_its_name_only(algorithm: str) -> None:
    named, signature = rsa_key().sign(CONTENT, algorithm)
    assert named == algorithm
    rsa_key().public.verify(algorithm, signature, CONTENT)
    for other in {"RS256", "RS384", "RS512"} - {algorithm}:
        with pytest.raises(SignatureInvalid, match="verification error"):
            rsa_key().public.verify(other, signature, CONTENT)


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    ("r", "s"), [(0, 0), (0, 1), (1, 0), (ORDER, 1), (1, ORDER), (2**256 - 1, 2**256 - 1)], ids=lambda n: f"{n:.3g}"
)
def test_c17_numbers_that_no_signature_has_are_refused(r: int, s: int) -> None:
    with pytest.raises(SignatureInvalid, match="invalid signature"):
        ec_key().public.verify("ES256", r.to_bytes(32, "big") + s.to_bytes(32, "big"), CONTENT)


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_c17_a_signature_has_the_length_of_its_curve(length: int) -> None:
    with pytest.raises(SignatureInvalid, match=f"is {length} octets long, should be 64"):
        ec_key().public.verify("ES256", bytes(length), CONTENT)


def test_c17_a_high_s_is_accepted_as_the_original_accepted_it() -> None:
    # It proves as much; only the bytes of a signature are not unique, and no name is made of them.
    _, signature = ec_key().sign(CONTENT)
    high = ORDER - int.from_bytes(signature[32:], "big")
    ec_key().public.verify("ES256", signature[:32] + high.to_bytes(32, "big"), CONTENT)


def test_c17_a_point_off_the_curve_signs_nothing() -> None:
    key = ECPublicKey("P-256", b"\1" * 32, b"\1" * 32)
    assert len(key.key_id) == 59
    with pytest.raises(SignatureInvalid, match="invalid signature"):
        key.verify("ES256", b"\1" * 64, CONTENT)


@pytest.mark.parametrize("key", [RSAPublicKey(0, 0), RSAPublicKey(1, 1), RSAPublicKey(2**512 - 1, 3)], ids=repr)
def test_c17_numbers_that_no_rsa_key_has_sign_nothing(key: RSAPublicKey) -> None:
    with pytest.raises(SignatureInvalid, match="verification error"):
        key.verify("RS256", b"\1" * 64, CONTENT)


Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def certificate(key: Private) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    start = datetime.datetime(2015, 10, 12, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, start, start + datetime.timedelta(days=1))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("key", [ec_key("P-384"), rsa_key()], ids=["P-384", "RSA"])
def test_a_certificate_gives_its_key_whatever_else_it_says(key: SigningKey) -> None:
    assert parse_certificate(certificate(key.private)) == key.public


@pytest.mark.parametrize("encoded", [b"", b"0", b"\x30\x82\xff\xff", bytes(1000)])
def test_c17_what_is_no_certificate_is_refused(encoded: bytes) -> None:
    with pytest.raises(InvalidManifest, match="malformed certificate"):
        parse_certificate(encoded)


def test_c17_a_certificate_of_another_kind_of_key_is_refused() -> None:
    other = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(InvalidManifest, match="no kind that signs"):
        parse_certificate(certificate(other))
    with pytest.raises(InvalidManifest, match="curve signs no manifests"):
        parse_certificate(certificate(ec.derive_private_key(7, ec.SECP256K1())))


def test_reading_and_naming_keys_does_not_wait_for_the_mathematics() -> None:
    script = (
        "import sys; from puller.legacy import keys, jws, schema1, signing, schema1compat, judge; "
        "keys.ECPublicKey('P-256', bytes(32), bytes(32)).key_id; print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
