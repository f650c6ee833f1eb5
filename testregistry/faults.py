"""The faults one can script, each a function that makes a Fault; `testregistry.raw` has those no HTTP server can make.

The first argument of each is a digest or a Match; keywords of `fault.Where` narrow it further. Faults of the body meet
GET requests only, unless a method is given. Counts are body bytes of the answer, times are seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Literal, Unpack

from testregistry.answer import Answer, Delivery, Ending, Framing, Silence
from testregistry.body import Body, BytesBody, EndlessBody, JoinedBody, length, read
from testregistry.call import Broken, Call, Handler
from testregistry.encoding import encode
from testregistry.fault import Act, Fault, Match, Powers, Where
from testregistry.journal import Request

__all__ = [
    "Fault", "Match", "answer", "body", "close_delimited", "content_encoding", "cut", "cut_upload", "drip", "drop",
    "empty_list", "endless", "expire_token", "flip", "half_list", "hang", "headers", "ignore_range", "no_length",
    "pace", "redirect", "reset", "stall", "status", "swap", "wrong_length", "wrong_range",
]  # fmt: skip

Target = str | Match | None
_FRAMING = ("content-length", "content-range")
WrongRange = Literal["first", "total", "star", "two-headers", "multipart", "missing"]


def _fault(name: str, target: Target, where: Where, act: Act, **defaults: Unpack[Where]) -> Fault:
    chosen: Where = {**defaults, **where}
    match = replace(target, **where) if isinstance(target, Match) else Match(target, **chosen)
    return Fault(name, match, act)


def _changing(change: Callable[[Answer], Answer]) -> Act:
    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        return change(await handler(call))

    return act


def _delivering(change: Callable[[Delivery], Delivery]) -> Act:
    return _changing(lambda answer: replace(answer, delivery=change(answer.delivery)))


def cut(target: Target = None, /, *, after: int = 0, **where: Unpack[Where]) -> Fault:
    """Close the connection (FIN) after so many bytes of the body."""
    act = _delivering(lambda delivery: replace(delivery, cut_after=after, ending=Ending.FIN))
    return _fault("cut", target, where, act, method="GET")


def reset(target: Target = None, /, *, after: int = 0, **where: Unpack[Where]) -> Fault:
    """Reset the connection (RST) after so many bytes of the body."""
    act = _delivering(lambda delivery: replace(delivery, cut_after=after, ending=Ending.RESET))
    return _fault("reset", target, where, act, method="GET")


def flip(target: Target = None, /, *, at: int = 0, **where: Unpack[Where]) -> Fault:
    """Invert the byte at this place of the whole content, counted from its end when negative.

    Left alone when the range served does not hold it.
    """

    def change(answer: Answer) -> Answer:
        size = length(answer.body)
        place = size + at if at < 0 else at - answer.offset
        if not 0 <= place < size:
            return answer
        wrong = bytes([read(answer.body.slice(place, place + 1))[0] ^ 0xFF])
        parts = (answer.body.slice(0, place), BytesBody(wrong), answer.body.slice(place + 1, size))
        return replace(answer, body=JoinedBody(parts))

    return _fault("flip", target, where, _changing(change), method="GET")


def stall(target: Target = None, /, *, after: int = 0, seconds: float | None = None, **where: Unpack[Where]) -> Fault:
    """Send so many bytes of the body, then nothing for a while (None: for ever, until the client goes)."""
    act = _delivering(lambda delivery: replace(delivery, stall_after=after, stall_seconds=seconds))
    return _fault("stall", target, where, act, method="GET")


def hang(target: Target = None, /, **where: Unpack[Where]) -> Fault:
    """Take the request and never answer it: not even a status line."""
    return _fault("hang", target, where, _delivering(lambda delivery: replace(delivery, silence=Silence.HANG)))


def drop(target: Target = None, /, **where: Unpack[Where]) -> Fault:
    """Take the request and close the connection instead of answering, as servers do with idle ones."""
    return _fault("drop", target, where, _delivering(lambda delivery: replace(delivery, silence=Silence.DROP)))


def cut_upload(target: Target = None, /, *, after: int = 0, keep: bool = True, **where: Unpack[Where]) -> Fault:
    """Take so many bytes of what is sent, then reset the connection (RST).

    `keep`: the upload holds them, as in most registries; else it holds what it did before this request.
    """

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        headers = {key: value for key, value in call.headers.items() if not (keep and key.lower() in _FRAMING)}
        with suppress(ConnectionResetError):
            await handler(replace(call, headers=headers, content=Broken(call.content, after, quiet=keep)))
        return Answer(500, delivery=Delivery(silence=Silence.DROP, ending=Ending.RESET))

    return _fault("cut_upload", target, where, act, kind="upload", method="PATCH")


def drip(target: Target = None, /, *, rate: float, **where: Unpack[Where]) -> Fault:
    """Send the body at so many bytes a second."""
    act = _delivering(lambda delivery: replace(delivery, rate=rate))
    return _fault("drip", target, where, act, method="GET")


def pace(target: Target = None, /, *, rate: float, **where: Unpack[Where]) -> Fault:
    """Send the body no faster than so many bytes a second: a clock holds it to that, at megabytes a second as well."""
    act = _delivering(lambda delivery: replace(delivery, pace=rate))
    return _fault("pace", target, where, act, method="GET")


def status(
    target: Target | int = None,
    code: int | None = None,
    /,
    *,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    reason: str | None = None,
    **where: Unpack[Where],
) -> Fault:
    """Answer with a status instead of what was asked: `status(503, kind="blob")` or `status(digest, 503)`."""
    if isinstance(target, int):
        target, code = None, target
    if code is None:
        raise TypeError("status() wants a status code")
    pairs = tuple(headers.items()) if isinstance(headers, Mapping) else tuple(headers)
    answer = Answer(code, pairs, BytesBody(body), reason=reason)

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        return answer

    return _fault("status", target, where, act)


def answer(target: Target, make: Callable[[Request], Answer], /, **where: Unpack[Where]) -> Fault:
    """Answer with whatever a function of the request returns: the way out where no other fault will do."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        return make(call.record)

    return _fault("answer", target, where, act)


def redirect(
    target: Target = None,
    /,
    location: str | Callable[[Request], str] = "",
    *,
    code: int = 307,
    **where: Unpack[Where],
) -> Fault:
    """Send the client elsewhere: an absolute or relative URL, or a function of the request that returns one."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        return Answer(code, (("Location", location if isinstance(location, str) else location(call.record)),))

    return _fault("redirect", target, where, act)


def expire_token(target: Target = None, /, **where: Unpack[Where]) -> Fault:
    """Let every token issued so far expire the moment a matching request arrives with one."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        powers.expire_tokens()
        return await handler(call)

    return _fault("expire_token", target, where, act, before_auth=True)


def ignore_range(target: Target = None, /, **where: Unpack[Where]) -> Fault:
    """Answer a request for a range with 200 and the whole content."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        kept = {key: value for key, value in call.headers.items() if key.lower() != "range"}
        return await handler(replace(call, headers=kept))

    return _fault("ignore_range", target, where, act, method="GET", ranged=True)


def wrong_range(target: Target, kind: WrongRange, /, **where: Unpack[Where]) -> Fault:
    """Answer a request for a range with a 206 that does not fit; the bytes themselves are the right ones."""

    def change(answer: Answer) -> Answer:
        text = answer.header("Content-Range")
        if answer.status != 206 or text is None:
            return answer
        span, _, total = text.removeprefix("bytes ").partition("/")
        first, _, last = span.partition("-")
        match kind:
            case "first":
                return answer.replacing("Content-Range", f"bytes {int(first) + 1}-{last}/{total}")
            case "total":
                return answer.replacing("Content-Range", f"bytes {span}/{int(total) + 1}")
            case "star":
                return answer.replacing("Content-Range", f"bytes {span}/*")
            case "two-headers":
                return answer.with_headers(("Content-Range", f"bytes 0-{last}/{total}"))
            case "missing":
                return answer.without("Content-Range")
            case "multipart":
                return _multipart(answer, text)

    return _fault("wrong_range", target, where, _changing(change), method="GET", ranged=True)


def _multipart(answer: Answer, content_range: str) -> Answer:
    head = f"--edge\r\nContent-Type: application/octet-stream\r\nContent-Range: {content_range}\r\n\r\n".encode()
    parts: tuple[Body, ...] = (BytesBody(head), answer.body, BytesBody(b"\r\n--edge--\r\n"))
    plain = answer.without("Content-Range").replacing("Content-Type", "multipart/byteranges; boundary=edge")
    return replace(plain, body=JoinedBody(parts))


def headers(
    target: Target = None,
    /,
    *,
    add: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    remove: Iterable[str] = (),
    **where: Unpack[Where],
) -> Fault:
    """Take headers away, then add some: to replace one name it in both. A name added may repeat."""
    pairs = tuple(add.items()) if isinstance(add, Mapping) else tuple(add)
    gone = tuple(remove)
    return _fault("headers", target, where, _changing(lambda answer: answer.without(*gone).with_headers(*pairs)))


def content_encoding(target: Target, coding: str, /, **where: Unpack[Where]) -> Fault:
    """Encode the body on the wire and say so; codings the standard library lacks (br, zstd) are only claimed."""

    def change(answer: Answer) -> Answer:
        encoded = BytesBody(encode(read(answer.body), coding))
        return replace(answer.replacing("Content-Encoding", coding), body=encoded)

    return _fault("content_encoding", target, where, _changing(change), method="GET")


def wrong_length(target: Target = None, /, *, delta: int, **where: Unpack[Where]) -> Fault:
    """Declare a Content-Length that is off by this much; the body is sent whole.

    Too small a length leaves the rest of the body on the kept connection, where the next answer is expected; too large
    a one ends with the connection.
    """

    def change(answer: Answer) -> Answer:
        declared = max(length(answer.body) + delta, 0)
        return replace(answer, delivery=replace(answer.delivery, declared_length=declared))

    return _fault("wrong_length", target, where, _changing(change), method="GET")


def no_length(target: Target = None, /, **where: Unpack[Where]) -> Fault:
    """Send the body in chunks, without a length; HEAD is answered without one too."""
    act = _delivering(lambda delivery: replace(delivery, framing=Framing.CHUNKED))
    return _fault("no_length", target, where, act)


def close_delimited(target: Target = None, /, *, cut: int | None = None, **where: Unpack[Where]) -> Fault:
    """Answer as HTTP/1.0 did: the body ends where the connection does, maybe after only `cut` bytes."""
    act = _delivering(lambda delivery: replace(delivery, framing=Framing.CLOSE, cut_after=cut))
    return _fault("close_delimited", target, where, act, method="GET")


def body(target: Target, raw: bytes, /, **where: Unpack[Where]) -> Fault:
    """Send another body under the headers of the right one (the length fits the body)."""
    act = _changing(lambda answer: replace(answer, body=BytesBody(raw)))
    return _fault("body", target, where, act, method="GET")


def endless(target: Target = None, /, *, block: bytes = b"\0" * 65536, **where: Unpack[Where]) -> Fault:
    """Send a body that never ends, in chunks."""
    act = _changing(
        lambda answer: replace(
            answer, body=EndlessBody(block), delivery=replace(answer.delivery, framing=Framing.CHUNKED)
        )
    )
    return _fault("endless", target, where, act, method="GET")


def empty_list(target: Target = None, /, **where: Unpack[Where]) -> Fault:
    """List nothing, and say no word of it: 200, as if all tags (kind="catalog": all repositories) were gone."""
    return _fault("empty_list", target, where, _changing(lambda answer: _listing(answer, 0)), method="GET", kind="tags")


def half_list(target: Target = None, /, **where: Unpack[Where]) -> Fault:
    """List the first half of what a page would hold, as if that were all: 200, without a next page."""

    def change(answer: Answer) -> Answer:
        return _listing(answer, None)

    return _fault("half_list", target, where, _changing(change), method="GET", kind="tags")


def _listing(answer: Answer, most: int | None) -> Answer:
    document = json.loads(read(answer.body)) if answer.status == 200 else {}
    for key in document.keys() & {"tags", "repositories", "manifests"}:
        document[key] = document[key][: len(document[key]) // 2 if most is None else most]
    return replace(answer.without("Link"), body=BytesBody(json.dumps(document).encode())) if document else answer


def swap(target: Target, other: str, /, **where: Unpack[Where]) -> Fault:
    """Answer as if `other` (a digest, or a tag for manifests) had been asked for: headers, type and body."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        return await handler(replace(call, target=replace(call.target, reference=other)))

    return _fault("swap", target, where, act)
