"""ECDSA on P-256 with SHA-256, signing only, in plain Python: the same bytes every time, and no dependency.

Follows SEC 1 section 4.1.3 with the deterministic nonce of RFC 6979 section 3.2. Neither fast nor safe against timing:
the keys that sign tests are no secret.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TypeAlias

Point: TypeAlias = tuple[int, int] | None  # None is the point at infinity

# FIPS 186-4 D.1.2.3
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G: Point = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


@dataclass(frozen=True, slots=True)
class Key:
    """A private key, with the public point that goes with it."""

    secret: int
    x: int
    y: int

    @classmethod
    def of_secret(cls, secret: int) -> Key:
        point = _multiply(secret, _G)
        if point is None:
            raise ValueError("the secret is a multiple of the group's order")
        return cls(secret, *point)

    def sign(self, message: bytes) -> bytes:
        """Return r and s, 32 bytes each, big-endian (RFC 7518 3.4)."""
        digest = hashlib.sha256(message).digest()
        nonce = _nonce(self.secret, digest)
        point = _multiply(nonce, _G)
        assert point is not None  # a nonce lies between 1 and the order
        r = point[0] % _N
        s = pow(nonce, -1, _N) * (int.from_bytes(digest, "big") + r * self.secret) % _N
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _add(one: Point, other: Point) -> Point:
    if one is None:
        return other
    if other is None:
        return one
    if one[0] == other[0]:
        if (one[1] + other[1]) % _P == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, _P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P)
    x = (slope * slope - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _multiply(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _add(point, point)
        factor >>= 1
    return total


def _nonce(secret: int, digest: bytes) -> int:
    seed = secret.to_bytes(32, "big") + (int.from_bytes(digest, "big") % _N).to_bytes(32, "big")
    key, value = b"\0" * 32, b"\1" * 32
    for mark in (b"\0", b"\1"):
        key = hmac.digest(key, value + mark + seed, "sha256")
        value = hmac.digest(key, value, "sha256")
    while True:
        value = hmac.digest(key, value, "sha256")
        if 1 <= (nonce := int.from_bytes(value, "big")) < _N:
            return nonce
        key = hmac.digest(key, value + b"\0", "sha256")
        value = hmac.digest(key, value, "sha256")
