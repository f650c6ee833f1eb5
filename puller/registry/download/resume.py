"""Resume: what an answer to "the bytes from `start` on" is worth. Pure; the asking is done in `body`.

The rules are strict because a range that is off by one gives a whole blob of wrong bytes (RELIABILITY §3.4, N15–N18).
"""

from dataclasses import dataclass
from typing import Protocol

from puller.errors import DigestMismatch, MediaTypeMismatch, ProtocolViolation, RegistryError, SizeMismatch
from puller.model.descriptor import Descriptor
from puller.model.mediatype import DOCUMENTS
from puller.registry.headers import content_digest, content_length, content_range, media_type, unsatisfied_range


class Head(Protocol):
    """Status and headers of an answer."""

    @property
    def status(self) -> int: ...

    def header(self, name: str) -> list[str]:
        """Every line of one header."""
        ...


@dataclass(frozen=True, slots=True)
class Useful:
    """The body continues at `start` once `skip` bytes are thrown away; `total` is the size of the whole, if told."""

    skip: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Useless:
    """The range was answered wrongly: ask for the whole instead."""

    reason: RegistryError


def judge_piece(answer: Head, *, start: int, stop: int, size: int) -> Useful | Useless:
    """Decide on the head of an answer to a request for the bytes from `start` up to, not including, `stop` of `size`.

    Nothing but just these bytes will do. Raises SizeMismatch as `judge`.
    """
    if answer.status == 200:
        _compare(size, content_length(answer.header("Content-Length")))
        return Useless(ProtocolViolation("the range was ignored", wanted=f"bytes {start}-{stop - 1}", got="HTTP 200"))
    verdict = judge(answer, start=start, position=start, size=size)
    if isinstance(verdict, Useful):
        sent = content_range(answer.header("Content-Range"))
        if sent.last != stop - 1:
            wanted, got = (f"bytes {start}-{last}/{size}" for last in (stop - 1, sent.last))
            return Useless(ProtocolViolation("another range was sent", wanted=wanted, got=got))
    return verdict


def judge(answer: Head, *, start: int, position: int, size: int | None) -> Useful | Useless:
    """Decide on the head of an answer to a request from `start` (0: no range), when `position` bytes are held.

    Raises SizeMismatch when the server holds content of another size than `size`: no retry mends that.
    """
    if answer.status == 200:
        length = content_length(answer.header("Content-Length"))
        _compare(size, length)
        return Useful(position, length)
    if answer.status == 416:
        _compare(size, unsatisfied_range(answer.header("Content-Range")))
        return Useless(ProtocolViolation("the range was refused", wanted=f"bytes from {start}", got="HTTP 416"))
    try:
        return _judge_range(answer, start=start, size=size)
    except ProtocolViolation as error:
        return Useless(error)


def _compare(wanted: int | None, told: int | None) -> None:
    if wanted is not None and told is not None and told != wanted:
        raise SizeMismatch("the registry holds content of another size", wanted=wanted, got=told)


def _judge_range(answer: Head, *, start: int, size: int | None) -> Useful:
    sent = content_range(answer.header("Content-Range"))
    length = content_length(answer.header("Content-Length"))
    wanted = f"bytes {start}-/{'any' if size is None else size}"
    got = f"bytes {sent.first}-{sent.last}/{sent.total}"
    if sent.first != start or (size is not None and sent.total != size):
        raise ProtocolViolation("another range was sent", wanted=wanted, got=got)
    if length is not None and length != sent.last - sent.first + 1:
        raise ProtocolViolation("Content-Length and Content-Range disagree", wanted=got, got=f"{length} bytes")
    return Useful(0, sent.total)


def check_claims(answer: Head, wanted: Descriptor) -> None:
    """Compare what the headers claim of the content with what was asked for; the bytes are verified elsewhere.

    Raises DigestMismatch (THREATS C1, N22) and, for documents, MediaTypeMismatch (C4, N23).
    """
    claimed = content_digest(answer.header("Docker-Content-Digest"))
    if claimed is not None and claimed.algorithm == wanted.digest.algorithm and claimed != wanted.digest:
        raise DigestMismatch("the registry says it sends other content", wanted=wanted.digest, got=claimed)
    types = answer.header("Content-Type")
    kind = media_type(types[0]) if types else None
    # A general type (octet-stream, text/plain) says nothing; one that names another kind of document lies.
    if wanted.media_type in DOCUMENTS and kind in DOCUMENTS and kind != wanted.media_type:
        raise MediaTypeMismatch("the document comes under another media type", wanted=wanted.media_type, got=kind)
