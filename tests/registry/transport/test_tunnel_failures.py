"""Whose fault it was: the proxy's, the registry's, or that of the line between."""

import asyncio
from pathlib import Path

import pytest

from puller.errors import ConnectionLost, ProtocolViolation, TLSFailure, Unauthorized, Unavailable
from puller.registry.transport.patience import Patience
from testregistry.certificates import Authority
from testregistry.proxy import Fault, serve_proxy
from testregistry.raw import Hang, serve_script
from testregistry.socks import FAILED, NOT_ALLOWED, serve_socks
from tests.registry.scene import Names, described, fetched
from tests.registry.transport.behind import HOSTS, LARGE, SMALL, WANTED, asked, every, filled, named, trusting

pytestmark = pytest.mark.slow  # many small tests: for `make test`

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
        assert caught.value.host == proxy.host  # type: ignore[attr-defined]  # a RegistryError


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
        assert caught.value.host == socks.host  # type: ignore[attr-defined]  # a RegistryError


@pytest.mark.parametrize("silent", ["hang", "cut"])
async def test_r7_a_socks_proxy_that_says_nothing_is_left(silent: str) -> None:
    patience = Patience(connect=0.1, first_byte=0.1, stall=0.1)
    async with serve_socks() as socks:
        setattr(socks, silent, True)
        async with asked("registry.test/app", every(f"socks5h://{socks.host}"), patience=patience) as repository:
            with pytest.raises(Unavailable, match="proxy"):
                await fetched(repository, WANTED)


@pytest.mark.parametrize("kind", ["http", "socks5h"])
async def test_r7_whoever_is_cancelled_while_a_proxy_says_nothing_is_gone_at_once(kind: str) -> None:
    async with serve_proxy(faults=[Fault(hang=True, times=None)]) as proxy, serve_socks() as socks:
        socks.hang = True
        url = proxy.url if kind == "http" else f"socks5h://{socks.host}"
        async with asked("registry.test/app", every(url)) as repository:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(fetched(repository, WANTED), 0.1)  # waits as long as the cancel takes
