"""What a sync does, as plain data: work that can be handed to others, what became of it, and the report of a run.

Places are texts: `host/repository`, `oci:/directory`, `store:DIR#host/repository` (no DIR: the store of this user).
All of it goes through JSON and back unchanged; nothing here holds a secret.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

# new: the target has no such tag. changed: it has another digest there. unchanged: nothing to do. out: not selected.
# pruned: not selected any more, so it goes. waiting: as pruned, its time of grace is not over. kept: would be pruned,
# but a guard holds it. failed: it could not be found out.
Action: TypeAlias = Literal["new", "changed", "unchanged", "out", "pruned", "waiting", "kept", "failed"]
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Manner:
    """How an image is brought: `platforms` empty means all of them; else `index` as in `mirror.config.Mirror`."""

    platforms: tuple[str, ...] = ()
    index: Literal["sparse", "rewritten", "single"] = "sparse"
    referrers: bool = False
    verify: Literal["digest", "deep"] = "digest"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One image to bring: what `digest` names in the repository `source`, to `target` under `tag`.

    `tag` None: under its digest alone. `size` in bytes. `replaces` is what the tag names there before, `backup` the tag
    that is to keep that; None: nothing, none.
    """

    source: str
    digest: str
    media_type: str
    size: int | None
    target: str
    tag: str | None
    manner: Manner = field(default_factory=Manner)
    replaces: str | None = None
    backup: str | None = None

    def encode(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return _fields(self) | {"manner": asdict(self.manner)}

    @classmethod
    def decode(cls, data: Mapping[str, Any]) -> "Transfer":
        """What `encode` made; plans are checked before they come here."""
        manner = data["manner"]
        return cls(**{**data, "manner": Manner(**{**manner, "platforms": tuple(manner["platforms"])})})


@dataclass(frozen=True, slots=True)
class Carried:
    """What a transfer came to: `root` is the digest under the tag at the target, which a chosen platform can change.

    Bytes: `fetched` came from the source, `near` from where the run had brought them before, `sent` went to the target.
    Blobs, manifests among them: `brought`, `mounted` from another repository, `present` there already.
    """

    root: str
    fetched: int = 0
    near: int = 0
    sent: int = 0
    brought: int = 0
    mounted: int = 0
    present: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    def encode(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return _fields(self)

    @classmethod
    def decode(cls, data: Mapping[str, Any]) -> "Carried":
        """What `encode` made."""
        return cls(**{**data, "warnings": tuple(data["warnings"])})


@dataclass(frozen=True, slots=True)
class Item:
    """One tag of one mirror: what is to become of it and why, and what became of it.

    `tag` is its name at the source, `name` at the target. `digest` is what it names at the source, `there` what it
    names at the target before. `line` is where its mirror stands in the configuration.
    """

    source: str
    tag: str
    target: str
    name: str
    action: Action
    why: str
    digest: str | None = None
    there: str | None = None
    transfer: Transfer | None = None
    carried: Carried | None = None
    error: Mapping[str, object] | None = None
    line: int = 0

    @property
    def outcome(self) -> Action:
        """What it counts as: its action, unless that failed."""
        return self.action if self.error is None else "failed"

    def encode(self) -> dict[str, Any]:
        """Plain data for JSON."""
        transfer = None if self.transfer is None else self.transfer.encode()
        return _fields(self) | {
            "transfer": transfer,
            "carried": None if self.carried is None else self.carried.encode(),
        }


def outcomes(items: Iterable[Item]) -> dict[str, int]:
    """How many of them came to what; each counts once."""
    return dict(Counter(item.outcome for item in items))


@dataclass(frozen=True, slots=True)
class SyncReport:
    """One run. `error` is what ended it whole; `items` leave out nothing but what was `out` when a sync ran.

    `problems` are failures that belong to no tag, such as a list that could not be had: (source, error). Times are
    seconds since the epoch. `requests` counts what was asked, by host and method.
    """

    run: str
    config: str
    started: float
    ended: float
    items: tuple[Item, ...] = ()
    problems: tuple[tuple[str, Mapping[str, object]], ...] = ()
    warnings: tuple[str, ...] = ()
    requests: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    error: Mapping[str, object] | None = None
    schema: int = field(default=SCHEMA)

    @property
    def is_well(self) -> bool:
        """Whether all of it went well."""
        return self.error is None and not self.problems and all(item.error is None for item in self.items)

    @property
    def counts(self) -> dict[str, int]:
        """How many tags came to what: a tag that failed is `failed`, whatever was to become of it."""
        return outcomes(self.items)

    def encode(self) -> dict[str, Any]:
        """Plain data for JSON."""
        carried = [item.carried for item in self.items if item.carried is not None]
        totals = {name: sum(getattr(one, name) for one in carried) for name in ("fetched", "near", "sent")}
        items = [item.encode() for item in self.items]
        return _fields(self) | {"items": items, "well": self.is_well, "counts": self.counts, "totals": totals}


def _fields(value: Transfer | Carried | Item | SyncReport) -> dict[str, Any]:
    """Its fields by name, as they are: asdict would copy all that is in them, of a hundred thousand tags."""
    return {name: getattr(value, name) for name in value.__slots__}
