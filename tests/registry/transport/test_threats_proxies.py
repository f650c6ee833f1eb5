"""Threats B1, B6, B8 and B15 where a proxy stands in the middle: what it sees, and where nobody may send us."""

import base64
import ssl
import traceback
from pathlib import Path

import pytest

from puller.contracts.access import Trust
from puller.errors import Unauthorized, Unavailable, UnsafeRedirect
from puller.version import VERSION
from testregistry import Bearer, faults, serve
from testregistry.certificates import Authority
from testregistry.proxy import serve_proxy
from testregistry.socks import FAILED, serve_socks
from tests.registry.elsewhere import pretend
from tests.registry.scene import Names, fetched
from tests.registry.transport.behind import HOSTS, LOGIN, SMALL, WANTED, asked, every, filled, named, trusting

AGENT = f"puller/{VERSION}"

# What the proxy and the registry see ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["plain registry", "TLS registry"])
async def test_b15_the_proxys_password_goes_to_the_proxy_and_never_to_the_registry(tmp_path: Path, tls: bool) -> None:
    authority = Authority(tmp_path)
    users = {"bob": "marker-proxy-password"}
    async with filled(authority if tls else None) as registry, serve_proxy(hosts=HOSTS, users=users) as proxy:
        name = named(registry)
        proxies = every(f"http://bob:marker-proxy-password@{proxy.host}")
        async with asked(
            f"{name}/app", proxies, trust=trusting(authority), plain_http=[] if tls else [name]
        ) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert all(asked.headers["proxy-authorization"].startswith("Basic ") for asked in proxy.requests)
        for request in registry.journal:
            assert not [header for header in request.headers if header.lower().startswith("proxy-")]


async def test_b15_a_proxy_sees_nothing_of_what_an_https_registry_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    auth = Bearer({"alice": "marker-registry-password"}, separate=False)
    async with filled(authority, auth=auth) as registry, serve_proxy(hosts=HOSTS) as proxy:
        auth.realm = f"https://{named(registry)}/token"
        async with asked(
            f"{named(registry)}/app", every(proxy.url), trust=trusting(authority), login=LOGIN
        ) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert {name for asked in proxy.requests for name in asked.headers} <= {
            *("host", "user-agent", "accept", "accept-encoding"),
        }
        assert {asked.headers["user-agent"] for asked in proxy.requests} == {AGENT}
        assert not proxy.saw("Authorization: Bearer")


@pytest.mark.parametrize("kind", ["http", "socks5h"])
async def test_b6_a_proxy_is_not_shown_our_client_certificate(tmp_path: Path, kind: str) -> None:
    authority = Authority(tmp_path)
    trust = Trust((authority.file,), (authority.pair(),))
    tls = authority.server("registry.test", clients=authority)
    async with serve(tls=tls) as registry, serve_socks(hosts=HOSTS) as socks:
        registry.add_blob("app", SMALL)
        # A proxy over TLS that would take a certificate, and has to do without: else its handshake would tell.
        proxy_tls = authority.server()
        proxy_tls.verify_mode = ssl.CERT_OPTIONAL
        proxy_tls.load_verify_locations(cafile=authority.file)
        async with serve_proxy(hosts=HOSTS, tls=proxy_tls) as proxy:
            url = proxy.url if kind == "http" else f"socks5h://{socks.host}"
            proxies = every(url, authorities=(authority.file,))
            async with asked(f"{named(registry)}/app", proxies, trust=trust) as repository:
                assert await fetched(repository, WANTED) == SMALL
        assert proxy.certificates == ([None] if kind == "http" else [])


async def test_b15_no_error_of_a_proxy_shows_its_password(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with filled(authority) as registry, serve_proxy(users={"bob": "other"}) as proxy, serve_socks() as socks:
        urls = [f"http://bob:marker-proxy@{proxy.host}", f"socks5h://bob:marker-proxy@{socks.host}"]
        socks.reply = FAILED
        urls += ["http://bob:marker-proxy@127.0.0.1:9", "socks5h://bob:marker-proxy@127.0.0.1:9"]
        for url in urls:
            async with asked(f"{named(registry)}/app", every(url), trust=trusting(authority)) as repository:
                with pytest.raises((Unauthorized, Unavailable)) as caught:
                    await fetched(repository, WANTED)
            told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(caught.value.facts())
            told += repr(caught.value.__cause__) + repr(every(url))
            assert "marker-proxy" not in told
            assert base64.b64encode(b"bob:marker-proxy").decode() not in told


# Boundaries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "[::ffff:10.0.0.1]", "0x0a000001", "[fe80::1]"])
async def test_b8_nobody_is_sent_to_a_local_address_by_way_of_the_proxy(host: str) -> None:
    async with filled() as registry, serve_proxy(hosts=HOSTS) as proxy:
        name = named(registry)
        registry.faults.append(faults.redirect(str(WANTED.digest), f"http://{host}:{name.partition(':')[2]}/x"))
        async with asked(f"{name}/app", every(proxy.url), plain_http=[name]) as repository:
            with pytest.raises(UnsafeRedirect):
                await fetched(repository, WANTED)
        assert len(proxy.requests) == 1


async def test_b8_an_inner_registry_named_by_address_may_send_to_another_inner_address() -> None:
    async with filled() as registry, serve_proxy() as proxy:
        port = registry.host.rpartition(":")[2]
        proxy.hosts = {"10.0.0.1": "127.0.0.1", "10.0.0.2": "127.0.0.1"}
        registry.faults.append(
            faults.redirect(str(WANTED.digest), f"http://10.0.0.2:{port}/v2/app/blobs/{WANTED.digest}?b")
        )
        async with asked(f"10.0.0.1:{port}/app", every(proxy.url), plain_http=[f"10.0.0.1:{port}"]) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert len(proxy.targets()) == 2


async def test_b8_socks5_resolves_here_so_the_boundary_of_addresses_holds() -> None:
    async with filled() as registry, serve_socks() as socks:
        name = named(registry)
        port = name.partition(":")[2]
        registry.faults.append(faults.redirect(str(WANTED.digest), f"http://inside.test:{port}/x"))
        names = Names({"registry.test": "127.0.0.1", "inside.test": "10.0.0.1"})
        async with asked(
            f"{name}/app", every(f"socks5://{socks.host}"), plain_http=[name], names=names, classify=pretend
        ) as repository:
            with pytest.raises(UnsafeRedirect):
                await fetched(repository, WANTED)
        assert [seen.host for seen in socks.requests] == ["127.0.0.1"]


async def test_b1_loopback_without_tls_stays_on_this_machine_whatever_proxy_is_named() -> None:
    async with serve_proxy() as proxy:
        async with asked("localhost:9/app", every(proxy.url)) as repository:
            with pytest.raises(Unavailable):
                await fetched(repository, WANTED)
        assert proxy.connections == 0
