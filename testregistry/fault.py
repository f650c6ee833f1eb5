"""What a scripted fault is: which requests it meets, how often, and what it does in place of, or to, the answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypedDict

from testregistry.answer import Answer
from testregistry.call import Call, Handler
from testregistry.journal import Request
from testregistry.target import Kind

# Called with the request and the rest of the registry; it may ask the registry, change what it asks, or not ask at all.
Act: TypeAlias = Callable[[Call, Handler, "Powers"], Awaitable[Answer]]


class Powers(Protocol):
    """What a fault may do to the registry besides answering."""

    def expire_tokens(self) -> None:
        """Make every token issued so far invalid."""
        ...


class Where(TypedDict, total=False):
    """Which requests a fault meets, beside the digest: the keyword arguments common to all faults."""

    kind: Kind
    method: str
    repository: str
    path: str
    ranged: bool
    before_auth: bool
    times: int | None
    skip: int


@dataclass(frozen=True, slots=True)
class Match:
    """Conditions on a request; None accepts anything. `path` is a regular expression searched in path and query.

    `digest` fits the digest asked for, also behind a tag. `ranged`: only requests with (True) or without (False) a
    Range header. `times` requests are met (None: all), after the first `skip` that fit were left alone.
    `before_auth`: also requests the registry would turn away with 401 (always so for ping and token requests).
    """

    digest: str | None = None
    kind: Kind | None = None
    method: str | None = None
    repository: str | None = None
    path: str | None = None
    ranged: bool | None = None
    before_auth: bool = False
    times: int | None = 1
    skip: int = 0

    def fits(self, request: Request) -> bool:
        """Tell whether a request meets every condition (not counting `times` and `skip`)."""
        whole = f"{request.path}?{request.query}" if request.query else request.path
        return (
            (self.digest is None or self.digest in (request.digest, request.reference))
            and (self.kind is None or self.kind == request.kind)
            and (self.method is None or self.method == request.method)
            and (self.repository is None or self.repository == request.repository)
            and (self.path is None or re.search(self.path, whole) is not None)
            and (self.ranged is None or self.ranged == (request.range is not None))
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as a value: the same one may be armed in many registries, each counts for itself."""

    name: str
    match: Match
    act: Act


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    met: int = 0

    def claims(self, request: Request) -> bool:
        match = self.fault.match
        if (match.times is not None and self.met >= match.times) or not match.fits(request):
            return False
        self.seen += 1
        if self.seen <= match.skip:
            return False
        self.met += 1
        return True


class Faults:
    """The faults armed in one registry, in order: the first stands outermost where several meet one request."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._armed = [_Armed(fault) for fault in faults]

    def __iter__(self) -> Iterator[Fault]:
        return (armed.fault for armed in self._armed)

    def append(self, *faults: Fault) -> None:
        """Arm more faults."""
        self._armed.extend(_Armed(fault) for fault in faults)

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()

    def met(self, fault: Fault) -> int:
        """Return how many requests this fault has met so far."""
        return sum(armed.met for armed in self._armed if armed.fault is fault)

    def claim(self, request: Request, *, before_auth: bool) -> list[Fault]:
        """Return the faults this request meets at this stage, counting it for each."""
        early = request.kind in ("ping", "token")
        return [
            armed.fault
            for armed in self._armed
            if (armed.fault.match.before_auth or early) == before_auth and armed.claims(request)
        ]


def compose(handler: Handler, faults: list[Fault], powers: Powers) -> Handler:
    """Return the handler with these faults around it, the first outermost."""
    for fault in reversed(faults):
        handler = _around(handler, fault, powers)
    return handler


def _around(inner: Handler, fault: Fault, powers: Powers) -> Handler:
    async def handler(call: Call) -> Answer:
        call.record.faults.append(fault.name)
        return await fault.act(call, inner, powers)

    return handler
