"""Seams for access to registries: who somebody is there, where content may be had from, and how a host proves itself.

`settings` reads them from what people have configured for docker, podman, skopeo and containerd; `registry` uses them.
"""

import base64
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from puller.errors import InvalidConfig
from puller.model.reference import Reference


@dataclass(frozen=True, slots=True)
class Credential:
    """User name and password, or an identity token that a token server exchanges for others, or a `registry_token` that
    is sent to the registry as it is. Shows no secret.

    Raises InvalidConfig for a user name that cannot be sent (RFC 7617 §2: no colon) and for control characters.
    """

    # Some registries take a token for a user name, so none of the four is shown.
    username: str = field(repr=False)
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if ":" in self.username:
            raise InvalidConfig("a user name cannot hold a colon")
        if any(ord(c) < 32 or ord(c) == 127 for text in (self.username, self.password) for c in text):
            raise InvalidConfig("control characters in a user name or password")
        for token in (self.identity_token, self.registry_token):
            if not (token.isascii() and (token or "x").isprintable()):
                raise InvalidConfig("a token must be visible ASCII")

    @property
    def basic(self) -> str:
        """The Authorization value of RFC 7617, in UTF-8."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


class Identity(Protocol):
    """One account at one registry, known before its secret is: that is asked for whenever the registry wants it, so an
    identity remembers what it had to ask for.

    Identities of one `name` share connections and tokens at a registry; others never do (THREATS B20).
    """

    @property
    def name(self) -> str:
        """Where the account comes from, in words; holds no secret."""
        ...

    async def credential(self) -> Credential | None:
        """The secret; None: there is none after all. Raises InvalidConfig or Unsupported."""
        ...

    async def renewed(self, refused: Credential) -> Credential | None:
        """Another secret now that `refused` was, which `credential` gives from then on; None: there is no other."""
        ...


class Keyring(Protocol):
    """Knows accounts by the registry's name as it stands in a reference (`docker.io`, `127.0.0.1:5000`)."""

    def identity(self, registry: str, repository: str) -> Identity | None:
        """Who to be there, None for nobody; runs no program. Raises InvalidConfig where that cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class KnownIdentity:
    """An account whose secret is at hand."""

    name: str
    known: Credential

    async def credential(self) -> Credential | None:
        """The secret."""
        return self.known

    async def renewed(self, refused: Credential) -> Credential | None:
        """None: there is no other."""
        return None


class Protection(Enum):
    """What a host must speak."""

    USUAL = "usual"  # TLS; of this machine without being named, plain HTTP and no secrets
    TLS = "tls"
    PLAIN = "plain"  # plain HTTP: somebody has named it for that, secrets and all
    ANY = "any"  # set up as insecure: TLS whoever it turns out to be, or plain HTTP


@dataclass(frozen=True, slots=True)
class Trust:
    """How a host proves itself over TLS, and how we do. Files are PEM.

    `authorities` join those of the system. `certificates` are (certificate, key) pairs that prove who we are.
    """

    authorities: tuple[Path, ...] = ()
    certificates: tuple[tuple[Path, Path], ...] = ()


NO_TRUST = Trust()  # beyond what the system trusts


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host that serves a registry's content: the registry itself, or a mirror of it.

    `registry` is its `host[:port]` as references name one: what credentials are looked up by. `repository` is what the
    repository is called there, `base` what stands before the paths of the distribution spec. `headers` are sent to this
    host and no other. `namespace` is the registry that a mirror is told to stand for, as containerd's `ns` has it.
    `proxy` is the URL of the one to go through, "" for the usual. `connect_within` is in seconds; None: as usual.
    """

    registry: str
    repository: str
    protection: Protection = Protection.USUAL
    trust: Trust = NO_TRUST
    base: str = "/v2"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    is_mirror: bool = False
    resolves: bool = True  # may be asked what a tag names
    fetches: bool = True  # may be asked for content by digest
    namespace: str = ""
    proxy: str = field(default="", repr=False)
    connect_within: float | None = None


class Routes(Protocol):
    """Knows where a repository is to be had from."""

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Where to pull from, the first to be tried first. Raises InvalidConfig where the settings forbid it."""
        ...

    def home(self, reference: Reference) -> Endpoint:
        """The registry as the reference names it, mirrors apart: where to push to. Raises InvalidConfig."""
        ...
