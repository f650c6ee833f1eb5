"""Fixed keys and signed manifests for tests: nothing here depends on chance."""

import datetime
import functools
import json

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from puller.legacy import joseb64
from puller.legacy.schema1 import encode_manifest
from puller.legacy.signing import Signer, SigningKey, sign
from tests.legacy.test_history import BLOB, text

AT = datetime.datetime(2015, 10, 12, 1, 2, 3, tzinfo=datetime.UTC)
CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@functools.cache
def ec_key(curve: str = "P-256", secret: int = 12345) -> SigningKey:
    return SigningKey.of(ec.derive_private_key(secret, CURVES[curve]))


@functools.cache
def rsa_key() -> SigningKey:
    # The one key made by chance: only that what it signs verifies is ever asserted of it.
    return SigningKey.of(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def payload(tag: str = "1") -> bytes:
    return encode_manifest("library/app", tag, "amd64", [BLOB, BLOB], [text("b", "a"), text("a")])


def signed(*keys: SigningKey, content: bytes | None = None) -> bytes:
    return sign(payload() if content is None else content, [Signer(key) for key in keys or (ec_key(),)], at=AT)


def resigned(raw: bytes, place: int = 0, **changes: object) -> bytes:
    """The document with parts of one signature put in place of its own: of `header`, or beside it."""
    document = json.loads(raw)
    block = document["signatures"][place]
    for key, value in changes.items():
        holder = block["header"] if key in ("jwk", "alg", "x5c") else block
        if value is None:
            holder.pop(key, None)
        else:
            holder[key] = value
    return relisted(raw, document["signatures"])


def relisted(raw: bytes, signatures: object) -> bytes:
    """The document with another list of signatures; what is before it stays byte for byte."""
    head = raw[: raw.rindex(b'"signatures"')]
    return head + b'"signatures": ' + json.dumps(signatures).encode() + b"}"


def protected(length: object, tail: str = "\n}") -> str:
    header = {"formatLength": length, "formatTail": joseb64.encode(tail.encode()), "time": "2015-10-12T01:02:03Z"}
    return joseb64.encode(json.dumps(header).encode())
