"""Trace: tells every request as facts, for `--debug`. Where nobody listens there is none, and nothing is made.

What it tells is safe to show (THREATS B15): URLs are redacted, and of headers only those are told whose values have the
form of a number, a range or a length; a server that puts a secret of ours there is not repeated.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from types import SimpleNamespace
from typing import Final, Self

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from puller.errors import PullerError
from puller.model.event import Event, PassedOver, Report, Retrying, Traced, Waiting
from puller.model.exchange import (
    Answered,
    Asked,
    Granted,
    Line,
    Overdue,
    Received,
    Redirected,
    Remarked,
    Retried,
    Unanswered,
)
from puller.registry.transport.origin import redacted

_NUMBER: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_LENGTH: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
# `100;w=21600` of the draft that Docker Hub follows (draft-ietf-httpapi-ratelimit-headers-03).
_QUOTA: Final = re.compile(r"[0-9]{1,12}(?:[;,] ?(?:w=)?[0-9]{1,12})*", re.ASCII)
_RANGE: Final = re.compile(r"bytes (?:[0-9]{1,19}-[0-9]{1,19}|\*)/(?:[0-9]{1,19}|\*)", re.ASCII)
_TOLD: Final[Mapping[str, re.Pattern[str]]] = {
    "Content-Length": _LENGTH,
    "Content-Range": _RANGE,
    "Retry-After": _NUMBER,
    "RateLimit-Limit": _QUOTA,
    "RateLimit-Remaining": _QUOTA,
    "RateLimit-Reset": _NUMBER,
    "X-RateLimit-Limit": _QUOTA,
    "X-RateLimit-Remaining": _QUOTA,
    "X-RateLimit-Reset": _NUMBER,
}


@dataclass(frozen=True, slots=True)
class Trace:
    """Listens on behalf of `report`. `clock` is monotonic. A request without an answer is told as pending after
    `overdue` seconds. `is_mirror`: what is asked is one.
    """

    report: Report
    clock: Callable[[], float]
    start: float
    numbers: Iterator[int]
    overdue: float
    is_mirror: bool = False

    @classmethod
    def begun(cls, report: Report, clock: Callable[[], float], *, overdue: float) -> Self:
        """One that counts requests and seconds from now on."""
        return cls(report, clock, clock(), count(1), overdue)

    def now(self) -> float:
        """Seconds since the client was opened."""
        return self.clock() - self.start

    def tell(self, fact: Traced) -> None:
        """Pass a fact on."""
        self.report(fact)

    @contextmanager
    def listening(self, method: str, url: URL, headers: Mapping[str, str], proxy: str) -> Iterator["Ask"]:
        """The ear on one request, through a proxy or "", until its head is here or an error."""
        ranged = headers.get("Range", "")
        asked = Asked(self.now(), next(self.numbers), method, redacted(url), ranged, self.is_mirror)
        ask = Ask(self, asked, proxy)
        try:
            yield ask
        except PullerError as error:
            ask.failed(error)
            raise
        finally:
            ask.settled()

    def redirected(self, response: aiohttp.ClientResponse, target: URL, *, with_secrets: bool) -> None:
        """An answer has sent us on."""
        here = redacted(response.url.origin()).removesuffix("/")
        self.tell(Redirected(self.now(), response.status, here, redacted(target), with_secrets))

    def granted(self, server: str, scope: str, lifetime: float, account: str) -> None:
        """A token has come."""
        self.tell(Granted(self.now(), server, scope, lifetime, account))

    def remark(self, text: str, where: str = "") -> None:
        """Something was decided."""
        self.tell(Remarked(self.now(), text, where))

    def hear(self, event: Event) -> None:
        """Tell retries, waits and hosts passed over as what happens on the wire, too; pass every event on."""
        match event:
            case Retrying():
                told = (event.host, event.what, event.attempt, event.delay, event.reason)
                self.tell(Retried(self.now(), *told))
            case PassedOver():
                self.remark(f"passed over for {event.what}: {event.reason}; asking {event.next_host}", event.host)
            case Waiting():
                self.remark(f"nothing is asked for {event.seconds:.1f} s at most: {event.reason}", event.host)
        self.report(event)


class Ask:
    """One request from its first byte to the end of its answer."""

    def __init__(self, trace: Trace, asked: Asked, proxy: str) -> None:
        self._trace = trace
        self._proxy = proxy
        self._asked = asked
        self._begun = trace.now()  # moves on to when a connection was free
        self._queued = 0.0
        self._connecting: float | None = None
        self._connected = 0.0
        self._headed = 0.0
        self._reused = False
        self._timer = asyncio.get_running_loop().call_later(trace.overdue, self._overdue)

    def queue_ended(self) -> None:
        """A place among the connections is free."""
        now = self._trace.now()
        self._queued, self._begun = now - self._asked.at, now

    def connecting(self) -> None:
        """A connection begins to be made."""
        self._connecting = self._trace.now()

    def connected(self) -> None:
        """It is there."""
        if self._connecting is not None:
            self._connected = self._trace.now() - self._connecting

    def reused(self) -> None:
        """There was one already."""
        self._reused = True

    def answered(self, response: aiohttp.ClientResponse) -> None:
        """The head of the answer is here."""
        self._headed = self._trace.now()
        assert isinstance(response, Witness)
        line = self._line(response.peer, response.tls)
        told = tuple((name, value) for name, shape in _TOLD.items() for value in _values(response, name, shape))
        size = response.content.total_bytes if response.has_ended else None
        seconds = self._headed - self._begun
        self._trace.tell(Answered(self._headed, self._asked, response.status, seconds, self._queued, line, told, size))
        response.on_end = self._ended

    def failed(self, error: PullerError) -> None:
        """No answer will come."""
        now = self._trace.now()
        line = self._line("", "") if self._reused or self._connected else None
        what = error.what if error.got is None else f"{error.what}: {error.got}"
        self._trace.tell(Unanswered(now, self._asked, now - self._begun, type(error).__name__, what, line))

    def settled(self) -> None:
        """Nobody waits for the head any more."""
        self._timer.cancel()

    def _line(self, peer: str, tls: str) -> Line:
        return Line(peer, not self._reused, tls, 0.0 if self._reused else self._connected, self._proxy)

    def _ended(self, size: int, is_whole: bool) -> None:
        now = self._trace.now()
        self._trace.tell(Received(now, self._asked, size, now - self._headed, is_whole))

    def _overdue(self) -> None:
        now = self._trace.now()
        self._trace.tell(Overdue(now, self._asked, now - self._asked.at))


class Witness(aiohttp.ClientResponse):
    """An answer that remembers its connection, which aiohttp gives back as soon as the last byte has come.

    `on_end` is called with the number of bytes received, and whether they are all, when that happens.
    """

    peer = ""
    tls = ""
    has_ended = False
    on_end: Callable[[int, bool], None] | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """See aiohttp.ClientResponse."""
        transport = connection.transport
        if transport is not None:
            self.peer = _address(transport.get_extra_info("peername"))
            secured = transport.get_extra_info("ssl_object")
            self.tls = (secured.version() or "") if secured is not None else ""
        connection.add_callback(self._end)
        return await super().start(connection)

    def _end(self) -> None:
        self.has_ended = True
        if self.on_end is not None:
            self.on_end(self.content.total_bytes, self.content.exception() is None)


def connections() -> aiohttp.TraceConfig:
    """Tells the `ask` that comes with a request of its connection."""

    async def queued(session: aiohttp.ClientSession, context: SimpleNamespace, parameters: object) -> None:
        _ask(context).queue_ended()

    async def connecting(session: aiohttp.ClientSession, context: SimpleNamespace, parameters: object) -> None:
        _ask(context).connecting()

    async def connected(session: aiohttp.ClientSession, context: SimpleNamespace, parameters: object) -> None:
        _ask(context).connected()

    async def reused(session: aiohttp.ClientSession, context: SimpleNamespace, parameters: object) -> None:
        _ask(context).reused()

    trace = aiohttp.TraceConfig()
    trace.on_connection_queued_end.append(queued)
    trace.on_connection_create_start.append(connecting)
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(reused)
    return trace


def _ask(context: SimpleNamespace) -> Ask:
    ask: Ask = context.trace_request_ctx.ask
    return ask


def _values(response: aiohttp.ClientResponse, name: str, shape: re.Pattern[str]) -> list[str]:
    return [value for value in response.headers.getall(name, [])[:2] if shape.fullmatch(value)]


def _address(peer: object) -> str:
    if not isinstance(peer, tuple) or len(peer) < 2:
        return ""
    host, port = str(peer[0]), peer[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
