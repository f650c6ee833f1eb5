"""Token: what a token server answers, and for how long it is good (distribution spec/auth/token.md, oauth.md)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from puller.errors import InvalidManifest, ProtocolViolation, RateLimited, RegistryError, Unauthorized, Unavailable
from puller.model.document import load_document

MAX_ANSWER = 1 << 20
MAX_TOKEN = 32 << 10  # more than any server takes in one header
# token.md: without expires_in a token lives 60 s, and none lives less. The upper bound only costs a request an hour.
SHORTEST, LONGEST = 60.0, 3600.0
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A token server's answer; the body is a secret, and at most MAX_ANSWER + 1 bytes of it are ever kept."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class TokenRequest(Protocol):
    """How a token server is reached: given by the session."""

    async def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str], form: Mapping[str, str] | None, public_only: bool
    ) -> TokenAnswer:
        """Ask once, under the registry's own TLS policy (THREATS B4), with `form` URL-encoded as the body.

        Redirects are not followed, failures that pass are retried inside. With `public_only` a connection to an
        address that is not public is refused, unless the registry lives at such an address too. Raises RegistryError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and the seconds it may be used from the moment it was asked for."""

    text: str = field(repr=False)
    lifetime: float


def read_token(answer: TokenAnswer) -> Token:
    """The token of an answer.

    Raises Unauthorized (400, 401, 403), RateLimited, Unavailable or ProtocolViolation; nothing of the body enters an
    error, since a token server may repeat what it was sent (RELIABILITY N12, THREATS B15).
    """
    if answer.status != 200:
        raise _refusal(answer.status)
    try:
        document = load_document(answer.body, what="token answer", limit=MAX_ANSWER)
    except InvalidManifest:
        wanted = f"a JSON object of at most {MAX_ANSWER} bytes"
        raise ProtocolViolation("unusable answer of the token server", wanted=wanted) from None
    # When both are given they should be the same, else the choice is the client's (token.md): the older name wins.
    text = document.get("token") or document.get("access_token")
    if not isinstance(text, str):
        raise ProtocolViolation("the token server answered without a token")
    if len(text) > MAX_TOKEN or not _VISIBLE.fullmatch(text):
        raise ProtocolViolation("the token cannot be sent", wanted=f"at most {MAX_TOKEN} visible ASCII characters")
    return Token(text, _lifetime(document.get("expires_in")))


def _lifetime(value: Any) -> float:
    """Seconds by `expires_in`, kept within reason. `issued_at` is not read: it is a foreign clock (THREATS B13)."""
    return float(min(max(value, SHORTEST), LONGEST)) if isinstance(value, int | float) else SHORTEST


def _refusal(status: int) -> RegistryError:
    if status in (400, 401, 403):
        return Unauthorized("the token server refuses", got=f"status {status}")
    if status == 429:
        return RateLimited("the token server asks for patience", got=f"status {status}")
    if status >= 500:
        return Unavailable("the token server fails", got=f"status {status}")
    return ProtocolViolation("unusable answer of the token server", wanted="status 200", got=f"status {status}")
