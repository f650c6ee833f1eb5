"""The verification report: for every blob where it came from, what was proved, and how long it took.

Its JSON form is described in docs/report.md; keys are never renamed, only added.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from puller.model.alteration import Altered

Outcome = Literal["fetched", "resumed", "reused", "copied"]
SCHEMA = 1
WEAK = "weak: tarsum"  # what a check notes that has nothing but a tarsum to go by (THREATS D1)


@dataclass(frozen=True, slots=True)
class Passed:
    """A host that could have served a body and did not, and why."""

    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Who served a body: the registry's host, and the host it redirected to, without path and query; or a local place.

    Of a body that came from several of them it is the last one. `passed` are those that were passed over before it,
    `copied` how many bytes local places have given.
    """

    host: str
    redirect: str | None = None
    attempts: int = 1
    resumed_at: tuple[int, ...] = ()  # byte offsets at which a cut body was asked for again
    passed: tuple[Passed, ...] = ()
    connections: int = 1  # over which it came at the same time, at most
    copied: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One promise and what was found. `got` None: not checked, and `note` says why."""

    name: str
    expected: str | None
    got: str | None
    passed: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class BlobReport:
    """One blob of a pull. Byte counts are of the blob as stored; the four add up to its size when all went well.

    `graph` is the image of an image graph whose layer stands for it; the blob itself is not in the store then.
    """

    role: str
    digest: str
    media_type: str
    size: int | None
    outcome: Outcome
    fetched: int = 0
    resumed: int = 0
    reused: int = 0
    origin: Origin | None = None
    checks: tuple[Check, ...] = ()
    seconds: float = 0.0
    graph: str = ""
    copied: int = 0


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer of an unpacked image. `size`: what its files hold, in bytes; `altered`: what its tree does not show.

    `missing_walls`: what the machine lacks of the jail it was unpacked in.
    """

    role: str
    chain_id: str
    diff_id: str
    digest: str
    outcome: Literal["unpacked", "reused"]
    entries: int = 0
    size: int = 0
    altered: tuple[Altered, ...] = ()
    missing_walls: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class UnpackReport:
    """One unpacked image: where its tree, or that of its top layer, is. Of a directory of its own `driver` is empty."""

    platform: str | None
    driver: str
    path: str
    layers: tuple[LayerReport, ...]
    seconds: float

    @property
    def size(self) -> int:
        """Bytes of files that were unpacked now."""
        return sum(layer.size for layer in self.layers if layer.outcome == "unpacked")


@dataclass(frozen=True, slots=True)
class ImageReport:
    """One image of the chain that a schema 1 manifest makes. IDs are 64 hex digits; `parent` is empty for the base.

    `blob` is its layer as the manifest names it; `reason` why it has the ID it has. `registered` now, or `reused`: it
    was in the graph. `altered`: what its tree does not show.
    """

    image_id: str
    parent: str
    strong_id: str
    legacy_id: str
    blob: str
    outcome: Literal["registered", "reused"]
    reason: str
    size: int = 0
    altered: tuple[Altered, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PullReport:
    """One pull of one reference. Without `error` all checks passed.

    `images` are those of a schema 1 manifest, base first, and `status` what Docker said at the end of such a pull.
    """

    reference: str
    digest: str | None
    media_type: str | None
    platforms: tuple[str, ...]
    blobs: tuple[BlobReport, ...]
    seconds: float
    warnings: tuple[str, ...] = ()
    error: Mapping[str, object] | None = None
    unpacked: tuple[UnpackReport, ...] = ()
    images: tuple[ImageReport, ...] = ()
    status: str = ""
    schema: int = field(default=SCHEMA)

    @property
    def fetched(self) -> int:
        """Bytes that came over the wire now."""
        return sum(blob.fetched for blob in self.blobs)

    @property
    def resumed(self) -> int:
        """Bytes kept from an earlier try."""
        return sum(blob.resumed for blob in self.blobs)

    @property
    def reused(self) -> int:
        """Bytes that were in the store already."""
        return sum(blob.reused for blob in self.blobs)

    @property
    def copied(self) -> int:
        """Bytes that other local places had."""
        return sum(blob.copied for blob in self.blobs)

    def encode(self) -> dict[str, Any]:
        """Plain data for JSON."""
        totals = {"fetched": self.fetched, "resumed": self.resumed, "reused": self.reused, "copied": self.copied}
        return asdict(self) | {"totals": totals}
