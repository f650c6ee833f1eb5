"""Debugging: what goes over the wire in words, a line for each fact, always on stderr (`--debug`).

    [  0.142] #3 GET https://registry.example/v2/app/blobs/sha256:… 206 in 12 ms; same connection; Range bytes=4000-

The number in brackets are seconds since the client was opened, `#3` tells which request of the run a line is about.
"""

from collections.abc import Iterator

from puller.cli.lines import size_text
from puller.model.event import Traced
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
from puller.model.text import printable

_LONG = 1000  # characters of one line; a redacted URL alone may have 300
_SLOW = 0.001  # seconds in the queue that are worth a word


def debug_line(fact: Traced) -> str:
    """One line that nothing in can act on a terminal (THREATS C22)."""
    return printable(f"[{fact.at:7.3f}] {_words(fact)}", limit=_LONG)


def _words(fact: Traced) -> str:
    match fact:
        case Answered():
            return "; ".join([f"{_request(fact.asked)} {fact.status} in {time_text(fact.seconds)}", *_details(fact)])
        case Overdue():
            return f"{_request(fact.asked)} no answer for {time_text(fact.seconds)}, still waiting"
        case Unanswered():
            line = "" if fact.line is None else f"; {_line(fact.line)}"
            after = f"failed after {time_text(fact.seconds)}: {fact.what} [{fact.kind}]"
            return f"{_request(fact.asked)} {after}{line}"
        case Received():
            return f"#{fact.asked.number} {_body(fact)}"
        case Redirected():
            secrets = "" if fact.with_secrets else "; without secrets"
            return f"redirect {fact.status}: {fact.origin} → {fact.target}{secrets}"
        case Granted():
            whose = f"as {fact.account}" if fact.account else "as nobody"
            return f"token of {fact.server} for {fact.scope}, good for {fact.lifetime:.0f} s, {whose}"
        case Retried():
            again = f"try {fact.attempt} in {time_text(fact.delay)}"
            return f"{again}: {fact.what} at {fact.host}: {fact.reason}"
        case Remarked():
            return f"{fact.where}: {fact.text}" if fact.where else fact.text
    return type(fact).__name__.lower()


def _request(asked: Asked) -> str:
    mirror = " (mirror)" if asked.mirror else ""
    return f"#{asked.number} {asked.method} {asked.url}{mirror}"


def _details(fact: Answered) -> Iterator[str]:
    if fact.queued > _SLOW:
        yield f"{time_text(fact.queued)} in the queue"
    if fact.line is not None:
        yield _line(fact.line)
    if fact.asked.range:
        yield f"Range {fact.asked.range}"
    yield from (f"{name} {value}" for name, value in fact.told if name != "Content-Length" or fact.received is None)
    if fact.received is not None:
        yield f"{size_text(fact.received)} received"


def _line(line: Line) -> str:
    where = " ".join(filter(None, [line.peer, line.tls]))
    proxy = f" by proxy {line.proxy}" if line.proxy else ""
    if not line.is_new:
        return f"same connection{proxy}"
    return f"new connection to {where}{proxy} in {time_text(line.seconds)}"


def _body(fact: Received) -> str:
    rate = f" ({size_text(int(fact.size / fact.seconds))}/s)" if fact.seconds > _SLOW and fact.size else ""
    word = "received" if fact.is_whole else "broke off after"
    return f"{word} {size_text(fact.size)} in {time_text(fact.seconds)}{rate}"


def time_text(seconds: float) -> str:
    """`12 ms`, `1.30 s`."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
