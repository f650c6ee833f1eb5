"""Tags: the list of a repository's tags (THREATS A5)."""

from collections.abc import AsyncGenerator

from puller.model.reference import is_tag
from puller.registry.answer import Answer
from puller.registry.identity.auth import Scope
from puller.registry.paging import Listing, listed, names_in
from puller.registry.session import Session

MAX_PAGES = 10_000
MAX_BYTES = 256 << 20  # of all pages together: a million of the longest tags take about half of it
MAX_TAGS = 1_000_000
PAGE_SIZE = 1000


def list_tags(session: Session, start: str, scope: Scope) -> AsyncGenerator[str, None]:
    """Every tag once, in the order of the pages; `start` is the path of the first.

    Raises ProtocolViolation for what is no tag, and as `listed` does.
    """
    query = f"n={PAGE_SIZE}"
    return listed(session, Listing("list of tags", "tags", start, scope, MAX_TAGS, MAX_PAGES, MAX_BYTES, query), _tags)


def _tags(answer: Answer, raw: bytes) -> list[str]:
    return names_in(raw, "tags", noun="list of tags", one="tag", is_one=is_tag)
