"""Pages: a sorted list cut where the client or the registry wants it, with the link to what follows (RFC 8288)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from multidict import MultiMapping

from testregistry import errors
from testregistry.answer import Headers

Entry = TypeVar("Entry")


def rank(entry: str) -> tuple[str, str]:
    """The lexical order, "i.e. case-insensitive alphanumeric" (distribution-spec, "Listing Tags")."""
    return entry.lower(), entry


def page_of(
    entries: Sequence[Entry],
    query: MultiMapping[str],
    path: str,
    *,
    key: Callable[[Entry], str],
    most: int | None,
    keeping: Mapping[str, str] | None = None,
) -> tuple[list[Entry], Headers]:
    """Return the entries after `last`, at most `n` and at most `most`, and a Link header when more follow.

    Zero entries for n=0, and then no Link: it would lead nowhere. `last` is understood in the order of the list.
    `keeping` goes into the link as well. Raises Refusal.
    """
    last, wanted = query.get("last"), query.get("n")
    rest = sorted(entries, key=lambda entry: rank(key(entry)))
    if last is not None:
        rest = [entry for entry in rest if rank(key(entry)) > rank(last)]
    if wanted is not None and not (wanted.isascii() and wanted.isdigit()):
        raise errors.page_invalid(wanted)
    limits = [limit for limit in (None if wanted is None else int(wanted), most) if limit is not None]
    page = rest[: min(limits)] if limits else rest
    if not page or len(page) == len(rest):
        return page, ()
    onward = urlencode({**(keeping or {}), "n": min(limits), "last": key(page[-1])})
    return page, (("Link", f'<{path}?{onward}>; rel="next"'),)
