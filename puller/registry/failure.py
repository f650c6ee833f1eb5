"""Failure: an answer that is no success, as a typed error with the registry's own words in it.

Foreign exceptions of the connection are translated in `wire`, not here.
"""

import re
from typing import Any

from puller.errors import (
    InvalidManifest,
    NotFound,
    ProtocolViolation,
    RateLimited,
    RegistryError,
    Unauthorized,
    Unavailable,
)
from puller.model.document import load_document
from puller.model.text import printable
from puller.registry.retry import passes

MAX_ERROR = 64 << 10  # bytes read of an error body (THREATS C7)
_MAX_LISTED = 3
_STATUS = re.compile(r"HTTP ([0-9]{3})(?::|$)", re.ASCII)
_SHOWN = 200
_TLS_HINT = (
    "It was asked without TLS. If it speaks TLS, leave out --plain-http; of a registry on this machine give the"
    " authority: --ca FILE, or ca.crt in a certs.d folder."
)

# As distribution answers where it is in maintenance or a pull-through cache (registry/handlers, readOnly).
_READ_ONLY_HINT = "Does it take images at all? One that is read-only, or a cache of another, does not."


def failed(status: int, body: bytes, *, what: str, host: str, plain: bool = False) -> RegistryError:
    """The error for an answer of `host` to a request for `what`; `body` holds its first bytes. `plain`: without TLS.

    The codes are those of the distribution spec ("Error Codes"); a body that is not of that form is left out.
    """
    kind = _kind(status)
    # What speaks TLS says 400 to a request without (net/http, nginx); to a HEAD there is no body that tells more.
    hint = _TLS_HINT if plain and status == 400 else _hint(kind, what)
    if status == 405 and what.startswith("upload"):
        hint = _READ_ONLY_HINT
    error = kind(f"{what}: {_meaning(kind, status, what)}", got=_told(status, body), hint=hint)
    return error.at(host=host)


def _kind(status: int) -> type[RegistryError]:
    if status in (401, 403):
        return Unauthorized
    if status in (404, 410):
        return NotFound
    if status == 429:
        return RateLimited
    return Unavailable if passes(status) else ProtocolViolation


def _meaning(kind: type[RegistryError], status: int, what: str) -> str:
    if status == 401 and what == "login":
        return "the registry does not take this user name and password"
    if kind is Unauthorized:
        return "the registry refuses" if status == 403 else "the registry wants other credentials"
    if kind is NotFound:
        return "not found"
    if kind is RateLimited:
        return "too many requests"
    return "the server fails" if kind is Unavailable else "unexpected answer"


def _hint(kind: type[RegistryError], what: str) -> str:
    if kind is NotFound and what.startswith("blob"):
        return "The registry names it and does not have it: try again later, or tell its owner."
    if kind is NotFound:
        return "Is the name right? `puller tags REPO` lists the tags of a repository."
    if kind is Unauthorized and what == "login":
        return "Are both right? Some registries want a token in place of the password."
    if kind is Unauthorized:
        return "Is the name right? Many registries refuse what does not exist; else log in first."
    if kind is RateLimited:
        return "Try again later, or log in: registries allow more to those they know."
    return ""


def _told(status: int, body: bytes) -> str:
    told = "; ".join(messages(body))
    return f"HTTP {status}: {told}" if told else f"HTTP {status}"


def status_told(error: RegistryError) -> int | None:
    """The HTTP status that an error of `failed` stands for; None for other errors."""
    match = _STATUS.match(str(error.got))
    return None if match is None else int(match[1])


def codes(body: bytes) -> list[str]:
    """The first codes of an error document; none where `body` is none."""
    found = (entry.get("code") for entry in _entries(body))
    return [code for code in found if isinstance(code, str)]


def messages(body: bytes) -> list[str]:
    """The first codes with their messages, made safe to show; none where `body` is no error document."""
    words = ((entry.get("code"), entry.get("message")) for entry in _entries(body))
    shown = [printable(" ".join(w for w in pair if isinstance(w, str)), limit=_SHOWN) for pair in words]
    return [text for text in shown if text]


def _entries(body: bytes) -> list[dict[str, Any]]:
    try:
        errors = load_document(body, what="error", limit=MAX_ERROR).get("errors")
    except InvalidManifest:
        return []
    return [entry for entry in errors[:_MAX_LISTED] if isinstance(entry, dict)] if isinstance(errors, list) else []
