"""Versions as Docker's pkg/version compared them: numbers between dots, and 0 for whatever is no number (b.5)."""

import re
from itertools import zip_longest
from typing import Final

_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**63 - 1
_LONGEST: Final = 20  # significant digits of an int64 and one more: beyond it only the sign counts


def compare(one: str, other: str) -> int:
    """-1, 0 or 1. `1.8.3-rc1` is less than `1.8.3`, as its last part is no number."""
    for a, b in zip_longest(map(_part, one.split(".")), map(_part, other.split(".")), fillvalue=0):
        if a != b:
            return 1 if a > b else -1
    return 0


def _part(text: str) -> int:
    """strconv.Atoi with its error ignored: out of range it gives the nearest int64."""
    if text.isascii() and text.isdigit() and len(text) < _LONGEST - 1:
        return int(text)
    if not _NUMBER.fullmatch(text):
        return 0
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").lstrip("0")
    value = sign * (int(digits or "0") if len(digits) <= _LONGEST else _HIGHEST + 1)
    return min(max(value, _LOWEST), _HIGHEST)
