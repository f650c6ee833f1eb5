"""Parcel and Receipt: what is brought to a registry, and the head of what it says to that.

A parcel goes to the registry's own origin and nowhere else: what changes a repository is not sent on (THREATS B10).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from puller.registry.identity.auth import Scope
from puller.registry.transport.outflow import Outflow


@dataclass(frozen=True, slots=True)
class Parcel:
    """One request that may carry a body. `accepted` are the statuses that mean it was taken.

    `answer_within`: seconds from its last byte to the head of the answer; None as for any other request.
    """

    method: str
    url: URL = field(repr=False)
    what: str
    scope: Scope
    accepted: frozenset[int]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Outflow | None = field(default=None, repr=False)
    answer_within: float | None = None

    @property
    def can_repeat(self) -> bool:
        """Whether it can be sent again as it is."""
        return not isinstance(self.body, Outflow)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a parcel: `url` is what was asked, `body` its first bytes, which matter where it is a refusal.

    `foreseen`: of a 429, it is known for how long the host is to be left alone.
    """

    status: int
    url: URL = field(repr=False)
    lines: Mapping[str, list[str]] = field(repr=False)
    body: bytes = field(repr=False)
    foreseen: bool = False

    def header(self, name: str) -> list[str]:
        """Every line of one header."""
        return self.lines.get(name.lower(), [])
