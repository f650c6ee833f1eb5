"""How a registry behaves where distribution-spec 1.1 leaves it a choice: what is switched off, what comes in pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from testregistry import errors

Kind = Literal["tags", "manifests", "blobs"]
WARNING_LIMIT = 4096  # bytes of all warnings of one answer together ("Warnings")


@dataclass(frozen=True, slots=True)
class Manner:
    """A whole registry, unless told otherwise.

    `deletes`: what may be deleted. `digests_only`: a tag is not deleted but refused as no digest, as by docker-registry
    2. `referrers`: the referrers API is there; without it subjects are stored and not looked at, as registries before
    1.1 did. `filters`: it applies `artifactType`. `referrers_page`, `list_page`: most entries of one page, asked for or
    not. `chunk_min`: bytes of a chunk that is not the last. `single_post`, `mounts`: what POST may do beside beginning
    an upload. `warnings`: texts told with every answer.
    """

    deletes: frozenset[Kind] = frozenset({"tags", "manifests", "blobs"})
    digests_only: bool = False
    referrers: bool = True
    filters: bool = True
    referrers_page: int | None = None
    list_page: int | None = None
    chunk_min: int | None = None
    single_post: bool = True
    mounts: bool = True
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for page in (self.referrers_page, self.list_page):
            if page is not None and page < 1:
                raise ValueError("a page holds one entry at least")
        if not all(text.isascii() and text.isprintable() for text in self.warnings):
            raise ValueError("a warning is one line of printable ASCII")
        if sum(len(value) for _, value in self.warning_headers()) > WARNING_LIMIT:
            raise ValueError(f"no more than {WARNING_LIMIT} bytes of warnings go with one answer")

    def warning_headers(self) -> tuple[tuple[str, str], ...]:
        """One header a text: code 299, agent `-`, no date (RFC 7234 5.5 as "Warnings" narrows it)."""
        quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in self.warnings)
        return tuple(("Warning", f'299 - "{text}"') for text in quoted)

    def check_delete(self, kind: Kind) -> None:
        """Raise Refusal, 405, where this is switched off."""
        if kind not in self.deletes:
            raise errors.unsupported(f"this registry deletes no {kind}", allow="GET, HEAD")
