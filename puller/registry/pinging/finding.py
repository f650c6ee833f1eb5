"""Findings: what was found out about a registry, as facts; whoever shows them puts them into words.

Texts of servers and certificates are bounded here and escaped where they are shown (THREATS C22); none is a secret.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from puller.contracts.access import Protection
from puller.errors import PullerError


class Verdict(Enum):
    """What a finding means for whoever wants to pull."""

    NOTE = "note"  # how it is, neither good nor bad
    OK = "ok"
    WARN = "warn"  # it works, but look
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found out."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SetUp(Finding):
    """How the registry is set up here: where its name leads, the `proxy` without credentials, the hosts of mirrors."""

    registry: str
    origin: str
    protection: Protection
    authorities: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    proxy: str = ""
    mirrors: tuple[str, ...] = ()
    account: str = ""


@dataclass(frozen=True, slots=True)
class Named(Finding):
    """What the host's name resolves to. `problem`: why not, in words."""

    host: str
    v4: tuple[str, ...] = ()
    v6: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection to an address that was tried; `problem` is empty where there was none.

    `is_pathless`: this machine has no way to addresses of that family, which is nobody's fault.
    """

    address: str
    seconds: float
    problem: str = ""
    is_pathless: bool = False

    @property
    def is_v6(self) -> bool:
        """Of which of the two families it is."""
        return ":" in self.address


@dataclass(frozen=True, slots=True)
class Reached(Finding):
    """Connections to the host's addresses, or to a `proxy`."""

    port: int
    attempts: tuple[Attempt, ...]
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who a server says it is; `days` are left of it, fewer than none where it has expired."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    until: str
    days: int
    is_own_issuer: bool = False


@dataclass(frozen=True, slots=True)
class Secured(Finding):
    """TLS is spoken. `proven`: the certificate was checked, which it is but for hosts that are set up as insecure."""

    version: str
    certificate: Certificate | None
    proven: bool = True


Insecurity = Literal[
    "plain-http", "unknown-authority", "expired", "not-yet-valid", "other-name", "client-certificate", "old", "cut",
    "silent", "refused",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unsecured(Finding):
    """No TLS that can be trusted. `words` are those of the TLS library."""

    problem: Insecurity
    host: str
    registry: str
    words: str = ""
    certificate: Certificate | None = None
    authorities: tuple[str, ...] = ()
    shown: bool = False  # a client certificate


Oddity = Literal["", "no-registry", "web-page", "speaks-tls", "wants-certificate", "busy", "refuses", "fails", "odd"]


@dataclass(frozen=True, slots=True)
class Greeted(Finding):
    """The answer to `GET /v2/`. `schemes` are the ways to log in that it offers; `server` is who has answered.

    `keeps`: the connection stays for further requests.
    """

    status: int
    api_version: str
    schemes: tuple[str, ...]
    server: str
    http: str
    keeps: bool
    problem: Oddity = ""


@dataclass(frozen=True, slots=True)
class Tokens(Finding):
    """The token server that a registry names; `trusted`: credentials may go there. `problem`: why it is not asked."""

    host: str
    trusted: bool
    has_account: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Clock(Finding):
    """How far this machine's clock is ahead of the server's, in seconds, to the second."""

    ahead: float


@dataclass(frozen=True, slots=True)
class Admitted(Finding):
    """Whether the registry lets us in, as an account or as nobody (""). `checked`: the account's secret was wanted;
    `challenged`: something was.

    `what` and `hint` are of the error where it does not.
    """

    account: str
    checked: bool
    challenged: bool
    what: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Mirrored(Finding):
    """Whether a mirror answers, and by which status."""

    host: str
    status: int | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Listed(Finding):
    """The tags of the repository, or the first of them."""

    count: int
    more: bool
    sample: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved(Finding):
    """What a HEAD of the manifest says; `digest` is empty where it does not, and a GET is needed for every look."""

    name: str
    digest: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Ranged(Finding):
    """Whether blobs can be had in part, so that cut downloads go on; `host` is who serves them."""

    honoured: bool
    status: int
    host: str


@dataclass(frozen=True, slots=True)
class Referred(Finding):
    """How signatures and the like of an image are found: by the API of OCI 1.1, or by a tag."""

    api: bool
    count: int


@dataclass(frozen=True, slots=True)
class Quota(Finding):
    """Pulls `left` in a `window` of so many seconds, and how many are allowed; None where that is not told."""

    limit: int | None
    left: int
    window: int | None


@dataclass(frozen=True, slots=True)
class Untried(Finding):
    """What is not tried, because it would change something there."""

    what: tuple[str, ...] = ("push", "mount", "delete")


Step = Literal["tls", "registry", "tags", "manifest", "ranges", "referrers", "proxy"]


@dataclass(frozen=True, slots=True)
class Trouble(Finding):
    """A question that could not be answered. `error` tells why."""

    step: Step
    error: PullerError
