"""Numbers and times as Go 1.5 read them from tar headers and PAX records (LEGACY.md a.4).

ValueError where it failed.
"""

import re
from typing import Final

from puller.stream.tarfield import INT64

_DECIMAL: Final = re.compile(rb"[+-]?[0-9]+")
_OCTAL: Final = re.compile(rb"[0-7]+")
_NANOSECOND_DIGITS: Final = 9


def wrap64(value: int) -> int:
    """`value` as a signed 64-bit integer keeps it."""
    return (value + INT64) % (2 * INT64) - INT64


def header_number(field: bytes) -> int:
    """A numeric field: base-256 without any sign, or octal between spaces and NULs; empty: 0. Raises ValueError."""
    digits = field.strip(b" \0")
    if not digits.isdigit():
        if not digits:
            return 0
        if field[0] & 0x80:
            return wrap64(int.from_bytes(field, "big") & ~(1 << (8 * len(field) - 1)))
        digits = digits.partition(b"\0")[0]
        if not _OCTAL.fullmatch(digits):
            raise ValueError("no octal number")
    return int(digits, 8)


def parse_int(value: bytes) -> int:
    """strconv.ParseInt in base 10: one sign allowed, 64 bits. Raises ValueError."""
    if not _DECIMAL.fullmatch(value):
        raise ValueError("no decimal number")
    number = int(value) if len(value) < 4000 else INT64  # int() refuses to read more than 4,300 digits
    if not -INT64 <= number < INT64:
        raise ValueError("value out of range")
    return number


def parse_time(value: bytes) -> int:
    """A PAX time in nanoseconds. The digits behind the dot are added even to negative seconds, sign and all."""
    seconds, dot, fraction = value.partition(b".")
    nanoseconds = parse_int(fraction[:_NANOSECOND_DIGITS].ljust(_NANOSECOND_DIGITS, b"0")) if dot else 0
    return parse_int(seconds) * 10**_NANOSECOND_DIGITS + nanoseconds


def unix_seconds(mtime: int) -> int:
    """Whole seconds of a time in nanoseconds, rounded down."""
    return wrap64(mtime // 10**_NANOSECOND_DIGITS)
