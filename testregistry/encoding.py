"""Content codings of HTTP, as far as the standard library can make them."""

from __future__ import annotations

import gzip
import zlib


def encode(raw: bytes, coding: str) -> bytes:
    """Apply codings in the order of a Content-Encoding header; an unknown one leaves the bytes as they are."""
    for name in (part.strip().lower() for part in coding.split(",")):
        if name in ("gzip", "x-gzip"):
            raw = gzip.compress(raw, mtime=0)
        elif name == "deflate":
            raw = zlib.compress(raw)
    return raw
