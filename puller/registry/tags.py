"""Tags: the list of a repository's tags, page by page, within bounds (THREATS A5, B9)."""

from collections.abc import AsyncGenerator

from yarl import URL

from puller.errors import InvalidManifest, ProtocolViolation, UnsafeRedirect
from puller.model.document import load_document
from puller.model.reference import is_tag
from puller.registry.answer import Answer, Request
from puller.registry.headers import link_next
from puller.registry.identity.auth import Scope
from puller.registry.session import Session
from puller.registry.transport.origin import Origin, redacted

MAX_PAGE = 4 << 20  # bytes of one page
MAX_PAGES = 10_000
MAX_BYTES = 256 << 20  # of all pages together: a million of the longest tags take about half of it
MAX_TAGS = 1_000_000
PAGE_SIZE = 1000


async def list_tags(session: Session, start: str, scope: Scope) -> AsyncGenerator[str, None]:
    """Every tag once, in the order of the pages; `start` is the path of the first.

    Raises ProtocolViolation for what is no tag, for pages that repeat or have no end, and UnsafeRedirect for a next
    page at another origin.
    """
    path: str | None = f"{start}?n={PAGE_SIZE}"
    asked: set[str] = set()
    seen: set[str] = set()
    taken = 0
    while path is not None:
        if path in asked or len(asked) >= MAX_PAGES:
            raise ProtocolViolation("the list of tags has no end", got=f"{len(asked)} pages")
        asked.add(path)
        answer, raw = await session.read(Request("GET", path, "tags", scope, ("application/json",)), limit=MAX_PAGE)
        taken += len(raw)
        if taken > MAX_BYTES:
            raise ProtocolViolation("the list of tags is too large", wanted=f"at most {MAX_BYTES} bytes")
        fresh = [tag for tag in dict.fromkeys(_tags(raw)) if tag not in seen]
        seen.update(fresh)
        if len(seen) > MAX_TAGS:
            raise ProtocolViolation("too many tags", wanted=f"at most {MAX_TAGS}")
        for tag in fresh:
            yield tag
        path = _next_path(answer, session.origin, start)
        if path is not None and not fresh:
            raise ProtocolViolation("the list of tags does not advance", got=f"{len(asked)} pages")


def _tags(raw: bytes) -> list[str]:
    try:
        tags = load_document(raw, what="list of tags", limit=MAX_PAGE).get("tags")
    except InvalidManifest as error:
        raise ProtocolViolation("unreadable list of tags", where=str(error)) from error
    if tags is None:
        return []  # a repository without tags: Harbor and others say null
    if not isinstance(tags, list):
        raise ProtocolViolation("unreadable list of tags", wanted="a list", got=type(tags).__name__)
    for tag in tags:
        if not isinstance(tag, str) or not is_tag(tag):
            raise ProtocolViolation("the registry lists what is no tag", got=repr(tag)[:160])
    return tags


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
