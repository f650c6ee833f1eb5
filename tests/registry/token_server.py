"""A token server without a network: it records what it is asked and answers what the test wants."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel

from puller.contracts.access import Credential, KnownIdentity
from puller.errors import RegistryError
from puller.registry.identity.auth import Authenticator, TokenAnswer
from puller.registry.transport.origin import Origin

REGISTRY = Origin("https", "registry.example.com", 443)
REALM = "https://example.com/token"
CHALLENGE = [f'Bearer realm="{REALM}",service="example"']
USER = Credential("user", "pass")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to the token server."""

    method: str
    url: str
    headers: Mapping[str, str]
    form: Mapping[str, str] | None
    public_only: bool

    @property
    def authorization(self) -> str | None:
        return self.headers.get("Authorization")


@dataclass(slots=True)
class TokenServer:
    """Is a TokenRequest. Tokens are `token-1`, `token-2`, …; `answers` and `failures` come first, in order."""

    expires_in: int | None = 300
    text: str | None = None  # always this token
    answers: list[TokenAnswer] = field(default_factory=list)
    failures: list[RegistryError] = field(default_factory=list)
    gates: list[anyio.Event] = field(default_factory=list)  # what the first requests wait for, in order
    delay: float = 0.0
    now: float = 1000.0  # the clock of everything in a test
    asked: list[Asked] = field(default_factory=list)

    async def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str], form: Mapping[str, str] | None, public_only: bool
    ) -> TokenAnswer:
        self.asked.append(Asked(method, url, dict(headers), form, public_only))
        number = len(self.asked)
        self.now += self.delay
        await anyio.lowlevel.checkpoint()
        if self.gates:
            await self.gates.pop(0).wait()
        if self.failures:
            raise self.failures.pop(0)
        if self.answers:
            return self.answers.pop(0)
        document: dict[str, object] = {"token": self.text or f"token-{number}"}
        if self.expires_in is not None:
            document["expires_in"] = self.expires_in
        return TokenAnswer(200, {}, json.dumps(document).encode())

    def authenticator(
        self,
        credential: Credential | None = None,
        *,
        registry: Origin = REGISTRY,
        allow_plain: bool = False,
        token_hosts: tuple[str, ...] = (),
    ) -> Authenticator:
        """An Authenticator that asks here."""
        return Authenticator(
            registry=registry,
            identity=None if credential is None else KnownIdentity("the test's", credential),
            request=self,
            clock=lambda: self.now,
            allow_plain=allow_plain,
            token_hosts=token_hosts,
        )
