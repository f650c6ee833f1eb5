"""Proxies of every kind: the right bytes, who resolves names, which hosts are asked through one."""

from pathlib import Path

import pytest

from puller.registry.transport.noproxy import NoProxy
from puller.registry.transport.proxy import Proxies, Proxy
from puller.version import VERSION
from testregistry import Bearer, faults
from testregistry.certificates import Authority
from testregistry.proxy import serve_proxy
from testregistry.socks import serve_socks
from tests.registry.bringing import bring, held
from tests.registry.scene import Names, content, described, fetched
from tests.registry.transport.behind import HOSTS, LARGE, LOGIN, SMALL, WANTED, asked, every, filled, named, trusting

AGENT = f"puller/{VERSION}"

# The bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blob", [SMALL, LARGE], ids=["small", "large"])
async def test_an_https_registry_is_reached_by_connect(tmp_path: Path, blob: bytes) -> None:
    authority = Authority(tmp_path)
    async with filled(authority) as registry, serve_proxy(hosts=HOSTS) as proxy:
        async with asked(f"{named(registry)}/app", every(proxy.url), trust=trusting(authority)) as repository:
            assert await fetched(repository, described(blob)) == blob
        assert proxy.targets("CONNECT") == [named(registry)]


@pytest.mark.parametrize("blob", [SMALL, LARGE], ids=["small", "large"])
async def test_a_plain_registry_is_asked_for_in_absolute_form(blob: bytes) -> None:
    async with filled() as registry, serve_proxy(hosts=HOSTS) as proxy:
        name = named(registry)
        async with asked(f"{name}/app", every(proxy.url), plain_http=[name]) as repository:
            assert await fetched(repository, described(blob)) == blob
        assert proxy.targets() == [f"http://{name}/v2/app/blobs/{described(blob).digest}"]


@pytest.mark.parametrize("tls", [False, True], ids=["plain registry", "TLS registry"])
@pytest.mark.parametrize("blob", [SMALL, LARGE], ids=["small", "large"])
async def test_a_proxy_may_be_spoken_to_over_tls_itself(tmp_path: Path, blob: bytes, tls: bool) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    registrys, proxys = Authority(ours, "the registry's"), Authority(theirs, "the proxy's")
    async with filled(registrys if tls else None) as registry:
        async with serve_proxy(hosts=HOSTS, tls=proxys.server()) as proxy:
            proxies = every(proxy.url, authorities=(proxys.file,))
            plain = [] if tls else [named(registry)]
            async with asked(
                f"{named(registry)}/app", proxies, trust=trusting(registrys), plain_http=plain
            ) as repository:
                assert await fetched(repository, described(blob)) == blob
            assert len(proxy.targets()) == 1


@pytest.mark.parametrize("tls", [False, True], ids=["plain registry", "TLS registry"])
@pytest.mark.parametrize("blob", [SMALL, LARGE], ids=["small", "large"])
async def test_socks5h_has_the_proxy_resolve(tmp_path: Path, blob: bytes, tls: bool) -> None:
    authority = Authority(tmp_path)
    async with filled(authority if tls else None) as registry, serve_socks(hosts=HOSTS) as socks:
        name, names = named(registry), Names({})
        async with asked(
            f"{name}/app",
            every(f"socks5h://{socks.host}"),
            trust=trusting(authority),
            plain_http=[] if tls else [name],
            names=names,
        ) as repository:
            assert await fetched(repository, described(blob)) == blob
        assert [(seen.host, seen.is_name) for seen in socks.requests] == [("registry.test", True)]
        assert names.asked == []


async def test_socks5_has_us_resolve() -> None:
    async with filled() as registry, serve_socks() as socks:
        name = named(registry)
        async with asked(
            f"{name}/app", every(f"socks5://{socks.host}"), plain_http=[name], names=Names(HOSTS)
        ) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert [(seen.host, seen.is_name) for seen in socks.requests] == [("127.0.0.1", False)]


async def test_socks5_goes_on_to_the_next_address_where_one_cannot_be_reached() -> None:
    async with filled() as registry, serve_socks() as socks:
        name = named(registry)
        names = Names({"registry.test": ("127.0.0.9", "127.0.0.1")})  # nobody listens at the first
        async with asked(f"{name}/app", every(f"socks5://{socks.host}"), plain_http=[name], names=names) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert [seen.host for seen in socks.requests] == ["127.0.0.9", "127.0.0.1"]


async def test_socks4a_has_the_proxy_resolve() -> None:
    async with filled() as registry, serve_socks(hosts=HOSTS) as socks:
        name = named(registry)
        async with asked(f"{name}/app", every(f"socks4a://ann@{socks.host}"), plain_http=[name]) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert [(seen.host, seen.is_name, seen.user) for seen in socks.requests] == [("registry.test", True, "ann")]


async def test_a_proxy_is_found_by_its_name() -> None:
    async with filled() as registry, serve_socks(hosts=HOSTS) as socks:
        name, there = named(registry), f"socks.test:{socks.host.rpartition(':')[2]}"
        names = Names({"socks.test": ("127.0.0.9", "127.0.0.1")})
        async with asked(f"{name}/app", every(f"socks5h://{there}"), plain_http=[name], names=names) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert names.asked == ["socks.test"]


async def test_uploads_go_through_the_proxy(tmp_path: Path) -> None:
    authority, blob = Authority(tmp_path), content(300_000, seed=5)
    async with filled(authority) as registry, serve_proxy(hosts=HOSTS) as proxy:
        async with asked(f"{named(registry)}/app", every(proxy.url), trust=trusting(authority)) as repository:
            await bring(repository, blob)
        assert held(registry, blob)
        assert {request.headers["User-Agent"] for request in registry.journal} == {AGENT}


@pytest.mark.parametrize("kind", ["http", "socks5h"])
async def test_a_tunnel_is_used_again(tmp_path: Path, kind: str) -> None:
    authority = Authority(tmp_path)
    async with filled(authority) as registry, serve_proxy(hosts=HOSTS) as proxy, serve_socks(hosts=HOSTS) as socks:
        url = proxy.url if kind == "http" else f"socks5h://{socks.host}"
        async with asked(f"{named(registry)}/app", every(url), trust=trusting(authority)) as repository:
            for wanted in (WANTED, described(LARGE), WANTED):
                await fetched(repository, wanted)
        assert len(registry.journal) == 3
        assert len({request.port for request in registry.journal}) == 1


# Which hosts ----------------------------------------------------------------------------------------------------------


async def test_this_machine_is_asked_without_the_proxy() -> None:
    async with filled() as registry, serve_proxy() as proxy:
        async with asked(f"{registry.host}/app", every(proxy.url)) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert proxy.connections == 0


async def test_the_registry_may_be_exempt_and_the_blob_host_not() -> None:
    async with filled() as registry, filled() as cdn, serve_proxy(hosts=HOSTS) as proxy:
        there = f"http://{named(cdn, 'cdn.test')}/v2/app/blobs/{WANTED.digest}"
        registry.faults.append(faults.redirect(str(WANTED.digest), there))
        proxies = every(proxy.url, without=NoProxy.parse("registry.test"))
        name = named(registry)
        async with asked(
            f"{name}/app", proxies, plain_http=[name], names=Names({"registry.test": "127.0.0.1"})
        ) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert [target.split("/")[2] for target in proxy.targets()] == [named(cdn, "cdn.test")]


async def test_proxies_differ_by_scheme(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with filled(authority) as registry, serve_proxy(hosts=HOSTS) as proxy:
        name, dead = named(registry), Proxy.parse("http://127.0.0.1:9")
        async with asked(
            f"{name}/app", Proxies(http=dead, https=Proxy.parse(proxy.url)), trust=trusting(authority)
        ) as repository:
            assert await fetched(repository, WANTED) == SMALL


async def test_the_token_server_is_asked_through_the_proxy(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    auth = Bearer({"alice": "marker-registry-password"})
    async with filled(authority, auth=auth) as registry, serve_proxy(hosts=HOSTS) as proxy:
        name = named(registry)
        auth.realm = f"https://{name}/token"
        async with asked(f"{name}/app", every(proxy.url), trust=trusting(authority), login=LOGIN) as repository:
            assert await fetched(repository, WANTED) == SMALL
        tokens = registry.journal.find(kind="token")
        assert [request.headers["User-Agent"] for request in tokens] == [AGENT]
        assert not proxy.saw("marker-registry-password")
