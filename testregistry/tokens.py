"""The token endpoint: GET with Basic credentials or none, POST with a refresh token or a password."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs

from testregistry import errors
from testregistry.answer import Answer, json_answer
from testregistry.auth import Bearer, Scope, Token, basic_user
from testregistry.call import Call

_FORM_LIMIT = 64 * 1024


async def handle(auth: Bearer, call: Call) -> Answer:
    """Answer a request to the token endpoint. Raises Refusal."""
    match call.method:
        case "GET":
            return _grant(auth, call)
        case "POST":
            return await _grant_form(auth, call)
        case _:
            raise errors.unsupported("tokens are asked for with GET or POST", allow="GET, POST")


def _grant(auth: Bearer, call: Call) -> Answer:
    _check_service(auth, call.query.get("service"))
    user = None
    if "Authorization" in call.headers:
        user = basic_user(call.headers.get("Authorization"), auth.users)
        if user is None:
            raise errors.unauthorized('Basic realm="testregistry tokens"')
    token = auth.issue(user, _scopes(call.query.getall("scope", [])))
    offline = call.query.get("offline_token", "") in ("true", "1")
    refresh = auth.issue_identity(user) if offline and user is not None else None
    return _answer(auth, token, auth.field, refresh)


async def _grant_form(auth: Bearer, call: Call) -> Answer:
    raw = await call.read(_FORM_LIMIT)
    form = {key: values[0] for key, values in parse_qs((raw or b"").decode("utf-8", "replace")).items()}
    call.record.form.update(form)
    _check_service(auth, form.get("service"))
    match form.get("grant_type"):
        case "refresh_token":
            user = auth.identity_tokens.get(form.get("refresh_token", ""))
            refresh = form.get("refresh_token")
        case "password":
            name, password = form.get("username", ""), form.get("password", "")
            user = name if password and auth.users.get(name) == password else None
            refresh = auth.issue_identity(user) if user and form.get("access_type") == "offline" else None
        case _:
            raise errors.Refusal(400, "UNSUPPORTED", "grant_type must be refresh_token or password")
    if user is None:
        raise errors.unauthorized(None)
    return _answer(auth, auth.issue(user, _scopes([form.get("scope", "")])), "access_token", refresh)


def _answer(auth: Bearer, token: Token, field: str, refresh: str | None) -> Answer:
    names = ("token", "access_token") if field == "both" else (field,)
    document: dict[str, object] = dict.fromkeys(names, token.value)
    if auth.expires_in is not None:
        document["expires_in"] = auth.expires_in
    document["issued_at"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document["scope"] = " ".join(str(scope) for scope in token.scopes)
    if refresh is not None:
        document["refresh_token"] = refresh
    return json_answer(200, {**document, **auth.extra}, ("Cache-Control", "no-store"))


def _check_service(auth: Bearer, service: str | None) -> None:
    if service != auth.service:
        raise errors.Refusal(400, "UNSUPPORTED", "this endpoint issues no tokens for such a service")


def _scopes(texts: list[str]) -> tuple[Scope, ...]:
    words = [word for text in texts for word in text.split()]
    scopes = [Scope.parse(word) for word in words]
    return tuple(scope for scope in scopes if scope is not None)
