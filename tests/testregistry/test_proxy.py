"""The forward proxy of the tests, asked by a client that is not ours."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from testregistry import TestRegistry, serve
from testregistry.certificates import Authority
from testregistry.proxy import Fault, ForwardProxy, serve_proxy

HOSTS = {"registry.test": "127.0.0.1"}


@asynccontextmanager
async def standing(
    tmp_path: Path | None = None, *, users: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[TestRegistry, ForwardProxy, str]]:
    """A registry, the proxy before it, and where a client finds it."""
    tls = None if tmp_path is None else Authority(tmp_path).server("registry.test")
    async with serve(tls=tls) as registry, serve_proxy(hosts=HOSTS, users=users) as proxy:
        port = registry.host.rpartition(":")[2]
        yield registry, proxy, f"{'http' if tls is None else 'https'}://registry.test:{port}"


async def ping(url: str, proxy: ForwardProxy, *, auth: str | None = None, tmp_path: Path | None = None) -> int:
    headers = {} if auth is None else {"Proxy-Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"}
    tls = True if tmp_path is None else Authority(tmp_path).client()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        async with session.get(f"{url}/v2/?x=1", proxy=proxy.url, headers=headers, ssl=tls) as answer:
            await answer.read()
            return answer.status


async def test_connect_opens_a_tunnel(tmp_path: Path) -> None:
    async with standing(tmp_path) as (registry, proxy, url):
        assert await ping(url, proxy, tmp_path=tmp_path) == 200
        assert proxy.targets("CONNECT") == [url.removeprefix("https://")]
        assert len(registry.journal) == 1
        assert not proxy.saw("/v2/")


async def test_the_absolute_form_is_passed_on_in_origin_form_without_what_was_for_the_proxy() -> None:
    async with standing(users={"bob": "secret"}) as (registry, proxy, url):
        assert await ping(url, proxy, auth="bob:secret") == 200
        assert proxy.targets() == [f"{url}/v2/?x=1"]
        (request,) = registry.journal
        assert (request.path, request.query) == ("/v2/", "x=1")
        assert "Proxy-Authorization" not in request.headers
        assert proxy.saw("/v2/")


@pytest.mark.parametrize("auth", [None, "bob:wrong", "eve:secret"])
async def test_a_user_is_wanted_where_there_are_users(auth: str | None) -> None:
    async with standing(users={"bob": "secret"}) as (registry, proxy, url):
        assert await ping(url, proxy, auth=auth) == 407
        assert [asked.status for asked in proxy.requests] == [407]
        assert len(registry.journal) == 0


async def test_a_fault_strikes_as_often_as_it_says() -> None:
    async with standing() as (_, proxy, url):
        proxy.faults = [Fault(status=403, times=2), Fault(target="http://elsewhere", status=500)]
        assert [await ping(url, proxy) for _ in range(3)] == [403, 403, 200]


async def test_a_cut_comes_after_so_many_bytes() -> None:
    async with standing() as (_, proxy, url):
        proxy.faults = [Fault(cut_after=0, times=None)]
        with pytest.raises(aiohttp.ClientError):
            await ping(url, proxy)
        proxy.faults = [Fault(cut_after=20, times=None)]
        with pytest.raises(aiohttp.ClientError):
            await ping(url, proxy)


async def test_hosts_that_cannot_be_reached_are_502() -> None:
    async with serve_proxy(hosts={"nowhere.test": "127.0.0.1"}) as proxy:
        assert await ping("http://nowhere.test:9", proxy) == 502


async def test_over_tls_the_proxy_notes_who_it_was_shown(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve() as registry, serve_proxy(hosts=HOSTS, tls=authority.server(clients=authority)) as proxy:
        client = authority.client()
        client.load_cert_chain(*authority.pair("bob"))
        url = f"http://registry.test:{registry.host.rpartition(':')[2]}"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/v2/", proxy=proxy.url, ssl=client) as answer:
                assert answer.status == 200
        (shown,) = proxy.certificates
        assert "bob" in str(shown)
