"""Config: what a sync is to do, as values; the readers of the file formats make them."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from puller.mirror.selection import NameRule, TagRule
from puller.model.platform import Platform

Verify: TypeAlias = Literal["digest", "deep"]
Index: TypeAlias = Literal["sparse", "rewritten", "single"]
RECHECK: Final = timedelta(days=1)
TILDE = "a path that begins with `~`, which nobody expands here: write it in full"
COLON = "a directory with a colon in its path: what follows that is read as a tag, here and by others"


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where a value is that does not stand in the file: the variable `env`, or `file` without the white space around
    it. A name may stand in the file itself (`text`); a secret never does.
    """

    kind: Literal["env", "file", "text"]
    name: str


@dataclass(frozen=True, slots=True)
class Login:
    """Who to be at a registry; both are looked up when a run begins, and no state, plan or report holds them."""

    user: Pointer
    password: Pointer


@dataclass(frozen=True, slots=True)
class Host:
    """How one registry is spoken to: requests per second, connections at once, plain HTTP.

    `insecure`: TLS whoever it turns out to be, or plain HTTP. `certificates`: a directory of `*.crt`, `*.cert`, `*.key`
    as in certs.d(5). `login` comes before what people have logged in to.
    """

    rate: float | None = None
    concurrency: int | None = None
    plain_http: bool = False
    insecure: bool = False
    certificates: str | None = None
    login: Login | None = None


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

    `source` may hold `*` in its repository, which stands for any part of a name, slashes too; `repositories` chooses
    among what it finds. Then `target` gets what it stood for: for its own `*`, or behind a directory's name.

    `platforms` empty: all of them; else `index` says what becomes of an index: it stays as it is and the others are not
    there (`sparse`), a new one of those alone goes under its own digest (`rewritten`), or the one image that serves the
    platform goes in its place (`single`). `referrers`: with what refers to an image by the API, by fallback tags, or by
    tags made of its digest (`sha256-….sig`).

    `immutable` tags are never asked for again once they are there. `backup`: a tag that keeps what another one named
    before it is overwritten; `{tag}` in it is that other one. `renamed`: the tag at the target, where one alone is
    brought. `reserve`: nothing new is begun while the source grants fewer pulls than that. `recheck`: so long the list
    of a target's tags stands for asking after each of them. `line` is where it stands in its file.
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
    repositories: NameRule = field(default_factory=NameRule)
    renamed: str | None = None
    index: Index = "sparse"
    reserve: int = 0
    recheck: timedelta = RECHECK
    line: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """A whole file."""

    mirrors: tuple[Mirror, ...]
    hosts: dict[str, Host] = field(default_factory=dict)
    jobs: int = 3

    @property
    def targets(self) -> frozenset[str]:
        """The registries (`host[:port]`) that are brought to."""
        places = (mirror.target for mirror in self.mirrors)
        return frozenset(place.name.partition("/")[0] for place in places if place.kind == "registry")
