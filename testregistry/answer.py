"""An answer of the registry as a value: status, headers, body, and how the wire shall deliver it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from testregistry.body import EMPTY, Body, BytesBody

Headers = tuple[tuple[str, str], ...]


class Framing(Enum):
    """How the end of the body is told."""

    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()  # HTTP/1.0: the end of the connection is the end of the body


class Ending(Enum):
    """How a broken delivery ends."""

    FIN = auto()
    RESET = auto()


class Silence(Enum):
    """How a request is left without any answer, be it a status line."""

    HANG = auto()
    DROP = auto()


@dataclass(frozen=True, slots=True)
class Delivery:
    """Departures from a plain, whole answer. Counts are body bytes of this answer, times are seconds."""

    framing: Framing = Framing.LENGTH
    declared_length: int | None = None
    cut_after: int | None = None
    ending: Ending = Ending.FIN
    stall_after: int | None = None
    stall_seconds: float | None = None
    rate: float | None = None
    pace: float | None = None
    silence: Silence | None = None

    @property
    def is_plain(self) -> bool:
        """True when the body may be handed to the kernel in one go."""
        return (self.cut_after, self.stall_after, self.rate, self.pace) == (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers in order (names may repeat) and body; `offset` is where the body starts in the whole content."""

    status: int
    headers: Headers = ()
    body: Body = EMPTY
    offset: int = 0
    reason: str | None = None
    delivery: Delivery = field(default_factory=Delivery)

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_headers(self, *added: tuple[str, str]) -> Answer:
        """Return this answer with headers put after the present ones."""
        return replace(self, headers=(*self.headers, *added))

    def without(self, *names: str) -> Answer:
        """Return this answer without any header of these names."""
        gone = {name.lower() for name in names}
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0].lower() not in gone))

    def replacing(self, name: str, value: str) -> Answer:
        """Return this answer with exactly one header of this name."""
        return self.without(name).with_headers((name, value))


def json_answer(status: int, document: Mapping[str, object], *headers: tuple[str, str]) -> Answer:
    """Return a JSON document as an answer."""
    raw = json.dumps(document, separators=(",", ":")).encode()
    return Answer(status, (("Content-Type", "application/json"), *headers), BytesBody(raw))
