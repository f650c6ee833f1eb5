"""PublicKey: the keys of libtrust, as JWK and by key ID, and what they verify (LEGACY.md c.4; RFC 7517, RFC 7518).

A key that a message brings along proves that the message is whole, never who made it: trust is by key IDs known
beforehand. The mathematics is `cryptography`'s, imported on first use so that nobody else waits for it.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from puller.errors import InvalidManifest, SignatureInvalid
from puller.legacy import der, joseb64
from puller.legacy.gojson import Node, Number, Pairs, encode_object
from puller.legacy.gostruct import mismatch
from puller.legacy.gotext import quoted, shown
from puller.model.gostring import quote

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve, EllipticCurvePublicNumbers
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

COORDINATE_SIZE: Final = {"P-256": 32, "P-384": 48, "P-521": 66}
EC_ALGORITHMS: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512")
_EXPONENT_SIZE: Final = 4  # octets; the original crashed on more
_MODULUS_SIZE: Final = 2048  # octets: beyond it a verification takes long enough to be an attack


@dataclass(frozen=True, slots=True)
class ECPublicKey:
    """A point on one of the three curves, or so it says: `verify` finds out."""

    curve: str
    x: bytes
    y: bytes

    @property
    def key_id(self) -> str:
        return key_id(der.ec_key(self.curve, self.x, self.y))

    def jwk(self) -> bytes:
        """The key as libtrust wrote it."""
        point = {"x": quote(joseb64.encode(self.x)), "y": quote(joseb64.encode(self.y))}
        return encode_object(point | {"crv": quote(self.curve), "kid": quote(self.key_id), "kty": b'"EC"'})

    def verify(self, algorithm: str, signature: bytes, content: bytes) -> None:
        """Raises SignatureInvalid unless `signature` is r and s, each as long as a coordinate, over `content`."""
        if algorithm != EC_ALGORITHMS[self.curve]:
            key = f'EC Public Key with curve "{self.curve}"'
            raise SignatureInvalid(
                f"unable to verify signature: {key} does not support signature algorithm {quoted(algorithm)}"
            )
        size = COORDINATE_SIZE[self.curve]
        if len(signature) != 2 * size:
            raise SignatureInvalid(f"signature length is {len(signature)} octets long, should be {2 * size}")
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        point = ec.EllipticCurvePublicNumbers(
            int.from_bytes(self.x, "big"), int.from_bytes(self.y, "big"), curve_of(self.curve)
        )
        try:
            encoded = utils.encode_dss_signature(r, s)
            point.public_key().verify(encoded, content, ec.ECDSA(hash_of(algorithm)))
        except (InvalidSignature, ValueError) as error:  # ValueError: no point of the curve
            raise SignatureInvalid("invalid signature") from error


@dataclass(frozen=True, slots=True)
class RSAPublicKey:
    """Modulus and exponent."""

    n: int
    e: int

    @property
    def key_id(self) -> str:
        return key_id(der.rsa_key(self.n, self.e))

    def jwk(self) -> bytes:
        """The key as libtrust wrote it."""
        numbers = {"n": quote(joseb64.encode(_octets(self.n))), "e": quote(joseb64.encode(_octets(self.e)))}
        return encode_object(numbers | {"kid": quote(self.key_id), "kty": b'"RSA"'})

    def verify(self, algorithm: str, signature: bytes, content: bytes) -> None:
        """Raises SignatureInvalid unless `signature` is one by PKCS #1 v1.5 over `content`."""
        if algorithm not in RSA_ALGORITHMS:
            name = f"RSA Digital Signature Algorithm {quoted(algorithm)}"
            raise SignatureInvalid(f"unable to verify Signature: {name} not supported")
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        try:
            key = rsa.RSAPublicNumbers(self.e, self.n).public_key()
            key.verify(signature, content, padding.PKCS1v15(), hash_of(algorithm))
        except (InvalidSignature, ValueError) as error:  # ValueError: no RSA key, or one too short to mean anything
            raise SignatureInvalid(f"invalid {algorithm} signature: crypto/rsa: verification error") from error


PublicKey: TypeAlias = ECPublicKey | RSAPublicKey


def key_id(spki: bytes) -> str:
    """The name of a key by its SubjectPublicKeyInfo: 240 bits of its sha256, base32 in twelve groups of four."""
    text = base64.b32encode(hashlib.sha256(spki).digest()[:30]).decode("ascii")
    return ":".join(text[at : at + 4] for at in range(0, len(text), 4))


def parse_jwk(node: Node) -> PublicKey:
    """A public key from decoded JSON. Raises InvalidManifest in libtrust's words, also where `kid` is not its ID."""
    if node is not None and not isinstance(node, Pairs):
        found = mismatch(node, "map[string]interface {}")
        raise InvalidManifest(f"decoding JWK Public Key JSON data: {found}\n")
    jwk = dict(node or ())
    kind = _text(jwk, "kty", "JWK Public Key type")
    if kind == "EC":
        return _named(_ec_key(jwk), jwk, "EC")
    if kind == "RSA":
        return _named(_rsa_key(jwk), jwk, "RSA")
    raise InvalidManifest(f"JWK Public Key type not supported: {quoted(kind)}\n")


def parse_certificate(encoded: bytes) -> PublicKey:
    """The key of an X.509 certificate in DER; nothing else of it is looked at. Raises InvalidManifest."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = x509.load_der_x509_certificate(encoded).public_key()
    except Exception as error:  # whatever the parser calls it: bytes of a stranger, and none of it is fatal
        raise InvalidManifest("x509: malformed certificate") from error
    if isinstance(key, rsa.RSAPublicKey):
        return _bounded(RSAPublicKey(key.public_numbers().n, key.public_numbers().e))
    if isinstance(key, ec.EllipticCurvePublicKey):
        return of_ec_point(key.public_numbers())
    raise InvalidManifest("certificate's key is of no kind that signs manifests", got=type(key).__name__)


def of_ec_point(point: "EllipticCurvePublicNumbers") -> ECPublicKey:
    """The key of a point of `cryptography`. Raises InvalidManifest for a curve that libtrust has not."""
    name = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}.get(point.curve.name)
    if name is None:
        raise InvalidManifest("curve signs no manifests", got=point.curve.name)
    size = COORDINATE_SIZE[name]
    return ECPublicKey(name, point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big"))


def curve_of(name: str) -> "EllipticCurve":
    """The curve of a JWK's `crv`."""
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[str, EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    return curves[name]


def hash_of(algorithm: str) -> "HashAlgorithm":
    """The hash that a signature algorithm's name ends with."""
    from cryptography.hazmat.primitives import hashes

    known: dict[str, HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
    return known[algorithm[2:]]


def _ec_key(jwk: dict[str, Node]) -> ECPublicKey:
    curve = _text(jwk, "crv", "JWK EC Public Key curve identifier")
    if curve not in COORDINATE_SIZE:
        raise InvalidManifest(f"JWK EC Public Key curve identifier not supported: {quoted(curve)}\n")
    return ECPublicKey(curve, _coordinate(jwk, "x", curve), _coordinate(jwk, "y", curve))


def _coordinate(jwk: dict[str, Node], name: str, curve: str) -> bytes:
    octets = _octets_of(jwk, name, f"JWK EC Public Key {name}-coordinate")
    if len(octets) != COORDINATE_SIZE[curve]:
        found = f"invalid number of octets: got {len(octets)}, should be {COORDINATE_SIZE[curve]}"
        raise InvalidManifest(f"JWK EC Public Key {name}-coordinate: {found}")
    return octets


def _rsa_key(jwk: dict[str, Node]) -> RSAPublicKey:
    modulus = _octets_of(jwk, "n", "JWK RSA Public Key modulus")
    exponent = _octets_of(jwk, "e", "JWK RSA Public Key exponent")
    if len(exponent) > _EXPONENT_SIZE:
        raise InvalidManifest("JWK RSA Public Key exponent is too long", got=f"{len(exponent)} octets")
    return _bounded(RSAPublicKey(int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")))


def _bounded(key: RSAPublicKey) -> RSAPublicKey:
    if key.n.bit_length() > 8 * _MODULUS_SIZE:
        raise InvalidManifest("RSA modulus is too long", wanted=f"at most {8 * _MODULUS_SIZE} bits")
    return key


def _named(key: PublicKey, jwk: dict[str, Node], kind: str) -> PublicKey:
    if "kid" in jwk:
        name = _text(jwk, "kid", f"JWK {kind} Public Key ID")
        if name != key.key_id:
            raise InvalidManifest(f"JWK {kind} Public Key ID does not match: {shown(name)}")
    return key


def _octets_of(jwk: dict[str, Node], name: str, what: str) -> bytes:
    text = _text(jwk, name, what)
    try:
        return joseb64.decode(text)
    except InvalidManifest as error:
        raise InvalidManifest(f"{what}: {error.what}") from error


def _text(jwk: dict[str, Node], name: str, what: str) -> str:
    if name not in jwk:
        raise InvalidManifest(f"{what}: {quoted(name)} value not specified")
    value = jwk[name]
    if not isinstance(value, str) or isinstance(value, Number):
        raise InvalidManifest(f"{what}: {quoted(name)} value must be a string")
    return value


def _octets(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
