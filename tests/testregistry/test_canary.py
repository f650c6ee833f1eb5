"""The canary: what came to the other origin."""

from __future__ import annotations

import asyncio

from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.canary import serve_canary
from tests.testregistry.asking import ask, get


async def test_every_request_is_kept_with_all_its_headers() -> None:
    async with serve_canary() as canary:
        got = await ask("POST", f"{canary.url}/any/path?secret=1", headers={"Authorization": "Basic eA=="}, data=b"x")
    assert (got.status, got.body) == (200, b"canary")
    (request,) = canary.requests
    assert (request.method, request.path, request.query) == ("POST", "/any/path", "secret=1")
    assert "authorization" in canary.header_names()
    assert canary.saw("eA==")
    assert canary.saw("secret")
    assert not canary.saw("other")


async def test_the_answer_can_be_changed_while_it_runs() -> None:
    async with serve_canary(Answer(401, (("WWW-Authenticate", "Basic"),))) as canary:
        assert (await get(canary.url + "/")).status == 401
        canary.answer = lambda request: Answer(200, (), BytesBody(request.path.encode()))
        assert (await get(canary.url + "/echo")).body == b"/echo"


async def test_an_untouched_canary_has_seen_nothing() -> None:
    async with serve_canary() as canary:
        await asyncio.sleep(0)
        assert (canary.requests, canary.header_names()) == ([], set())
