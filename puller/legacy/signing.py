"""SigningKey: a private key of libtrust, and the manifests it signs (LEGACY.md c.4).

Keys are made and kept elsewhere: here is neither chance nor a file.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from puller.errors import InvalidManifest
from puller.legacy import joseb64, jws
from puller.legacy.gojson import Number, Pairs, encode_object, load, load_members
from puller.legacy.keys import (
    COORDINATE_SIZE,
    EC_ALGORITHMS,
    RSA_ALGORITHMS,
    ECPublicKey,
    PublicKey,
    RSAPublicKey,
    curve_of,
    hash_of,
    of_ec_point,
    parse_certificate,
    parse_jwk,
)  # fmt: skip
from puller.model.gostring import quote

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_RSA_NUMBERS = ("d", "p", "q", "dp", "dq", "qi")


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private key; what it shows of itself is its ID."""

    public: PublicKey
    private: "EllipticCurvePrivateKey | RSAPrivateKey"

    @classmethod
    def of(cls, private: "EllipticCurvePrivateKey | RSAPrivateKey") -> Self:
        """The key of a private key of `cryptography`. Raises InvalidManifest for a curve that libtrust has not."""
        from cryptography.hazmat.primitives.asymmetric import rsa

        if isinstance(private, rsa.RSAPrivateKey):
            numbers = private.public_key().public_numbers()
            return cls(RSAPublicKey(numbers.n, numbers.e), private)
        return cls(of_ec_point(private.public_key().public_numbers()), private)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """From a private JWK, as the `key.json` of Docker. Raises InvalidManifest; no text of the key is in it."""
        node = load(raw)
        public = parse_jwk(node)
        secret = dict(node) if isinstance(node, Pairs) else {}
        numbers = {}
        for name in ("d",) if isinstance(public, ECPublicKey) else _RSA_NUMBERS:
            text = secret.get(name)
            if not isinstance(text, str) or isinstance(text, Number):
                raise InvalidManifest("no private key", where=name)
            numbers[name] = int.from_bytes(joseb64.decode(text), "big")
        try:
            return cls(public, _private(public, numbers))
        except ValueError:
            raise InvalidManifest("no valid private key") from None

    def __repr__(self) -> str:
        return f"SigningKey({self.public.key_id})"

    def jwk(self) -> bytes:
        """The private key as libtrust kept it in `key.json`."""
        from cryptography.hazmat.primitives.asymmetric import rsa

        fields = {m.key: m.text for m in load_members(self.public.jwk()) or ()}
        if isinstance(self.private, rsa.RSAPrivateKey):
            own = self.private.private_numbers()
            secret = (own.d, own.p, own.q, own.dmp1, own.dmq1, own.iqmp)
            texts = {n: _minimal(value) for n, value in zip(_RSA_NUMBERS, secret, strict=True)}
        else:
            assert isinstance(self.public, ECPublicKey)
            size = COORDINATE_SIZE[self.public.curve]
            texts = {"d": self.private.private_numbers().private_value.to_bytes(size, "big")}
        return encode_object(fields | {name: quote(joseb64.encode(value)) for name, value in texts.items()})

    def sign(self, content: bytes, algorithm: str | None = None) -> tuple[str, bytes]:
        """Algorithm and signature. A curve has one algorithm, RSA three: `algorithm` chooses, else RS256.

        EC signatures are deterministic (RFC 6979). Raises ValueError for an algorithm the key has not.
        """
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

        chosen = algorithm or (EC_ALGORITHMS[self.public.curve] if isinstance(self.public, ECPublicKey) else "RS256")
        if isinstance(self.private, rsa.RSAPrivateKey):
            if chosen not in RSA_ALGORITHMS:
                raise ValueError(f"RSA signs by {', '.join(RSA_ALGORITHMS)} only")
            return chosen, self.private.sign(content, padding.PKCS1v15(), hash_of(chosen))
        assert isinstance(self.public, ECPublicKey)
        if chosen != EC_ALGORITHMS[self.public.curve]:
            raise ValueError(f"{self.public.curve} signs by {EC_ALGORITHMS[self.public.curve]} only")
        encoded = self.private.sign(content, ec.ECDSA(hash_of(chosen), deterministic_signing=True))
        size = COORDINATE_SIZE[self.public.curve]
        return chosen, b"".join(number.to_bytes(size, "big") for number in utils.decode_dss_signature(encoded))


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs: a key, the algorithm it is to use, and instead of the bare key a chain of certificates in DER."""

    key: SigningKey
    algorithm: str | None = None
    chain: tuple[bytes, ...] = ()


def sign(payload: bytes, signers: Sequence[Signer], *, at: datetime) -> bytes:
    """The document with the signatures of all `signers` in it; `at`, which must know its zone, is what they claim.

    Raises InvalidManifest for what is no object of JSON, for nobody to sign, and for a chain whose first certificate is
    another key's.
    """
    if not signers:
        raise InvalidManifest("nobody to sign")
    protected = _protected(payload, at)
    signed = f"{protected}.{joseb64.encode(payload)}".encode()
    found = []
    for signer in signers:
        if signer.chain and parse_certificate(signer.chain[0]) != signer.key.public:
            raise InvalidManifest("certificate is another key's", wanted=signer.key.public.key_id)
        algorithm, signature = signer.key.sign(signed, signer.algorithm)
        chain = [_standard(certificate) for certificate in signer.chain]
        key = None if chain else signer.key.public
        block = jws.block(algorithm, key, chain, signature, protected)
        found.append((signer.key.public.key_id, joseb64.encode(signature), block))
    return jws.assemble(payload, [block for *_, block in sorted(found)])


def _protected(payload: bytes, at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    length = jws.format_length(payload)
    tail = joseb64.encode(payload[length:])
    time = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    header = {"formatLength": b"%d" % length, "formatTail": quote(tail), "time": quote(time)}
    return joseb64.encode(encode_object(header))


def _private(public: PublicKey, numbers: dict[str, int]) -> "EllipticCurvePrivateKey | RSAPrivateKey":
    """Raises ValueError where the private numbers do not belong to the public ones."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(public, ECPublicKey):
        private = ec.derive_private_key(numbers["d"], curve_of(public.curve))
        if of_ec_point(private.public_key().public_numbers()) != public:
            raise ValueError("another key's")
        return private
    own = rsa.RSAPrivateNumbers(
        p=numbers["p"], q=numbers["q"], d=numbers["d"], dmp1=numbers["dp"], dmq1=numbers["dq"], iqmp=numbers["qi"],
        public_numbers=rsa.RSAPublicNumbers(public.e, public.n),
    )  # fmt: skip
    return own.private_key()


def _standard(certificate: bytes) -> str:
    return base64.b64encode(certificate).decode("ascii")


def _minimal(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
