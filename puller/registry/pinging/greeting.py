"""Greeting: what a registry says to a stranger at its door (`GET /v2/`), and whether it lets us in."""

from collections.abc import Collection, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime

from puller.contracts.access import Identity
from puller.errors import InvalidConfig, ProtocolViolation, RegistryError, TLSFailure, Unauthorized, UnsafeRedirect
from puller.model.text import printable
from puller.registry.answer import Answer, Request
from puller.registry.failure import MAX_ERROR
from puller.registry.headers import media_type
from puller.registry.identity.auth import Scope
from puller.registry.identity.challenge import HEADER, Challenge, parse_challenges
from puller.registry.identity.realm import judge_realm
from puller.registry.pinging.finding import Admitted, Clock, Finding, Greeted, Oddity, Tokens, Trouble, Verdict
from puller.registry.session import Session
from puller.registry.transport.origin import Origin

SKEW = 60.0  # seconds; a token that lives as long as the spec's minimum is of no use to a clock that is further off
_SHOWN = 60
_WEB = frozenset({"text/html", "application/xhtml+xml"})


def door(session: Session, scope: Scope) -> Request:
    """The request that asks for nothing but to be let in (distribution spec, end-1)."""
    return Request("GET", f"{session.base}/", "GET /v2/", scope)


def greeted(answer: Answer, body: bytes, challenges: Collection[Challenge]) -> Greeted:
    """What the answer to a stranger tells."""
    problem = _problem(answer, body, challenges)
    versions = answer.header("Docker-Distribution-Api-Version")
    connection = ", ".join(answer.header("Connection")).lower()
    http = answer.response.version
    is_new = http is not None and (http.major, http.minor) >= (1, 1)
    verdict = Verdict.FAIL if problem else Verdict.OK
    return Greeted(
        verdict,
        answer.status,
        printable(versions[0], limit=_SHOWN) if versions else "",
        tuple(printable(challenge.scheme, limit=_SHOWN) for challenge in challenges),
        answer.origin.netloc,
        "" if http is None else f"HTTP/{http.major}.{http.minor}",
        is_new and "close" not in connection,
        problem,
    )


def _problem(answer: Answer, body: bytes, challenges: Collection[Challenge]) -> Oddity:
    status = answer.status
    is_page = media_type(next(iter(answer.header("Content-Type")), None)) in _WEB
    if b"HTTPS server" in body or b"HTTPS port" in body:  # net/http of Go, nginx
        return "speaks-tls"
    if b"No required SSL certificate" in body or b"SSL certificate error" in body:  # nginx, after the handshake
        return "wants-certificate"
    if status == 401:
        return "" if challenges else "refuses"
    if is_page and (answer.redirected or status == 200):
        return "web-page"
    if status in (404, 410):
        return "no-registry"
    if status == 200:
        return ""
    if status == 429:
        return "busy"
    return "refuses" if status == 403 else "fails" if status >= 500 else "odd"


def offered(answer: Answer) -> tuple[list[Challenge], Trouble | None]:
    """The ways to log in that an answer names, or what is wrong with how it does."""
    try:
        return parse_challenges(answer.header(HEADER)) if answer.status == 401 else [], None
    except ProtocolViolation as error:
        return [], Trouble(Verdict.FAIL, "registry", error)


def tokens(
    challenges: Collection[Challenge], registry: Origin, hosts: Collection[str], account: Identity | None
) -> Iterator[Finding]:
    """The token server of a Bearer challenge, and whether it may see credentials."""
    bearer = next((challenge for challenge in challenges if challenge.scheme == "bearer"), None)
    if bearer is None:
        return
    try:
        realm = judge_realm(bearer.parameters.get("realm", ""), registry, hosts)
    except (ProtocolViolation, UnsafeRedirect) as error:
        words = error.what if error.where is None else f"{error.what}: {error.where}"
        host = printable(str(error.got or ""), limit=_SHOWN)
        yield Tokens(Verdict.FAIL, host, trusted=False, has_account=account is not None, problem=words)
        return
    verdict = Verdict.OK if realm.trusted else Verdict.WARN if account is not None else Verdict.NOTE
    yield Tokens(verdict, realm.origin.netloc, realm.trusted, account is not None)


def clock(answer: Answer, now: float) -> Iterator[Clock]:
    """How this machine's clock stands to the server's; nothing where the server tells no time."""
    dates = answer.header("Date")
    try:
        date = parsedate_to_datetime(dates[0]) if len(dates) == 1 else None
        if date is None:
            return
        there = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return
    ahead = float(round(now - there))
    yield Clock(Verdict.WARN if abs(ahead) > SKEW else Verdict.OK, ahead)


async def admitted(session: Session, scope: Scope, account: Identity | None, *, challenged: bool) -> Admitted | Trouble:
    """Whether we are let in as `account`, or as nobody."""
    name = "" if account is None else printable(account.name, limit=160)
    try:
        await session.read(door(session, scope), limit=MAX_ERROR)
    except (Unauthorized, InvalidConfig) as error:
        what = error.what if error.got is None else f"{error.what} ({printable(str(error.got), limit=80)})"
        return Admitted(Verdict.FAIL, name, session.has_shown_credentials, challenged, what, error.hint)
    except (RegistryError, TLSFailure) as error:
        return Trouble(Verdict.FAIL, "registry", error)
    return Admitted(Verdict.OK, name, session.has_shown_credentials, challenged)
