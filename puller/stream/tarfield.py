"""The fields of a 512-byte tar header block: where they lie, how numbers and strings are written.

What both dialects agree on; where they differ, each has its own.

Sources: POSIX.1-1988 ustar (pax, "ustar Interchange Format"), GNU tar manual "Basic Tar Format", star(5).
"""

import struct
from collections.abc import Callable
from typing import Final, TypeVar
from zlib import adler32

BLOCK: Final = 512
ZERO_BLOCK: Final = bytes(BLOCK)
INT64: Final = 2**63
_MOST_REMEMBERED: Final = 8192

_T = TypeVar("_T")

# name mode uid gid size mtime chksum typeflag linkname magic+version uname gname devmajor devminor prefix(155)
HEADER: Final = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")

POSIX_MAGIC: Final = b"ustar\0"  # any version bytes follow
GNU_MAGIC: Final = b"ustar  \0"
STAR_MAGIC: Final = b"tar\0"  # in the last four bytes of a POSIX header
STAR_PREFIX: Final = 131  # star keeps atime and ctime behind a shorter prefix


def padding(size: int) -> int:
    """Bytes that fill `size` up to a whole block."""
    return -size % BLOCK


def text(field: bytes) -> bytes:
    """A string field: up to the first NUL, or all of it."""
    return field.partition(b"\0")[0]


def checksum_total(field: bytes, value: int) -> int:
    """What all bytes of a block add up to when its checksum `field`, which reads as `value`, is right."""
    # The field itself was counted as eight spaces.
    return value + sum(field) - 8 * 32


def total_matches(block: bytes, total: int) -> bool:
    """Whether the bytes of `block` add up to `total`, taken unsigned as POSIX wants, or signed as old writers did."""
    # The low half of Adler-32 is 1 + the sum, modulo 65521, and ten times as fast as sum(). ASCII never reaches 65521.
    if block.isascii():
        return adler32(block) & 0xFFFF == total + 1
    unsigned = sum(block)
    return total in (unsigned, unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:]))


def base256(field: bytes) -> int:
    """A binary number: two's complement, big-endian, the highest bit of the first byte set only as a mark."""
    value = int.from_bytes(field, "big") & ~(1 << (8 * len(field) - 1))
    negative = field[0] & 0x40
    return value - (1 << (8 * len(field) - 1)) if negative else value


class Remembered(dict[bytes, _T]):
    """Remembers what fields mean: modes, owners and times recur from entry to entry."""

    def __init__(self, meaning: Callable[[bytes], _T]) -> None:
        self._meaning = meaning

    def __missing__(self, field: bytes) -> _T:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        value = self[field] = self._meaning(field)
        return value
