"""Digest: the name of content by its hash. TarsumDigest: the old label, a type of its own so the two never mix."""

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar, Self

from puller.errors import InvalidDigest

# Only registered algorithms of the OCI image spec (descriptor.md, "Registered Algorithms"); blake3 is not in hashlib.
HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_TARSUM = re.compile(r"(tarsum(?:\.v1|\.dev)?)\+(sha256|sha512):([0-9a-fA-F]+)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """`algorithm:hex` of bytes as they are stored; checked when it is born.

    Raises InvalidDigest for any algorithm but sha256 and sha512, and hex that is not lower case or
    of another length.
    """

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        if self.algorithm not in HEX_LENGTH:
            raise InvalidDigest("unknown digest algorithm", wanted="sha256 or sha512", got=repr(self.algorithm)[:80])
        if len(self.hex) != HEX_LENGTH[self.algorithm] or not _HEX.fullmatch(self.hex):
            wanted = f"{HEX_LENGTH[self.algorithm]} lower-case hex digits"
            raise InvalidDigest(f"invalid {self.algorithm} digest", wanted=wanted, got=repr(self.hex)[:160])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `algorithm:hex`."""
        algorithm, colon, hexadecimal = text.partition(":")
        if not colon:
            raise InvalidDigest("invalid digest", wanted="algorithm:hex", got=repr(text)[:160])
        return cls(algorithm, hexadecimal)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """The digest of `content`. Raises InvalidDigest for an algorithm that is not allowed."""
        if algorithm not in HEX_LENGTH:
            raise InvalidDigest("unknown digest algorithm", wanted="sha256 or sha512", got=repr(algorithm)[:80])
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    @property
    def short(self) -> str:
        """The first twelve hex digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


@dataclass(frozen=True, slots=True)
class TarsumDigest:
    """`version+algorithm:hex`, found only in schema 1 manifests (LEGACY.md a.1). Never a name of stored bytes."""

    VERSIONS: ClassVar[tuple[str, ...]] = ("tarsum", "tarsum.v1", "tarsum.dev")

    version: str
    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        if self.version not in self.VERSIONS or self.algorithm not in HEX_LENGTH:
            raise InvalidDigest("unknown tarsum label", got=repr(self.label)[:160])
        if len(self.hex) != HEX_LENGTH[self.algorithm] or not _HEX.fullmatch(self.hex):
            raise InvalidDigest("invalid tarsum", where=self.label, got=repr(self.hex)[:160])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `tarsum.v1+sha256:hex`; upper-case hex is read as lower case (LEGACY.md, decision 5)."""
        match = _TARSUM.fullmatch(text)
        if match is None:
            raise InvalidDigest("invalid tarsum", wanted="tarsum[.v1|.dev]+sha256|sha512:hex", got=repr(text)[:160])
        return cls(match[1], match[2], match[3].lower())

    @property
    def label(self) -> str:
        """Version and algorithm, as in `tarsum.v1+sha256`."""
        return f"{self.version}+{self.algorithm}"

    def __str__(self) -> str:
        return f"{self.label}:{self.hex}"
