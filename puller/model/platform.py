"""Platform: operating system, architecture and variant, and which of an index's entries serves a wish.

Sources: OCI image-index.md ("platform"), containerd `platforms` (normalised names and the order of arm variants).
"""

import re
from dataclasses import dataclass
from typing import Any, Self

from puller.errors import InvalidConfig, InvalidManifest
from puller.model.document import text_of

_EXAMPLE = "For example linux/amd64, linux/arm64 or linux/arm/v7."
_WORD = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv6l": ("arm", "v6"),
}
# Default variants say nothing: arm64 is arm64/v8, arm is arm/v7, amd64 is amd64/v1.
_DEFAULT_VARIANT = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """`os/architecture[/variant]`, in normal form; `os_version` is kept for Windows images."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `linux/arm64/v8`, or `arm64` alone for linux. Raises InvalidConfig."""
        parts = text.split("/")
        if len(parts) == 1:
            parts = ["linux", *parts]
        if not 2 <= len(parts) <= 3 or not all(_WORD.fullmatch(part) for part in parts):
            raise InvalidConfig(
                "invalid platform", wanted="os/architecture[/variant]", got=repr(text)[:80], hint=_EXAMPLE
            )
        return cls(*_normal(*parts))

    @classmethod
    def decode(cls, document: dict[str, Any], *, what: str) -> Self:
        """Read the `platform` object of an index entry, or the same keys of a config."""
        fields = {
            key: text_of(document, key, what=what, default="")
            for key in ("os", "architecture", "variant", "os.version")
        }
        if not fields["os"] or not fields["architecture"]:
            raise InvalidManifest(f"{what}: a platform needs os and architecture", got=fields)
        return cls(*_normal(fields["os"], fields["architecture"], fields["variant"]), fields["os.version"])

    def encode(self) -> dict[str, str]:
        """The `platform` object of an index entry."""
        document = {
            "architecture": self.architecture,
            "os": self.os,
            "os.version": self.os_version,
            "variant": self.variant,
        }
        return {key: value for key, value in document.items() if value}

    def serves(self, wanted: "Platform") -> int | None:
        """How well this platform runs what `wanted` runs: 0 is exact, larger is worse, None not at all."""
        if (self.os, self.architecture) != (wanted.os, wanted.architecture):
            return None
        mine, theirs = self._rank(), wanted._rank()
        if mine is None or theirs is None:
            return 0 if self.variant == wanted.variant else None
        return theirs - mine if mine <= theirs else None

    def _rank(self) -> int | None:
        variant = self.variant or _DEFAULT_VARIANT.get(self.architecture, "v0")
        return int(variant[1:]) if re.fullmatch(r"v[0-9]{1,2}", variant, re.ASCII) else None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def _normal(os: str, architecture: str, variant: str = "") -> tuple[str, str, str]:
    os, architecture, variant = os.lower(), architecture.lower(), variant.lower()
    os = "darwin" if os == "macos" else os
    architecture, implied = _ARCHITECTURES.get(architecture, (architecture, ""))
    variant = variant or implied
    if variant.isascii() and variant.isdigit():
        variant = f"v{variant}"
    if variant == _DEFAULT_VARIANT.get(architecture):
        variant = ""
    return os, architecture, variant
