"""Paging: lists that a registry gives page by page, followed to their end within bounds (THREATS A5, B9, C20)."""

from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from yarl import URL

from puller.errors import InvalidManifest, ProtocolViolation, UnsafeRedirect
from puller.model.document import load_document
from puller.registry.answer import Answer, Request
from puller.registry.headers import link_next
from puller.registry.identity.auth import Scope
from puller.registry.session import Session
from puller.registry.transport.origin import Origin, redacted

MAX_PAGE = 4 << 20  # bytes of one page

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of `entries` (a word for what is in it) called `noun`, and its bounds, all pages together.

    `path` is that of its first page, without the query; `query` what is asked of it. `accept` as in Request.
    """

    noun: str
    entries: str
    path: str
    scope: Scope
    most: int
    max_pages: int
    max_bytes: int
    query: str = ""
    accept: str = "application/json"


async def listed(
    session: Session, listing: Listing, read: Callable[[Answer, bytes], Sequence[T]]
) -> AsyncGenerator[T, None]:
    """Every entry once, in the order of the pages; `read` makes entries of a page.

    Raises ProtocolViolation for pages that repeat or have no end, UnsafeRedirect for a next page at another origin or
    path, and what `read` raises.
    """
    path: str | None = f"{listing.path}?{listing.query}" if listing.query else listing.path
    asked: set[str] = set()
    seen: set[T] = set()
    taken = 0
    while path is not None:
        if path in asked or len(asked) >= listing.max_pages:
            raise ProtocolViolation(f"the {listing.noun} has no end", got=f"{len(asked)} pages")
        asked.add(path)
        request = Request("GET", path, listing.entries, listing.scope, (listing.accept,))
        answer, raw = await session.read(request, limit=MAX_PAGE)
        taken += len(raw)
        if taken > listing.max_bytes:
            raise ProtocolViolation(f"the {listing.noun} is too large", wanted=f"at most {listing.max_bytes} bytes")
        fresh = [entry for entry in dict.fromkeys(read(answer, raw)) if entry not in seen]
        seen.update(fresh)
        if len(seen) > listing.most:
            raise ProtocolViolation(f"too many {listing.entries}", wanted=f"at most {listing.most}")
        for entry in fresh:
            yield entry
        path = _next_path(answer, session.origin, listing.path)
        if path is not None and not fresh:
            raise ProtocolViolation(f"the {listing.noun} does not advance", got=f"{len(asked)} pages")


def names_in(raw: bytes, key: str, *, noun: str, one: str, is_one: Callable[[str], bool]) -> list[str]:
    """The names under `key` of a page of the list `noun`. Raises ProtocolViolation for what is not `one` (A5)."""
    try:
        names = load_document(raw, what=noun, limit=MAX_PAGE).get(key)
    except InvalidManifest as error:
        raise ProtocolViolation(f"unreadable {noun}", where=str(error)) from error
    if names is None:
        return []  # a repository without tags: Harbor and others say null
    if not isinstance(names, list):
        raise ProtocolViolation(f"unreadable {noun}", wanted="a list", got=type(names).__name__)
    for name in names:
        if not isinstance(name, str) or not is_one(name):
            raise ProtocolViolation(f"the registry lists what is no {one}", got=repr(name)[:160])
    return names


def _next_path(answer: Answer, origin: Origin, start: str) -> str | None:
    target = link_next(answer.header("Link"))
    if target is None:
        return None
    try:
        url = answer.response.url.join(URL(target, encoded=True))
        there = Origin.of(url)
    except ValueError:
        raise ProtocolViolation("the next page is no URL") from None
    if there != origin or url.raw_user or url.raw_path != start:
        raise UnsafeRedirect("the next page lies elsewhere", wanted=f"{origin}{start}", got=redacted(url))
    return url.raw_path_qs
