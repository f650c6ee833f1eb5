"""Request and Answer: what is asked of a registry, and the head of what it says, whoever said it in the end."""

import re
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from puller.registry.identity.auth import Scope
from puller.registry.transport.hush import hushed
from puller.registry.transport.origin import Origin

# RFC 9110 section 8.8.3, without the obsolete bytes beyond ASCII: such a tag could not be sent back as it came.
_STRONG_ETAG = re.compile(r'"[!#-~]*"', re.ASCII)


@dataclass(frozen=True, slots=True)
class Validator:
    """A strong ETag and the origin it came from: another origin's tags mean nothing (RFC 9110 §8.8.3)."""

    origin: Origin
    etag: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where a registry has sent a request on: signed perhaps, so it is shown nowhere, and good for a while only."""

    url: URL = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a registry. `path` is encoded already.

    `start` asks for the bytes from there on, up to, not including, `end` where that is given.
    """

    method: str
    path: str
    what: str
    scope: Scope
    accept: tuple[str, ...] = ("*/*",)
    start: int = 0
    end: int | None = None
    validator: Validator | None = None

    @property
    def is_ranged(self) -> bool:
        """Whether less than the whole is asked for."""
        return self.start > 0 or self.end is not None

    def headers(self, origin: Origin, *, user_agent: str, authorization: str | None) -> dict[str, str]:
        """Everything that is sent to `origin` beside Host: a fresh set for every hop (THREATS B6)."""
        headers = {"User-Agent": user_agent, "Accept": ", ".join(self.accept), "Accept-Encoding": "identity"}
        if self.is_ranged:
            headers["Range"] = f"bytes={self.start}-" if self.end is None else f"bytes={self.start}-{self.end - 1}"
            if self.validator is not None and self.validator.origin == origin:
                headers["If-Range"] = self.validator.etag
        if authorization is not None:
            headers["Authorization"] = authorization
        return headers


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer, its body still on the line. `at_home`: it came from the registry's own origin."""

    response: aiohttp.ClientResponse
    origin: Origin
    at_home: bool
    redirected: bool

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def location(self) -> Location | None:
        """Where the same may be asked for again without the registry; None where the registry itself has answered."""
        return None if self.at_home else Location(self.response.url, self.origin)

    @property
    def validator(self) -> Validator | None:
        """Its strong ETag; a weak one is no promise about bytes, and a malformed one is none."""
        etags = self.header("ETag")
        if len(etags) != 1 or not _STRONG_ETAG.fullmatch(etags[0]):
            return None
        return Validator(self.origin, etags[0])

    def header(self, name: str) -> list[str]:
        """Every line of one header."""
        return self.response.headers.getall(name, [])

    def hushed(self, body: bytes) -> bytes:
        """`body`, or another part of the answer, without what it repeats of the request's secrets (THREATS B15)."""
        return hushed(body, self.response.request_info.headers, self.response.url) if body else body

    def texts(self, name: str) -> list[str]:
        """The lines of a header that is there to be shown, hushed."""
        lines = (line.encode("utf-8", "surrogateescape") for line in self.header(name))
        return [self.hushed(line).decode("utf-8", "surrogateescape") for line in lines]

    def close(self) -> None:
        """Give up the rest of the body, and the connection unless it is at its end."""
        self.response.close()
