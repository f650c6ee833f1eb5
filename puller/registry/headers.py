"""Headers of a registry's answer: text in, values out. Challenges have a module of their own.

Functions take every line of a header (`values`), because a header sent twice is an attack or a broken proxy.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from puller.errors import InvalidDigest, ProtocolViolation
from puller.model.digest import HEX_LENGTH, Digest
from puller.registry.field import FieldReader, only_one

MAX_LENGTH = 2**63 - 1
MAX_LINKS = 64
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})", re.ASCII | re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes \*/([0-9]{1,19})", re.ASCII | re.IGNORECASE)
_DATE = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[A-Za-z0-9 ,:-]{15,40}", re.ASCII)
_TARGET = re.compile(r"<([^<>\x00-\x20\x7f]*)>")


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Bytes `first` to `last`, both included, of `total`."""

    first: int
    last: int
    total: int


def content_range(values: Sequence[str]) -> ContentRange:
    """Read the Content-Range of a 206 answer (RFC 9110 §14.4). Raises ProtocolViolation.

    Exactly one header, in bytes, with a total, first <= last < total: a resumed body has no use for anything else.
    """
    match = _RANGE.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        wanted = "one `bytes first-last/total`"
        raise ProtocolViolation("unusable Content-Range", wanted=wanted, got="; ".join(values)[:200] or "none")
    first, last, total = (int(number) for number in match.groups())
    if not first <= last < total <= MAX_LENGTH:
        raise ProtocolViolation("impossible Content-Range", wanted="first <= last < total", got=values[0][:200])
    return ContentRange(first, last, total)


def unsatisfied_range(values: Sequence[str]) -> int | None:
    """The total that a 416 answer tells by `Content-Range: bytes */total`, or None."""
    match = _UNSATISFIED.fullmatch(values[0]) if len(values) == 1 else None
    return int(match[1]) if match is not None else None


def content_length(values: Sequence[str]) -> int | None:
    """Read Content-Length (RFC 9110 §8.6): bytes, or None without one. Raises ProtocolViolation for anything else."""
    value = only_one("Content-Length", values)
    if value is None:
        return None
    if not _DIGITS.fullmatch(value) or int(value) > MAX_LENGTH:
        raise ProtocolViolation("invalid Content-Length", wanted="0 to 2^63-1", got=value[:80])
    return int(value)


def content_digest(values: Sequence[str]) -> Digest | None:
    """Read Docker-Content-Digest: a claim to be checked. None without one, or for an algorithm unknown here.

    Raises ProtocolViolation for two that differ (RELIABILITY N22) and for a known algorithm with hex it cannot have.
    """
    value = only_one("Docker-Content-Digest", values)
    if value is None:
        return None
    algorithm, colon, _ = value.partition(":")
    if colon and algorithm not in HEX_LENGTH:
        return None
    try:
        return Digest.parse(value)
    except InvalidDigest as error:
        raise ProtocolViolation("invalid Docker-Content-Digest", wanted="algorithm:hex", got=value[:160]) from error


def media_type(value: str | None) -> str | None:
    """The media type without parameters, in lower case; None where there is none.

    It is compared, never trusted, so text that is no media type is returned as well: it equals none.
    """
    if value is None:
        return None
    return value.partition(";")[0].strip(" \t").lower() or None


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by Retry-After (RFC 9110 §10.2.3), from a number or a date; None where it says neither.

    `now` is wall-clock time in seconds since the epoch; a past date is 0. The wait may be absurd: the caller caps it.
    """
    text = "" if value is None else value.strip(" \t")
    if _DIGITS.fullmatch(text):
        return float(text)
    if not _DATE.fullmatch(text):
        return None
    try:
        date = parsedate_to_datetime(text)
        # The three date forms of §5.6.7 are all in GMT; the oldest does not say so.
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def link_next(values: Sequence[str]) -> str | None:
    """The target of `Link: <…>; rel="next"` (RFC 8288 §3) as written, or None on the last page.

    It may be relative, and it may point anywhere: where it leads is for the caller to judge (THREATS B9). Raises
    ProtocolViolation for a malformed header and for two different targets.
    """
    targets = {target for line in values for target, relation in _links(line) if "next" in relation.lower().split()}
    if len(targets) > 1:
        raise ProtocolViolation("several different next pages", where="Link", wanted="one")
    return targets.pop() if targets else None


def _links(line: str) -> list[tuple[str, str]]:
    """Every (target, relation types) of one line."""
    reader = FieldReader("Link", line)
    links: list[tuple[str, str]] = []
    while not reader.done:
        reader.skip()
        if reader.accept(",") or reader.done:
            continue
        links.append(_read_link(reader))
        if len(links) > MAX_LINKS:
            raise ProtocolViolation("too many links", wanted=f"at most {MAX_LINKS}")
        reader.skip()
        if not reader.accept(",") and not reader.done:
            raise reader.broken("a comma or the end")
    return links


def _read_link(reader: FieldReader) -> tuple[str, str]:
    target = reader.take(_TARGET)
    if target is None:
        raise reader.broken("a target in angle brackets")
    parameters: dict[str, str] = {}
    reader.skip()
    while reader.accept(";"):
        reader.skip()
        name = reader.name()
        word, value = (reader.token(), "") if name is None else (name, reader.value())
        parameters.setdefault(word.lower(), value)  # §3.3: of several `rel` the first counts
        reader.skip()
    # §3.2: with an anchor the link speaks of another document than this page.
    return target, "" if "anchor" in parameters else parameters.get("rel", "")
