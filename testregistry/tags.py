"""Lists that come in pages: the tags of a repository and the catalog (distribution-spec end-8a, end-8b)."""

from __future__ import annotations

from testregistry import errors
from testregistry.answer import Answer, json_answer
from testregistry.call import Call
from testregistry.manner import Manner
from testregistry.paging import page_of
from testregistry.storage import Storage


async def handle_tags(storage: Storage, call: Call, manner: Manner) -> Answer:
    """Answer `/v2/<name>/tags/list`. Raises Refusal."""
    name = call.name
    repository = storage.find(name)
    _check_method(call)
    if repository is None:
        raise errors.name_unknown(name)
    path = f"/v2/{name}/tags/list"
    page, link = page_of(list(repository.tags), call.query, path, key=str, most=manner.list_page)
    return json_answer(200, {"name": name, "tags": page}, *link)


async def handle_catalog(storage: Storage, call: Call, manner: Manner) -> Answer:
    """Answer `/v2/_catalog`. Raises Refusal."""
    _check_method(call)
    names = [repository.name for repository in storage]
    page, link = page_of(names, call.query, "/v2/_catalog", key=str, most=manner.list_page)
    return json_answer(200, {"repositories": page}, *link)


def _check_method(call: Call) -> None:
    if call.method not in ("GET", "HEAD"):
        raise errors.unsupported("lists know GET and HEAD", allow="GET, HEAD")
