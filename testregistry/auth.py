"""Who may do what: no authentication, Basic, or Bearer tokens that the registry's own token endpoint issues."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from testregistry import errors
from testregistry.call import Call

Clock: TypeAlias = Callable[[], float]

_READING = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Scope:
    """Actions on one resource, as the token specification writes them: `repository:name:pull,push`."""

    resource: str
    name: str
    actions: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Scope | None:
        """Read one scope; None when it is malformed."""
        resource, colon, rest = text.partition(":")
        name, second, actions = rest.rpartition(":")
        if not (colon and second and resource and name):
            return None
        return cls(resource, name, frozenset(filter(None, actions.split(","))))

    def __str__(self) -> str:
        return f"{self.resource}:{self.name}:{','.join(sorted(self.actions))}"


class Auth(Protocol):
    """Decides on every request but those of the token endpoint."""

    def check(self, call: Call) -> None:
        """Let the request pass, or raise Refusal (401 with a challenge, 403)."""
        ...

    def expire_all(self) -> None:
        """Make every token issued so far invalid."""
        ...


class Open:
    """Anybody may do anything."""

    def check(self, call: Call) -> None:
        """All pass."""

    def expire_all(self) -> None:
        """There are no tokens."""


class Basic:
    """User names and passwords on every request (RFC 7617)."""

    def __init__(self, users: Mapping[str, str], *, realm: str = "testregistry") -> None:
        self._users = dict(users)
        self._challenge = f'Basic realm="{realm}"'

    def user(self, authorization: str | None) -> str | None:
        """The user that a header proves to be."""
        return basic_user(authorization, self._users)

    def check(self, call: Call) -> None:
        if self.user(call.headers.get("Authorization")) is None:
            raise errors.unauthorized(self._challenge)

    def expire_all(self) -> None:
        """There are no tokens."""


@dataclass(frozen=True, slots=True)
class Token:
    """An issued token: what it allows, for whom, until when (the registry's clock)."""

    value: str
    user: str | None
    scopes: tuple[Scope, ...]
    expires: float

    def allows(self, wanted: Scope) -> bool:
        return any(
            (held.resource, held.name) == (wanted.resource, wanted.name)
            and (wanted.actions <= held.actions or "*" in held.actions)
            for held in self.scopes
        )


class Bearer:
    """Tokens bound to scopes, issued at `/token` to users, to holders of identity tokens, and to anybody for reading.

    `anonymous` are the actions granted without credentials. `expires_in` (seconds) is told to clients, None tells them
    nothing and means the specification's 60. `field` names where the token stands in the answer; `extra` overrides
    fields of it. `realm` is announced instead of the registry's own token endpoint, which sits on a port of its own
    when `separate`. `bad_token_status` is what an expired token earns: some registries say 400 instead of 401.
    """

    def __init__(
        self,
        users: Mapping[str, str] | None = None,
        *,
        anonymous: frozenset[str] | set[str] = frozenset({"pull"}),
        identity_tokens: Mapping[str, str] | None = None,
        service: str = "testregistry",
        expires_in: int | None = 300,
        field: str = "token",
        extra: Mapping[str, object] | None = None,
        realm: str | None = None,
        separate: bool = False,
        bad_token_status: int = 401,
        clock: Clock = time.monotonic,
    ) -> None:
        self.users = dict(users or {})
        self.identity_tokens = dict(identity_tokens or {})
        self.anonymous = frozenset(anonymous)
        self.service = service
        self.expires_in = expires_in
        self.field = field
        self.extra = dict(extra or {})
        self.realm = realm
        self.endpoint = ""
        self.separate = separate
        self._bad_token_status = bad_token_status
        self._clock = clock
        self._tokens: dict[str, Token] = {}

    @property
    def issued(self) -> list[Token]:
        """Every token still remembered, oldest first."""
        return list(self._tokens.values())

    def issue(self, user: str | None, scopes: tuple[Scope, ...]) -> Token:
        """Make a token that grants what this user may have of the scopes asked for."""
        granted = tuple(Scope(scope.resource, scope.name, self._allowed(user, scope)) for scope in scopes)
        life = 60 if self.expires_in is None else self.expires_in
        token = Token(secrets.token_urlsafe(24), user, granted, self._clock() + life)
        self._tokens[token.value] = token
        return token

    def issue_identity(self, user: str) -> str:
        """Make a long-lived identity token, good for a refresh_token grant."""
        value = secrets.token_urlsafe(24)
        self.identity_tokens[value] = user
        return value

    def expire_all(self) -> None:
        self._tokens.clear()

    def check(self, call: Call) -> None:
        scopes = scopes_of(call)
        scheme, _, value = call.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise errors.unauthorized(self._challenge(scopes))
        token = self._tokens.get(value.strip())
        if token is None or token.expires <= self._clock():
            raise self._bad_token(scopes)
        if not all(token.allows(scope) for scope in scopes):
            raise errors.unauthorized(self._challenge(scopes, error="insufficient_scope"))

    def _allowed(self, user: str | None, scope: Scope) -> frozenset[str]:
        return scope.actions if user is not None else scope.actions & self.anonymous

    def _bad_token(self, scopes: tuple[Scope, ...]) -> errors.Refusal:
        if self._bad_token_status != 401:
            return errors.Refusal(self._bad_token_status, "DENIED", "the authorization token has expired")
        return errors.unauthorized(self._challenge(scopes, error="invalid_token"))

    def _challenge(self, scopes: tuple[Scope, ...], *, error: str | None = None) -> str:
        parameters = {"realm": self.realm or self.endpoint, "service": self.service}
        if scopes:
            parameters["scope"] = " ".join(str(scope) for scope in scopes)
        if error is not None:
            parameters["error"] = error
        return "Bearer " + ",".join(f'{name}="{value}"' for name, value in parameters.items())


def scopes_of(call: Call) -> tuple[Scope, ...]:
    """Return what a request needs, by the rules of the token specification."""
    target = call.target
    if target.kind == "catalog":
        return (Scope("registry", "catalog", frozenset({"*"})),)
    if target.repository is None:
        return ()
    if call.method in _READING and target.kind != "upload":
        actions = {"pull"}
    elif call.method == "DELETE" and target.kind != "upload":
        actions = {"delete"}
    else:
        actions = {"pull", "push"}
    scopes = [Scope("repository", target.repository, frozenset(actions))]
    if "mount" in call.query and (source := call.query.get("from")):
        scopes.append(Scope("repository", source, frozenset({"pull"})))
    return tuple(scopes)


def user_of(call: Call, auth: Basic | Bearer) -> str:
    """Who a request is from, "" for nobody."""
    header = call.headers.get("Authorization", "")
    if isinstance(auth, Basic):
        return auth.user(header) or ""
    value = header.partition(" ")[2].strip()
    return next((token.user or "" for token in auth.issued if token.value == value), "")


def basic_user(authorization: str | None, users: Mapping[str, str]) -> str | None:
    """Return the user a Basic header proves to be, None without a header or with a wrong one."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    known = users.get(user)
    return user if known is not None and secrets.compare_digest(known.encode(), password.encode()) else None
