"""Lists that come in pages: the tags of a repository and the catalog (distribution-spec end-8a, end-8b)."""

from __future__ import annotations

from urllib.parse import urlencode

from testregistry import errors
from testregistry.answer import Answer, json_answer
from testregistry.call import Call
from testregistry.storage import Storage


async def handle_tags(storage: Storage, call: Call) -> Answer:
    """Answer `/v2/<name>/tags/list`. Raises Refusal."""
    name = call.name
    repository = storage.find(name)
    _check_method(call)
    if repository is None:
        raise errors.name_unknown(name)
    page, link = _page(list(repository.tags), call, f"/v2/{name}/tags/list")
    return json_answer(200, {"name": name, "tags": page}, *link)


async def handle_catalog(storage: Storage, call: Call) -> Answer:
    """Answer `/v2/_catalog`. Raises Refusal."""
    _check_method(call)
    page, link = _page([repository.name for repository in storage], call, "/v2/_catalog")
    return json_answer(200, {"repositories": page}, *link)


def _page(entries: list[str], call: Call, path: str) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """Return the entries after `last`, at most `n`, and a Link header when more follow.

    Zero entries for n=0, and then no Link: it would lead nowhere. The order is lexical, "i.e. case-insensitive
    alphanumeric" (distribution-spec, "Listing Tags"), and `last` is understood in the same order.
    """
    last, wanted = call.query.get("last"), call.query.get("n")
    entries = sorted(entries, key=_rank)
    if last is not None:
        entries = [entry for entry in entries if _rank(entry) > _rank(last)]
    if wanted is None:
        return entries, ()
    if not (wanted.isascii() and wanted.isdigit()):
        raise errors.page_invalid(wanted)
    limit = int(wanted)
    page = entries[:limit]
    if not page or len(page) == len(entries):
        return page, ()
    query = urlencode({"n": limit, "last": page[-1]})
    return page, (("Link", f'<{path}?{query}>; rel="next"'),)


def _rank(entry: str) -> tuple[str, str]:
    return entry.lower(), entry


def _check_method(call: Call) -> None:
    if call.method not in ("GET", "HEAD"):
        raise errors.unsupported("lists know GET and HEAD", allow="GET, HEAD")
