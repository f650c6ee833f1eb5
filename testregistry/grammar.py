"""What names, tags and digests look like, and how a digest is computed: the registry's own reading of the grammar."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

# distribution-spec 1.1, "Pulling manifests". Always used with fullmatch: `$` would let a newline pass.
_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# image-spec "Digests": the shape of any digest, and the two algorithms registered there.
_HEX_LENGTH = {"sha256": 64, "sha512": 128}
# What registries of 2014 and 2015 also named blobs by; the sum itself is nothing this registry can compute.
_TARSUM = re.compile(r"tarsum(\.v1|\.dev)?\+(?P<algorithm>sha256|sha512):(?P<digits>[a-fA-F0-9]+)")
NAME_LIMIT = 255


def is_name(text: str) -> bool:
    """Tell whether this is a repository name of at most 255 characters."""
    return len(text) <= NAME_LIMIT and _NAME.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Tell whether this is a tag."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Tell whether this is a sha256 or sha512 digest, in lower case and of the right length."""
    algorithm, _, digits = text.partition(":")
    wanted = _HEX_LENGTH.get(algorithm)
    return wanted is not None and re.fullmatch(rf"[a-f0-9]{{{wanted}}}", digits) is not None


def is_blob_name(text: str) -> bool:
    """Tell whether a blob may go by this name: a digest, or a tarsum label of the old registries."""
    match = _TARSUM.fullmatch(text)
    return is_digest(text) if match is None else len(match["digits"]) == _HEX_LENGTH[match["algorithm"]]


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of these bytes, `algorithm:hex`."""
    return digest_of_chunks([data], algorithm)


def digest_of_chunks(chunks: Iterable[bytes], algorithm: str = "sha256") -> str:
    """Return the digest of a stream of chunks, without holding it."""
    hasher = hashlib.new(algorithm)
    for chunk in chunks:
        hasher.update(chunk)
    return f"{algorithm}:{hasher.hexdigest()}"
