"""Byte ranges and conditions of GET: RFC 9110 sections 13 and 14, single ranges only. Text in, values out."""

from __future__ import annotations

import re
from collections.abc import Mapping

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_ETAG = re.compile(r'(?:W/)?"([^"]*)"')


class Unsatisfiable(Exception):
    """The range begins behind the end (RFC 9110 15.5.17)."""


def parse_range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return first byte and the byte after the last; None where the header is to be ignored.

    RFC 9110 14.2 lets a server ignore other units, several ranges and nonsense, and reject a range that runs backwards:
    the conformance suite of the distribution-spec wants 416 for that. Raises Unsatisfiable.
    """
    match = None if text is None else _RANGE.fullmatch(text.strip())
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if first == "":
        suffix = int(last)
        if suffix == 0 or size == 0:
            raise Unsatisfiable
        return max(size - suffix, 0), size
    start = int(first)
    if start >= size or (last != "" and int(last) < start):
        raise Unsatisfiable
    return start, size if last == "" else min(int(last) + 1, size)


def is_match(header: str, etag: str) -> bool:
    """Tell whether an If-Match or If-None-Match list names this tag (weak comparison, or `*`)."""
    return header.strip() == "*" or etag.strip('"') in _ETAG.findall(header)


def wanted_range(headers: Mapping[str, str], etag: str) -> str | None:
    """Return the Range header unless its If-Range names other content (RFC 9110 13.1.5: strong comparison)."""
    condition = headers.get("If-Range")
    if condition is not None and condition.strip() != etag:
        return None
    return headers.get("Range")
