"""The quota of the test registry, asked as anybody could."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from testregistry import Basic, Bearer, Quota, TestRegistry, images, serve
from testregistry.auth import Auth
from testregistry.quota import Kind

IMAGE = images.image(images.layer({"a": b"a"}))
HUB = "RateLimit-Remaining"


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def asked(quota: Quota, auth: Auth | None = None) -> AsyncIterator[tuple[TestRegistry, aiohttp.ClientSession]]:
    async with serve(quota=quota, auth=auth) as registry, aiohttp.ClientSession(registry.url) as session:
        registry.add("app:1", IMAGE)
        yield registry, session


async def get(session: aiohttp.ClientSession, method: str = "GET", path: str = "manifests/1") -> aiohttp.ClientResponse:
    async with session.request(method, f"/v2/app/{path}") as response:
        await response.read()
        return response


async def test_gets_of_manifests_are_counted_and_heads_and_blobs_are_not() -> None:
    async with asked(Quota(3, 60)) as (registry, session):
        left = [(await get(session, method)).headers[HUB] for method in ("HEAD", "GET", "HEAD", "GET")]
        assert left == ["3;w=60", "2;w=60", "2;w=60", "1;w=60"]
        blob = await get(session, path=f"blobs/{IMAGE.layers[0].digest}")
        assert (blob.status, HUB in blob.headers) == (200, False)
        assert registry.quota is not None
        assert registry.quota.left() == 1


async def test_a_spent_quota_is_a_429_with_the_words_and_headers_of_docker_hub() -> None:
    async with asked(Quota(1, 21600)) as (registry, session):
        await get(session)
        async with session.get("/v2/app/manifests/1") as refused:
            assert refused.status == 429
            assert refused.headers["RateLimit-Limit"] == "1;w=21600"
            assert refused.headers[HUB] == "0;w=21600"
            [error] = (await refused.json())["errors"]
        assert error["code"] == "TOOMANYREQUESTS"
        assert "pull rate limit" in error["message"]
        assert (await get(session, "HEAD")).status == 200
        assert [request.status for request in registry.journal] == [200, 429, 200]


async def test_the_window_begins_with_the_first_pull_and_rolls() -> None:
    clock = Clock()
    async with asked(Quota(1, 60, clock=clock)) as (_, session):
        clock.now += 1000
        statuses = []
        for step in (0, 59, 1):
            clock.now += step
            statuses.append((await get(session)).status)
        assert statuses == [200, 429, 200]


async def test_some_may_be_used_from_the_start() -> None:
    async with asked(Quota(100, 60, used=99)) as (_, session):
        assert [(await get(session)).status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("ietf", {"RateLimit-Policy": '"default";q=2;w=60', "RateLimit": '"default";r=1;t=60'}),
        ("x", {"X-RateLimit-Limit": "2", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "1700000061"}),
        ("abuse", {}),
    ],
)
async def test_it_is_told_in_other_ways(kind: Kind, told: dict[str, str]) -> None:
    async with asked(Quota(2, 60, kind=kind, clock=Clock())) as (_, session):
        headers = (await get(session)).headers
        assert {name: value for name, value in headers.items() if "ratelimit" in name.lower()} == told


async def test_an_abuse_limit_counts_everything_and_explains_nothing() -> None:
    async with asked(Quota(2, 60, kind="abuse")) as (_, session):
        await get(session, "HEAD")
        await get(session, path=f"blobs/{IMAGE.layers[0].digest}")
        refused = await get(session, "HEAD")
        assert refused.status == 429
        assert "Retry-After" not in refused.headers


@pytest.mark.parametrize("auth", [Basic({"ann": "x", "bob": "y"}), Bearer({"ann": "x", "bob": "y"}, anonymous=set())])
async def test_accounts_may_be_counted_each_for_itself(auth: Basic | Bearer) -> None:
    quota = Quota(1, 60, per="user")
    async with asked(quota, auth) as (_, session):

        async def pull(name: str, password: str) -> int:
            headers = {"Authorization": aiohttp.encode_basic_auth(name, password)}
            if isinstance(auth, Bearer):
                query = {"service": "testregistry", "scope": "repository:app:pull"}
                async with session.get("/token", params=query, headers=headers) as answer:
                    headers["Authorization"] = f"Bearer {(await answer.json())['token']}"
            async with session.get("/v2/app/manifests/1", headers=headers) as response:
                return response.status

        assert [await pull("ann", "x"), await pull("ann", "x"), await pull("bob", "y")] == [200, 429, 200]


async def test_a_request_that_is_turned_away_costs_nothing() -> None:
    quota = Quota(1, 60)
    async with asked(quota, Basic({"ann": "x"})) as (_, session):
        assert (await get(session)).status == 401
    assert quota.left() == 1


async def test_without_headers_the_message_alone_tells() -> None:
    async with asked(Quota(1, 60, tells=False)) as (_, session):
        answers = [await get(session) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert not any(HUB in answer.headers for answer in answers)
