"""Connections: used again, over IPv6, past addresses that are dead; and who we say we are on each of them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from puller.model.reference import Reference
from puller.registry.transport.patience import Patience
from puller.registry.transport.proxy import STRAIGHT
from puller.version import VERSION
from testregistry import Bearer, serve
from tests.registry.bringing import bring
from tests.registry.scene import Names, content, described, fetched
from tests.registry.transport.behind import LARGE, LOGIN, SMALL, WANTED, asked, named


async def test_requests_one_after_the_other_come_over_one_connection() -> None:
    async with serve() as registry:
        registry.add_blob("app", SMALL)
        registry.add_blob("app", LARGE)
        async with asked(f"{registry.host}/app", STRAIGHT) as repository:
            for wanted in (WANTED, described(LARGE), WANTED):
                await fetched(repository, wanted)
        assert len(registry.journal) == 3
        assert len({request.port for request in registry.journal}) == 1


async def test_tokens_uploads_and_downloads_share_the_connection_and_all_say_who_we_are() -> None:
    async with serve(auth=Bearer({"alice": "marker-registry-password"}, separate=False)) as registry:
        async with asked(f"{registry.host}/app", STRAIGHT, login=LOGIN, plain_http=[registry.host]) as repository:
            blob = content(200_000, seed=9)
            await bring(repository, blob)
            assert await fetched(repository, described(blob)) == blob
        assert {request.method for request in registry.journal} >= {"HEAD", "GET", "POST", "PUT"}
        assert registry.journal.count(kind="token") > 0
        assert {request.headers["User-Agent"] for request in registry.journal} == {f"puller/{VERSION}"}
        assert len({request.port for request in registry.journal}) == 1


async def test_many_requests_at_once_keep_to_the_limit_of_connections() -> None:
    open_now, most = 0, 0

    async def gate(request: object) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.01)
        open_now -= 1

    async with serve() as registry:
        blobs = [content(1000, seed=seed) for seed in range(12)]
        for blob in blobs:
            registry.add_blob("app", blob)
        registry.on_request.append(gate)
        async with asked(f"{registry.host}/app", STRAIGHT, concurrency=3) as repository:
            await asyncio.gather(*(fetched(repository, described(blob)) for blob in blobs))
        assert len({request.port for request in registry.journal}) == 3
        assert most == 3


async def test_a_registry_named_by_its_ipv6_address() -> None:
    async with serve(host="::1") as registry:
        registry.add_blob("app", SMALL)
        assert registry.host.startswith("[::1]:")
        assert Reference.parse(f"{registry.host}/app:1").registry == registry.host
        async with asked(f"{registry.host}/app", STRAIGHT) as repository:
            assert await fetched(repository, WANTED) == SMALL


@asynccontextmanager
async def deaf(port: int) -> AsyncIterator[None]:
    """`port` of ::1, where connections are neither taken nor refused: its queue is full."""
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(("::1", port))
        listener.listen(0)
        held = []
        try:
            for _ in range(4):
                waiting = socket.socket(socket.AF_INET6)
                waiting.setblocking(False)
                waiting.connect_ex(("::1", port))
                held.append(waiting)
            await asyncio.sleep(0)
            yield
        finally:
            for waiting in held:
                waiting.close()


async def test_n27_ipv6_that_is_dead_does_not_keep_us_from_ipv4() -> None:
    async with serve() as registry:
        registry.add_blob("app", SMALL)
        name = named(registry)
        names = Names({"registry.test": ("::1", "127.0.0.1")})
        async with deaf(int(name.partition(":")[2])):
            patience = Patience(connect=30)
            async with asked(f"{name}/app", STRAIGHT, names=names, plain_http=[name], patience=patience) as repository:
                # Generous: a quarter of a second is what it takes; without happy eyeballs it would be 30.
                assert await asyncio.wait_for(fetched(repository, WANTED), 10) == SMALL


async def test_n27_ipv6_that_refuses_does_not_keep_us_from_ipv4() -> None:
    async with serve() as registry:
        registry.add_blob("app", SMALL)
        name = named(registry)
        names = Names({"registry.test": ("::1", "127.0.0.1")})
        async with asked(f"{name}/app", STRAIGHT, names=names, plain_http=[name]) as repository:
            assert await fetched(repository, WANTED) == SMALL


@pytest.mark.parametrize("host", ["[::1]", "[0:0:0:0:0:0:0:1]"])
async def test_b1_ipv6_loopback_may_do_without_tls_but_not_with_secrets(host: str) -> None:
    async with serve(host="::1") as registry:
        registry.add_blob("app", SMALL)
        port = registry.host.rpartition(":")[2]
        async with asked(f"{host}:{port}/app", STRAIGHT, login=LOGIN) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert "Authorization" not in registry.journal.requests[0].headers
