"""Proxies of every kind: the right bytes, who resolves, what the proxy and the registry see, and whose fault it was."""

import base64
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from puller.contracts.access import Trust
from puller.errors import ConnectionLost, ProtocolViolation, TLSFailure, Unauthorized, Unavailable, UnsafeRedirect
from puller.registry.transport.noproxy import NoProxy
from puller.registry.transport.patience import Patience
from puller.registry.transport.proxy import Proxies, Proxy
from puller.version import VERSION
from testregistry import Bearer, TestRegistry, faults, serve
from testregistry.certificates import Authority
from testregistry.proxy import Fault, serve_proxy
from testregistry.raw import Hang, serve_script
from testregistry.socks import FAILED, NOT_ALLOWED, serve_socks
from tests.registry.bringing import bring, held
from tests.registry.elsewhere import pretend
from tests.registry.scene import Names, content, described, fetched
from tests.registry.transport.behind import HOSTS, LARGE, LOGIN, SMALL, WANTED, asked, every, named

AGENT = f"puller/{VERSION}"


@asynccontextmanager
async def filled(tls: Authority | None = None, **more: object) -> AsyncIterator[TestRegistry]:
    async with serve(tls=None if tls is None else tls.server("registry.test", "127.0.0.1"), **more) as registry:  # type: ignore[arg-type]
        registry.add_blob("app", SMALL)
        registry.add_blob("app", LARGE)
        yield registry


def trusting(authority: Authority) -> Trust:
    return Trust((authority.file,))


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


# Whose fault ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "socks5h://127.0.0.1:9", "https://127.0.0.1:9"])
async def test_n27_a_dead_proxy_is_named_and_not_the_registry(tmp_path: Path, url: str) -> None:
    authority = Authority(tmp_path)
    async with asked("registry.test/app", every(url), trust=trusting(authority)) as repository:
        with pytest.raises(Unavailable, match="cannot connect to the proxy") as caught:
            await fetched(repository, WANTED)
    assert str(caught.value.where) == url
    assert caught.value.host == "127.0.0.1:9"


@pytest.mark.parametrize("url", ["http://proxy.test:3128", "socks5h://proxy.test:1080"])
async def test_n27_a_proxy_whose_name_does_not_resolve_is_named(url: str) -> None:
    async with asked("registry.test/app", every(url), names=Names({})) as repository:
        with pytest.raises(Unavailable, match="cannot connect to the proxy") as caught:
            await fetched(repository, WANTED)
    assert str(caught.value.where) == url


@pytest.mark.parametrize("tls", [False, True], ids=["plain registry", "TLS registry"])
@pytest.mark.parametrize(("login", "what"), [("", "wants credentials"), ("bob:wrong@", "refuses these credentials")])
async def test_a_proxy_that_wants_credentials_is_told_from_a_registry_that_does(
    tmp_path: Path, tls: bool, login: str, what: str
) -> None:
    authority = Authority(tmp_path)
    async with filled(authority if tls else None) as registry, serve_proxy(hosts=HOSTS, users={"bob": "b"}) as proxy:
        name = named(registry)
        plain = [] if tls else [name]
        async with asked(
            f"{name}/app", every(f"http://{login}{proxy.host}"), trust=trusting(authority), plain_http=plain
        ) as repository:
            with pytest.raises(Unauthorized, match=what) as caught:
                await fetched(repository, WANTED)
        assert caught.value.host == proxy.host
        assert len(proxy.requests) == 1  # nobody tries again
        assert "USER:PASSWORD" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, Unauthorized), (405, Unauthorized), (502, Unavailable), (504, Unavailable), (400, ProtocolViolation)],
)
async def test_a_refusal_to_connect_is_the_proxys(status: int, kind: type[Exception]) -> None:
    async with serve_proxy(hosts=HOSTS, faults=[Fault(status=status)]) as proxy:
        async with asked("registry.test/app", every(proxy.url)) as repository:
            with pytest.raises(kind, match="proxy") as caught:
                await fetched(repository, WANTED)
        assert caught.value.host == proxy.host  # type: ignore[attr-defined]


async def test_a_proxy_that_cannot_reach_the_registry_for_a_while_is_asked_again(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with filled(authority) as registry, serve_proxy(hosts=HOSTS, faults=[Fault(status=503, times=2)]) as proxy:
        async with asked(
            f"{named(registry)}/app", every(proxy.url), trust=trusting(authority), attempts=3
        ) as repository:
            assert await fetched(repository, WANTED) == SMALL


async def test_a_proxy_that_cuts_the_tunnel_costs_a_resume(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with filled(authority) as registry, serve_proxy(hosts=HOSTS, faults=[Fault(cut_after=3_000_000)]) as proxy:
        async with asked(
            f"{named(registry)}/app", every(proxy.url), trust=trusting(authority), attempts=2
        ) as repository:
            assert await fetched(repository, described(LARGE)) == LARGE
        assert len(proxy.targets()) == 2
        assert registry.journal.ranges(str(described(LARGE).digest))[1] is not None


@pytest.mark.parametrize("fault", [Fault(hang=True, times=None), Fault(cut_after=0, times=None)], ids=["hangs", "cuts"])
async def test_r7_a_proxy_that_never_answers_is_left(fault: Fault) -> None:
    patience = Patience(connect=0.1, first_byte=0.1, stall=0.1)
    async with serve_proxy(hosts=HOSTS, faults=[fault]) as proxy:
        async with asked("registry.test/app", every(proxy.url), patience=patience) as repository:
            with pytest.raises(ConnectionLost) as caught:
                await fetched(repository, WANTED)
        assert str(caught.value.where).endswith(f"through {proxy.url}")


async def test_r7_an_answer_to_connect_without_end_is_left() -> None:
    async with serve_script([(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 10_000, Hang())]) as raw:
        patience = Patience(connect=0.2, first_byte=0.2, stall=0.1)
        async with asked("registry.test/app", every(raw.url), patience=patience) as repository:
            with pytest.raises((ConnectionLost, ProtocolViolation)):
                await fetched(repository, WANTED)


async def test_n28_a_certificate_nobody_trusts_is_the_registrys_fault_inside_a_tunnel(tmp_path: Path) -> None:
    async with filled(Authority(tmp_path)) as registry, serve_proxy(hosts=HOSTS) as proxy:
        async with asked(f"{named(registry)}/app", every(proxy.url)) as repository:
            with pytest.raises(TLSFailure) as caught:
                await fetched(repository, WANTED)
        assert caught.value.host == named(registry)
        assert "proxy" not in caught.value.what


async def test_n28_a_proxy_nobody_trusts_is_told_from_the_registry(tmp_path: Path) -> None:
    async with serve_proxy(hosts=HOSTS, tls=Authority(tmp_path).server()) as proxy:
        async with asked("registry.test/app", every(proxy.url)) as repository:
            with pytest.raises(TLSFailure, match="to the proxy") as caught:
                await fetched(repository, WANTED)
        assert caught.value.host == proxy.host


async def test_socks_with_a_password() -> None:
    async with filled() as registry, serve_socks(hosts=HOSTS, users={"bob": "se:cr@t"}) as socks:
        name = named(registry)
        async with asked(
            f"{name}/app", every(f"socks5h://bob:se%3Acr%40t@{socks.host}"), plain_http=[name]
        ) as repository:
            assert await fetched(repository, WANTED) == SMALL
        assert socks.requests[0].user == "bob"


@pytest.mark.parametrize("login", ["", "bob:wrong@"])
async def test_socks_with_the_wrong_password_or_none_is_not_asked_twice(login: str) -> None:
    async with serve_socks(users={"bob": "b"}) as socks:
        async with asked("registry.test/app", every(f"socks5h://{login}{socks.host}"), attempts=3) as repository:
            with pytest.raises(Unauthorized, match="no agreement with the proxy") as caught:
                await fetched(repository, WANTED)
        assert caught.value.host == socks.host
        assert socks.refused == 1


@pytest.mark.parametrize(
    ("reply", "kind"), [(NOT_ALLOWED, Unauthorized), (FAILED, Unavailable), (4, Unavailable), (5, Unavailable)]
)
async def test_a_refusal_of_socks_is_the_proxys(reply: int, kind: type[Exception]) -> None:
    async with serve_socks() as socks:
        socks.reply = reply
        async with asked("registry.test/app", every(f"socks5h://{socks.host}")) as repository:
            with pytest.raises(kind, match="proxy") as caught:
                await fetched(repository, WANTED)
        assert caught.value.host == socks.host  # type: ignore[attr-defined]


@pytest.mark.parametrize("silent", ["hang", "cut"])
async def test_r7_a_socks_proxy_that_says_nothing_is_left(silent: str) -> None:
    patience = Patience(connect=0.1, first_byte=0.1, stall=0.1)
    async with serve_socks() as socks:
        setattr(socks, silent, True)
        async with asked("registry.test/app", every(f"socks5h://{socks.host}"), patience=patience) as repository:
            with pytest.raises(Unavailable, match="proxy"):
                await fetched(repository, WANTED)
