"""Events: progress told as small facts. Whoever listens never blocks, never raises and never decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from puller.model.descriptor import Descriptor
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.model.report import BlobReport, ImageReport, LayerReport, PullReport
from puller.model.sync import Item, SyncReport

if TYPE_CHECKING:  # who tells of pushes and copies has made their reports
    from puller.model.copy import CopyReport
    from puller.model.push import PushedBlob, PushReport

# What is worked on: an image by its name; by what was typed where it has none.
Subject: TypeAlias = Reference | str


@dataclass(frozen=True, slots=True)
class Resolved:
    """A name has become a digest."""

    reference: Subject
    descriptor: Descriptor


@dataclass(frozen=True, slots=True)
class Planned:
    """What a pull will need: its platforms, and (role, descriptor) of its layers in order, as in ("layer 1", …)."""

    reference: Subject
    descriptor: Descriptor
    platforms: tuple[Platform, ...]
    steps: tuple[tuple[str, Descriptor], ...]


@dataclass(frozen=True, slots=True)
class Started:
    """A body begins to flow at `offset` bytes; more than 0 was kept from an earlier try."""

    descriptor: Descriptor
    offset: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """`offset` bytes of a blob are written and hashed."""

    descriptor: Descriptor
    offset: int


@dataclass(frozen=True, slots=True)
class Retrying:
    """A request failed in a way that passes; the next try comes after `delay` seconds."""

    host: str
    what: str
    attempt: int
    delay: float
    reason: str


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A host did not give `what`; `next_host` is asked instead."""

    host: str
    what: str
    reason: str
    next_host: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """No request goes to `host` for `seconds` at most, until `until` (seconds since the epoch), because of `reason`."""

    host: str
    reason: str
    seconds: float
    until: float


@dataclass(frozen=True, slots=True)
class Verified:
    """A blob is in the store and all its checks passed."""

    reference: Subject
    blob: BlobReport


@dataclass(frozen=True, slots=True)
class Unpacking:
    """`offset` bytes of a verified layer blob are read and unpacked."""

    descriptor: Descriptor
    offset: int


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A layer is in its place: its diff ID was right, and it is whole."""

    reference: Subject
    layer: LayerReport


@dataclass(frozen=True, slots=True)
class Registered:
    """An image of the chain of a schema 1 manifest is in the image graph, now or since earlier."""

    reference: Subject
    image: ImageReport


@dataclass(frozen=True, slots=True)
class Warned:
    """Done, but look."""

    reference: Subject
    text: str


@dataclass(frozen=True, slots=True)
class Pulled:
    """The tag has moved: all of it is here."""

    reference: Subject
    report: PullReport


@dataclass(frozen=True, slots=True)
class Failed:
    """The pull has ended without its tag; `report.error` says why, and its blobs are those that were proved before."""

    reference: Subject
    report: PullReport


@dataclass(frozen=True, slots=True)
class Delivered:
    """A blob or manifest of a push is in the registry."""

    reference: Subject
    blob: "PushedBlob"


@dataclass(frozen=True, slots=True)
class Pushed:
    """The name stands for it there now."""

    reference: Subject
    report: "PushReport"


@dataclass(frozen=True, slots=True)
class PushFailed:
    """The push has ended without its name; `report.error` says why, and its blobs are those that are there."""

    reference: Subject
    report: "PushReport"


@dataclass(frozen=True, slots=True)
class Copied:
    """An image is at the place that it was to be copied to, and called so."""

    reference: Subject
    report: "CopyReport"


@dataclass(frozen=True, slots=True)
class CopyFailed:
    """A copy has ended without its name; `report.error` says why."""

    reference: Subject
    report: "CopyReport"


@dataclass(frozen=True, slots=True)
class Settled:
    """One tag of a sync is done with: brought, found unchanged, pruned, or failed."""

    item: Item


@dataclass(frozen=True, slots=True)
class Stumbled:
    """Something of a sync failed that is of no tag, such as the list of `source`; `error` are its facts."""

    source: str
    error: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Mirrored:
    """One mirror of a sync is through, the one of `line` of the configuration; bytes were `fetched` and `sent`.

    `counts` are of tags by what became of them, each once, `failed` of what failed, lists among it.
    """

    source: str
    target: str
    line: int
    counts: Mapping[str, int]
    failed: int
    fetched: int
    sent: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A sync has ended, whole or not."""

    report: SyncReport


@dataclass(frozen=True, slots=True)
class Traced:
    """Something went over the wire `at` so many seconds after the client was opened: what, `exchange` tells."""

    at: float


Event: TypeAlias = (
    Resolved
    | Planned
    | Started
    | Advanced
    | Retrying
    | Waiting
    | PassedOver
    | Verified
    | Unpacking
    | Unpacked
    | Registered
    | Warned
    | Pulled
    | Failed
    | Delivered
    | Pushed
    | PushFailed
    | Copied
    | CopyFailed
    | Settled
    | Stumbled
    | Mirrored
    | Synced
    | Traced
)
Report: TypeAlias = Callable[[Event], None]


def unheard(event: Event, /) -> None:
    """A listener that does not listen."""
