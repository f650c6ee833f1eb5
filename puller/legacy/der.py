"""The little DER that a key ID is the hash of: SubjectPublicKeyInfo (RFC 5280, 4.1; RFC 5480; RFC 3279, 2.3.1)."""

from typing import Final

_INTEGER, _BIT_STRING, _NULL, _OID, _SEQUENCE = 0x02, 0x03, 0x05, 0x06, 0x30
_EC_PUBLIC_KEY: Final = bytes.fromhex("2a8648ce3d0201")
_RSA_ENCRYPTION: Final = bytes.fromhex("2a864886f70d010101")
CURVE_OIDS: Final = {
    "P-256": bytes.fromhex("2a8648ce3d030107"),
    "P-384": bytes.fromhex("2b81040022"),
    "P-521": bytes.fromhex("2b81040023"),
}


def ec_key(curve: str, x: bytes, y: bytes) -> bytes:
    """An uncompressed point; whether it is on the curve is not asked."""
    algorithm = _sequence(_tlv(_OID, _EC_PUBLIC_KEY), _tlv(_OID, CURVE_OIDS[curve]))
    return _sequence(algorithm, _tlv(_BIT_STRING, b"\0\x04" + x + y))


def rsa_key(modulus: int, exponent: int) -> bytes:
    """An RSA key's modulus and exponent."""
    algorithm = _sequence(_tlv(_OID, _RSA_ENCRYPTION), _tlv(_NULL, b""))
    return _sequence(algorithm, _tlv(_BIT_STRING, b"\0" + _sequence(_integer(modulus), _integer(exponent))))


def _integer(value: int) -> bytes:
    # One byte more than the bits need where the first bit is set: it is the sign.
    return _tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _sequence(*parts: bytes) -> bytes:
    return _tlv(_SEQUENCE, b"".join(parts))


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content
