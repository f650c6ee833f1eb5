"""Authenticator: answers a registry's challenges with Basic credentials or bearer tokens, and remembers the tokens.

One for each registry and identity. It knows no sockets: the session asks it what to send, tells it what was refused,
and lends it a TokenRequest.
"""

import copy
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import anyio

from puller.contracts.access import Credential, Identity
from puller.errors import ProtocolViolation, PullerError, RegistryError, Unauthorized
from puller.model.text import printable
from puller.registry.identity.challenge import Challenge, parse_challenges
from puller.registry.identity.realm import Realm, judge_realm
from puller.registry.identity.token import TokenAnswer, TokenRequest, read_token
from puller.registry.transport.origin import Origin

if TYPE_CHECKING:
    from puller.registry.transport.trace import Trace

__all__ = ["Authenticator", "Scope", "TokenAnswer", "TokenRequest"]

_LOG = logging.getLogger(__name__)
CLIENT_ID = "puller"
FRESH = 0.8  # of its lifetime a token is used; the rest is for requests under way and clocks that differ
MAX_SCOPES = 1024  # tokens kept: a long run over a large catalog must not grow without end


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request needs: actions on one repository. The order of actions does not count. See NO_SCOPE and CATALOG.

    `lender`: another repository that is read from, as where a blob is mounted.
    """

    repository: str
    actions: tuple[str, ...] = ("pull",)
    kind: str = "repository"
    lender: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "actions", tuple(sorted(set(self.actions))))

    def __str__(self) -> str:
        if not self.repository:
            return ""
        own = f"{self.kind}:{self.repository}:{','.join(self.actions)}"
        return f"{own} repository:{self.lender}:pull" if self.lender else own


NO_SCOPE = Scope("", ())  # no more than to show who we are, as at a login
CATALOG = Scope("catalog", ("*",), kind="registry")  # the list of repositories (distribution, token/scope.md)


@dataclass(frozen=True, slots=True)
class _Grant:
    """A token, whence it came, and until when it is used (`fresh`) and can be used (`end`), by the session's clock."""

    realm: Realm
    service: str
    authorization: str = field(repr=False)
    fresh: float
    end: float


@dataclass(slots=True)
class _Slot:
    """All about one scope.

    `lock` is held during a fetch; `ended` counts the fetches that came to an end, `failure` is how the last one failed.
    """

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    grant: _Grant | None = None
    ended: int = 0
    failure: RegistryError | None = None


class Authenticator:
    """What to send as Authorization to one registry, as one identity or as nobody.

    Credentials go to the registry's own origin (Basic) and to token servers that `judge_realm` trusts, never over
    plain HTTP unless `allow_plain` says the user has named the registry for it. `token_hosts` are further hosts that
    the user trusts with them. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        registry: Origin,
        identity: Identity | None,
        request: TokenRequest,
        clock: Callable[[], float],
        allow_plain: bool = False,
        token_hosts: Collection[str] = (),
        trace: "Trace | None" = None,
    ) -> None:
        self._trace = trace
        self._registry = registry
        self._identity = identity
        self._asking = anyio.Lock()
        self._asked = False
        self._credential: Credential | None = None
        self._request = request
        self._clock = clock
        self._allow_plain = allow_plain
        self._token_hosts = frozenset(token_hosts)
        self._standing: str | None = None
        self._shown = False
        self._slots: dict[Scope, _Slot] = {}

    @property
    def has_shown_credentials(self) -> bool:
        """Whether the secret has been sent to anybody: nobody may have asked, or nobody who is trusted with it."""
        return self._shown

    async def authorization(self, scope: Scope) -> str | None:
        """What to send without having been asked: None as long as nothing is known.

        A token that is about to expire is replaced first; where that fails for the moment and the old one still
        lives, the old one is returned. Raises RegistryError.
        """
        slot = self._slots.get(scope)
        grant = slot.grant if slot is not None else None
        if slot is None or grant is None:
            return self._standing
        if self._clock() < grant.fresh:
            return grant.authorization
        try:
            with self._placed():
                return await self._renewed(slot, scope, grant.realm, grant.service, old=grant.authorization)
        except RegistryError as error:
            if error.retryable and self._clock() < grant.end:
                return grant.authorization
            raise

    async def challenged(self, scope: Scope, challenges: Sequence[str], *, rejected: str | None) -> str:
        """What to send after a 401, or after a 400 to a request with a token.

        `challenges` are the WWW-Authenticate lines, `rejected` the Authorization that was sent. However many tasks
        come with the same rejected token, one new one is fetched; a caller whose second value is refused as well must
        give up. Of several challenges Bearer counts before Basic, and schemes unknown here are passed over.

        Raises Unauthorized; UnsafeRedirect or ProtocolViolation for a hostile challenge (THREATS B3, B14); and
        RegistryError for what the token server does.
        """
        with self._placed():
            offered = parse_challenges(challenges)
            bearer = next((challenge for challenge in offered if challenge.scheme == "bearer"), None)
            if bearer is not None:
                return await self._answer_bearer(scope, bearer, rejected)
            if any(challenge.scheme == "basic" for challenge in offered):
                return await self._answer_basic(rejected)
            slot = self._slots.get(scope)
            if not offered and rejected is not None and slot is not None and slot.grant is not None:
                # ECR Public refuses an expired token by a 400 without any challenge; the last one still holds.
                return await self._renewed(slot, scope, slot.grant.realm, slot.grant.service, old=rejected)
            schemes = ", ".join(challenge.scheme for challenge in offered)[:80]
            raise Unauthorized("the registry offers no way to log in", wanted="Bearer or Basic", got=schemes or "none")

    async def _answer_basic(self, rejected: str | None) -> str:
        credential = await self._known(rejected)
        if credential is None:
            hint = "Log in first (puller login), and look whether the name is right."
            raise Unauthorized("the registry wants a user name and password, and none are known for it", hint=hint)
        if not credential.password:
            raise Unauthorized("the registry wants a password, and only a token is known for it")
        return self._stand_by(credential.basic, rejected, "user name and password")

    def _stand_by(self, authorization: str, rejected: str | None, kind: str) -> str:
        """Send this to the registry itself, from now on unasked."""
        self._refuse_clear_text(self._registry)
        if rejected == authorization:
            raise Unauthorized(f"the registry refuses the {kind} known for it")
        self._standing, self._shown = authorization, True
        return authorization

    async def _known(self, rejected: str | None = None) -> Credential | None:
        """The credential, asked for only when it is needed; another, if there is one, in place of a `rejected` one."""
        if self._identity is None:
            return None
        async with self._asking:
            self._credential = known = await self._identity.credential()
            self._asked = True
            if known is not None and known.basic == rejected:
                self._credential = await self._identity.renewed(known) or known
            return self._credential

    async def _answer_bearer(self, scope: Scope, challenge: Challenge, rejected: str | None) -> str:
        known = await self._known()
        if known is not None and known.registry_token:
            # docker/cli, types.AuthConfig: RegistryToken is a bearer token that no token server has to be asked for.
            return self._stand_by(f"Bearer {known.registry_token}", rejected, "token")
        text = challenge.parameters.get("realm")
        if text is None:
            raise ProtocolViolation("an authentication challenge without realm", wanted="the URL of a token server")
        realm = judge_realm(text, self._registry, self._token_hosts)
        if rejected is not None and challenge.parameters.get("error") == "insufficient_scope":
            # RFC 6750 §3.1. What was asked for is what is needed, so another token would be refused as well.
            what = "the registry does not grant this identity what is needed"
            raise Unauthorized(what, wanted=str(scope), hint=self._hint(realm))
        slot = self._slot(scope)
        return await self._renewed(slot, scope, realm, challenge.parameters.get("service", ""), old=rejected)

    async def _renewed(self, slot: _Slot, scope: Scope, realm: Realm, service: str, *, old: str | None) -> str:
        """The authorization that follows `old`: fetched once, however many tasks ask for it at a time."""
        before, ended = slot.grant, slot.ended
        async with slot.lock:
            grant = slot.grant
            if grant is not None and (grant.realm.url, grant.service) == (realm.url, service):
                is_new = grant is not before or grant.authorization != old
                if is_new and self._clock() < grant.fresh:
                    return grant.authorization
            if slot.ended != ended and slot.failure is not None:
                raise copy.copy(slot.failure)  # whoever waited for a fetch shares its end: no queue of failures
            try:
                slot.grant = await self._fetch(scope, realm, service)
            except RegistryError as error:
                slot.ended += 1
                slot.failure = copy.copy(error)  # without the traceback, which would keep the answer alive
                raise
            slot.ended += 1
            slot.failure = None
            return slot.grant.authorization

    async def _fetch(self, scope: Scope, realm: Realm, service: str) -> _Grant:
        credential = await self._known() if realm.trusted else None
        if credential is not None:
            self._refuse_clear_text(realm.origin)
        elif self._identity is not None and not realm.trusted:
            _LOG.warning("credentials for %s are not sent to %s", self._registry, printable(realm.origin.netloc))
        started = self._clock()
        wish = {name: value for name, value in (("service", service), ("scope", str(scope))) if value}
        try:
            token = read_token(await self._answer(realm, credential, wish))
        except RegistryError as error:
            # What passes was tried again inside; `attempts` tells the session that this is the end of it.
            error.at(host=realm.origin.netloc, attempts=1)
            if isinstance(error, Unauthorized):
                error.hint = self._hint(realm)
            raise
        if self._trace is not None:
            account = self._identity.name if self._identity is not None and credential is not None else ""
            self._trace.granted(realm.origin.netloc, str(scope), token.lifetime, account)
        fresh, end = started + token.lifetime * FRESH, started + token.lifetime
        return _Grant(realm, service, f"Bearer {token.text}", fresh, end)

    async def _answer(self, realm: Realm, credential: Credential | None, wish: Mapping[str, str]) -> TokenAnswer:
        """The token server's answer; where it refuses the secret, that to another one, if there is one."""
        answer = await self._ask(realm, credential, wish)
        if credential is None or self._identity is None:
            return answer
        self._shown = True
        # RFC 6749 §5.2: 400 is what a token server says to an identity token that has ended.
        if answer.status == 401 or (answer.status == 400 and credential.identity_token):
            another = await self._identity.renewed(credential)
            if another is not None:
                return await self._ask(realm, another, wish)
        return answer

    async def _ask(self, realm: Realm, credential: Credential | None, wish: Mapping[str, str]) -> TokenAnswer:
        """Ask for a token: by POST with an identity token (oauth.md), else by GET as somebody or nobody (token.md)."""
        headers = {"Accept": "application/json"}
        if credential is not None and credential.identity_token:
            grant = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": credential.identity_token}
            url, form = _url(realm, {}), {**grant, **wish}
            return await self._request("POST", url, headers=headers, form=form, public_only=realm.public_only)
        if credential is not None:
            headers["Authorization"] = credential.basic
        url = _url(realm, wish)
        return await self._request("GET", url, headers=headers, form=None, public_only=realm.public_only)

    def _slot(self, scope: Scope) -> _Slot:
        slot = self._slots.pop(scope, None) or _Slot()
        while len(self._slots) >= MAX_SCOPES:
            del self._slots[next(iter(self._slots))]
        self._slots[scope] = slot
        return slot

    def _refuse_clear_text(self, origin: Origin) -> None:
        """Raise Unauthorized if credentials would go over plain HTTP that nobody asked for (THREATS B1)."""
        if origin.scheme == "http" and not self._allow_plain:
            raise Unauthorized(
                "credentials are not sent over plain HTTP",
                got=str(origin),
                hint=f"If that is meant, name the registry: --plain-http {self._registry.netloc}",
            )

    def _hint(self, realm: Realm) -> str:
        """What to do about a refusal by, or with a token of, `realm`."""
        if self._identity is None or (self._asked and self._credential is None):
            hint = "Log in first (puller login), and look whether the name is right:"
            return f"{hint} registries refuse what does not exist."
        if realm.trusted:
            return "Look whether the name is right and the credentials are current."
        return (
            f"The credentials for {self._registry.netloc} were not sent to its token server {realm.origin.netloc}: "
            f"it may be of another owner. If it is right: --token-host {realm.origin.host}."
        )

    @contextmanager
    def _placed(self) -> Iterator[None]:
        """Add to every error where it happened."""
        try:
            yield
        except PullerError as error:
            error.at(host=self._registry.netloc, phase="authentication")
            raise


def _url(realm: Realm, wish: Mapping[str, str]) -> str:
    """The realm's URL with `wish` in its query; each of several scopes is a parameter of its own (token.md, `scope`).

    A scope that the realm brings along is left out: what is asked for is decided here (THREATS B12).
    """
    parts = urlsplit(realm.url)
    own = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(key, value) for key, value in own if key != "scope" and key not in wish]
    wished = [(key, value) for key, text in wish.items() for value in (text.split(" ") if key == "scope" else (text,))]
    return urlunsplit(parts._replace(query=urlencode([*kept, *wished], quote_via=quote)))
