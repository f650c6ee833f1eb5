"""Known: what a sync remembers, as values: tags it has brought, runs, schedules, and what it has taken away."""

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field
from typing import Final, Literal, Self, TypeAlias

from puller.errors import InputError
from puller.model.digest import Digest
from puller.model.document import load_value
from puller.model.sync import Manner

Kind: TypeAlias = Literal["pruned", "overwritten"]
# How long undo can bring back what a run took away, in seconds. Directories keep its content as long.
UNDO_WINDOW: Final = 14 * 86400.0


def manner_text(manner: Manner) -> str:
    """One stable text, to tell whether an image was brought in the same way as it would be now."""
    return json.dumps(asdict(manner), sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Known:
    """A tag that this state's syncs have brought: `name` at the place `target`, from `tag` of the place `source`.

    `digest`, `media_type` and `size` (bytes) are what the source's tag named, `root` is what went under `name`.
    `manner` is `manner_text`; `at` in seconds since the epoch, when it was last seen to be so.
    """

    target: str
    name: str
    source: str
    tag: str
    digest: str
    media_type: str
    size: int | None
    root: str
    manner: str
    at: float

    def encode(self) -> str:
        """One line of text."""
        return json.dumps(astuple(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """What `encode` made; None for anything else."""
        try:
            value = load_value(text.encode(), what="known tag")
            known = cls(*value)
            Digest.parse(known.digest)
            Digest.parse(known.root)
        except (InputError, TypeError, AttributeError, UnicodeEncodeError):
            return None
        texts = (known.target, known.name, known.source, known.tag, known.media_type, known.manner)
        has_size = known.size is None or (type(known.size) is int and known.size >= 0)
        return known if has_size and type(known.at) in (int, float) and all(type(t) is str for t in texts) else None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What the tag `name` at `target` named before a run took it away, `pruned`, or put another in its place.

    `raw` is the manifest or index of the digest `root`. `source` and `manner` tell where and how its content was had,
    as far as that is known.
    """

    run: str
    target: str
    name: str
    root: str
    media_type: str
    raw: bytes
    at: float
    kind: Kind
    source: str = ""
    manner: str = ""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. `ended` and `well` are None while it is under way, and for good if it was killed."""

    run: str
    config: str
    started: float
    ended: float | None = None
    well: bool | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Last:
    """When something scheduled was last begun and ended, and whether all of it went well."""

    started: float
    ended: float
    well: bool


@dataclass(frozen=True, slots=True)
class Undoable:
    """What can be brought back of one run, by how it went; `at` is when the first of it went."""

    run: str
    at: float
    pruned: int
    overwritten: int
