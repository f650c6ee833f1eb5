"""Hush: takes back out of an answer what secrets of ours it repeats, before anybody reads or shows it (THREATS B15).

Debugging proxies and careless servers put the request into their error: its Authorization, its password, its signature.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping

from yarl import URL

SHORTEST = 4  # characters; less is in too many words to be taken out
_LONG = 16  # of a value in a query: what is shorter signs nothing
_HUSHED = "…".encode()
# What every request says, to whomever it goes.
_PUBLIC = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "if-range", "range"}
    | {"transfer-encoding", "user-agent"}
)


def hushed(body: bytes, headers: Mapping[str, str], url: URL) -> bytes:
    """`body` without what was secret in the request that it answers."""
    secrets = sorted(set(_secrets(headers, url)), key=len, reverse=True)  # the longest first: it may hold others
    for secret in secrets:
        for form in _written(secret):
            body = body.replace(form, _HUSHED)
    return body


def _secrets(headers: Mapping[str, str], url: URL) -> Iterator[str]:
    for name, value in headers.items():
        if name.lower() not in _PUBLIC:
            yield from (secret for secret in _parts(value) if len(secret) >= SHORTEST)
    yield from (value for value in url.query.values() if len(value) >= _LONG)


def _parts(value: str) -> Iterator[str]:
    """A header's value, what follows its scheme, and the password in that."""
    yield value
    scheme, _, credentials = value.partition(" ")
    yield credentials
    if scheme.lower() == "basic":
        try:
            plain = base64.b64decode(credentials, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return
        yield plain
        yield plain.partition(":")[2]


def _written(secret: str) -> Iterator[bytes]:
    """As it is, and as JSON may have it."""
    plain = secret.encode("utf-8", "surrogateescape")
    yield plain
    for text in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], secret.replace("/", "\\/")):
        form = text.encode("utf-8", "surrogateescape")
        if form != plain:
            yield form
