"""Exchanges: what goes over the wire, told request by request to whoever debugs a set-up (`--debug`).

No fact holds a secret: URLs come without query and userinfo, headers only where their values can hold none, tokens not
at all (THREATS B15). Names and words may be a server's own, so whoever shows them escapes them (C22).
"""

from dataclasses import dataclass, field

from puller.model.event import Traced


@dataclass(frozen=True, slots=True)
class Line:
    """The connection of a request. `peer` is the address that was reached: of the proxy, where there is one.

    `seconds` is what a new one took, names and TLS included; `tls` the protocol's version, empty for plain HTTP.
    """

    peer: str
    is_new: bool
    tls: str = ""
    seconds: float = 0.0
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class Asked(Traced):
    """One request of the run, the `number`th; `url` is redacted, `range` as it was asked for, empty for all of it."""

    number: int
    method: str
    url: str
    range: str = ""
    mirror: bool = False


@dataclass(frozen=True, slots=True)
class Answered(Traced):
    """The head of an answer has come, `seconds` after a connection was free; before that the request was `queued`.

    `told` are headers worth knowing: ranges, quotas, lengths. `received`: bytes of a body that has ended already.
    """

    asked: Asked
    status: int
    seconds: float
    queued: float
    line: Line | None
    told: tuple[tuple[str, str], ...] = ()
    received: int | None = None


@dataclass(frozen=True, slots=True)
class Overdue(Traced):
    """No answer for `seconds`, and still waiting."""

    asked: Asked
    seconds: float


@dataclass(frozen=True, slots=True)
class Unanswered(Traced):
    """A request has failed before the head of its answer was there; `what` says how, `kind` is the error's class."""

    asked: Asked
    seconds: float
    kind: str
    what: str
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Received(Traced):
    """A body has ended, or been given up: `size` bytes in `seconds` after the head."""

    asked: Asked
    size: int
    seconds: float
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Redirected(Traced):
    """An answer of `origin` sends on to `target`, a redacted URL; `with_secrets`: that is the same origin still."""

    status: int
    origin: str
    target: str
    with_secrets: bool


@dataclass(frozen=True, slots=True)
class Granted(Traced):
    """A token server has given a token for `scope`, good for `lifetime` seconds, to an account or to nobody."""

    server: str
    scope: str
    lifetime: float
    account: str = ""


@dataclass(frozen=True, slots=True)
class Retried(Traced):
    """The next try comes after `delay` seconds, because of `reason`."""

    host: str
    what: str
    attempt: int
    delay: float
    reason: str


@dataclass(frozen=True, slots=True)
class Remarked(Traced):
    """A decision that saves or costs a request, in words."""

    text: str
    where: str = field(default="")
