"""Serving stored content: ETag, conditions, ranges, digests. Blobs, manifests and the blob host answer through here."""

from __future__ import annotations

from collections.abc import Mapping

from testregistry.answer import Answer
from testregistry.body import Body, length
from testregistry.ranges import Unsatisfiable, is_match, parse_range, wanted_range


def serve_content(
    body: Body, digest: str, media_type: str, headers: Mapping[str, str], *, method: str, ranges: bool = True
) -> Answer:
    """Return 200, 206, 304, 412 or 416 for a GET or HEAD of this content (order of conditions: RFC 9110 13.2.2)."""
    etag = f'"{digest}"'
    common = (
        ("Docker-Content-Digest", digest),
        ("ETag", etag),
        ("Cache-Control", "max-age=31536000" if ranges else "no-cache"),
    )
    if "If-Match" in headers and not is_match(headers["If-Match"], etag):
        return Answer(412, common)
    if "If-None-Match" in headers and is_match(headers["If-None-Match"], etag):
        return Answer(304, common)
    if not ranges:
        return Answer(200, (("Content-Type", media_type), *common), body)
    described = (("Content-Type", media_type), *common, ("Accept-Ranges", "bytes"))
    size = length(body)
    # RFC 9110 14.2: Range is defined for GET alone.
    asked = wanted_range(headers, etag) if method == "GET" else None
    try:
        span = parse_range(asked, size)
    except Unsatisfiable:
        return Answer(416, (*common, ("Content-Range", f"bytes */{size}")))
    if span is None:
        return Answer(200, described, body)
    start, stop = span
    partial = (*described, ("Content-Range", f"bytes {start}-{stop - 1}/{size}"))
    return Answer(206, partial, body.slice(start, stop), offset=start)
