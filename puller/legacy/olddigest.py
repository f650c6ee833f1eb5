"""Digest texts as distribution's `digest` package took them in October 2015 (LEGACY.md a.7).

Looser than `model.Digest`, and only for what enters hashes or was written by old programs: nothing is fetched or
stored by such a text.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from puller.errors import InvalidDigest
from puller.legacy.gotext import quoted

ALGORITHMS: Final = ("sha256", "sha384", "sha512")
_TARSUM = re.compile(r"(tarsum)(?:.([a-z0-9]+))?\+([a-zA-Z0-9]+):([A-Fa-f0-9]+)", re.ASCII)
_DIGEST = re.compile(r"[a-zA-Z0-9\-_+.]+:[a-fA-F0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class TarsumInfo:
    """The parts of a tarsum text; `version` is empty for the first one."""

    version: str
    algorithm: str
    digest: str

    def __str__(self) -> str:
        return f"tarsum{'.' if self.version else ''}{self.version}+{self.algorithm}:{self.digest}"


def validate(text: str) -> str:
    """The text itself if the original took it for a digest.

    A tarsum is looked for anywhere in the text; of the others neither the length nor the case of the hex counts.
    Raises InvalidDigest in the original's words.
    """
    if _TARSUM.search(text):
        return text
    if not _DIGEST.fullmatch(text):
        raise InvalidDigest("invalid checksum digest format")
    if algorithm(text) not in ALGORITHMS:
        raise InvalidDigest("unsupported digest algorithm")
    return text


def algorithm(text: str) -> str:
    """What stands before the first colon."""
    return text.partition(":")[0]


def hexadecimal(text: str) -> str:
    """What stands after the first colon."""
    return text.partition(":")[2]


def parse_tarsum(text: str) -> TarsumInfo:
    """The first tarsum anywhere in `text`. Raises InvalidDigest."""
    found = _TARSUM.search(text)
    if not found:
        raise InvalidDigest(f"invalid tarsum: {quoted(text)}")
    return TarsumInfo(found[2] or "", found[3], found[4])


def matches(text: str, content: bytes) -> bool:
    """Whether `content` has this digest, compared as text: upper-case hex never matches.

    Raises InvalidDigest for what is no digest, and for a tarsum, which is no name of a document.
    """
    validate(text)
    name = algorithm(text)
    if name not in ALGORITHMS:
        raise InvalidDigest("a tarsum names archives only", got=text)
    return text == f"{name}:{hashlib.new(name, content).hexdigest()}"
