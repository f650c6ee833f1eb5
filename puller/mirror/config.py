"""Config: what a sync is to do, as values; the readers of the file formats make them."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, TypeAlias

from puller.mirror.selection import TagRule
from puller.model.platform import Platform

Verify: TypeAlias = Literal["digest", "deep"]


@dataclass(frozen=True, slots=True)
class Host:
    """How one registry is spoken to: requests per second, connections at once, plain HTTP."""

    rate: float | None = None
    concurrency: int | None = None
    plain_http: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where images are: `registry` (then `name` is `host/repository`), `oci` (a directory) or `store`."""

    kind: Literal["registry", "oci", "store"]
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "registry" else f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Prune:
    """What goes that is no longer selected: at least `keep` tags stay, and no more go than `most` or `share` of all."""

    keep: int = 1
    most: int | None = None
    share: float | None = 0.1
    grace: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Mirror:
    """One repository, or those that a pattern names, brought to one place.

    `source` may hold `*` in its repository: then `target` gets the rest of the name. `platforms` empty: all of them.
    `immutable` tags are never asked for again once they are there. `backup`: a tag that keeps what another one named
    before it is overwritten. `line` is where it stands in its file.
    """

    source: Place
    target: Place
    tags: TagRule = field(default_factory=TagRule)
    platforms: tuple[Platform, ...] = ()
    schedule: str | None = None
    referrers: bool = False
    immutable: tuple[re.Pattern[str], ...] = ()
    prune: Prune | None = None
    verify: Verify = "digest"
    backup: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """A whole file."""

    mirrors: tuple[Mirror, ...]
    hosts: dict[str, Host] = field(default_factory=dict)
    jobs: int = 3
