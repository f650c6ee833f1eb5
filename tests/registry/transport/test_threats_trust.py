"""Threats B4, B6 and B20: what is set up for one host, be it less care, a header, a certificate, an account or a proxy,
is for that host alone."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from puller.contracts.access import Credential, Endpoint, Identity, KnownIdentity, Protection, Trust
from puller.errors import RegistryError, TLSFailure, Unauthorized
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from testregistry import Basic, Bearer, TestRegistry, faults, serve
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from testregistry.proxy import serve_proxy
from tests.registry.bringing import bring
from tests.registry.elsewhere import BLOB, WANTED
from tests.registry.scene import LARGE, Names, Time, fetched

TOKEN = Answer(200, (("Content-Type", "application/json"),), BytesBody(b'{"token": "x"}'))
SECRET = ("X-Registry-Config", "marker-header")
HERE = {"registry.test": "127.0.0.1", "cdn.test": "127.0.0.1", "token.test": "127.0.0.1", "other.test": "127.0.0.1"}


@dataclass(frozen=True)
class Ways:
    """Routes by repository: one host each, set up in its own manner."""

    endpoints_of: Mapping[str, Endpoint]

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        return (self.home(reference),)

    def home(self, reference: Reference) -> Endpoint:
        return self.endpoints_of[reference.repository]


@dataclass(frozen=True)
class Accounts:
    """An account for some repositories, nobody for the others."""

    of: Mapping[str, Credential]

    def identity(self, registry: str, repository: str) -> Identity | None:
        return KnownIdentity(f"account of {repository}", self.of[repository]) if repository in self.of else None


Open = Callable[[str], Repository]


@asynccontextmanager
async def one_client(*endpoints: Endpoint, accounts: Mapping[str, Credential] | None = None) -> AsyncIterator[Open]:
    """Opens the repositories of `endpoints` by name, all of them through one client."""
    ways = Ways({endpoint.repository: endpoint for endpoint in endpoints})
    client = RegistryClient(
        routes=ways,
        keyring=Accounts(accounts or {}),
        retries=RetryPolicy(attempts=1),
        world=Time().world(),
        resolver=lambda: Names(HERE),
    )
    async with client:
        yield lambda name: client.repository(Reference.parse(f"{ways.endpoints_of[name].registry}/{name}"))


def named(host: str, name: str) -> str:
    """`name:PORT` for a host that is reached as 127.0.0.1."""
    return f"{name}:{host.rpartition(':')[2]}"


# B4: a registry that is set up as insecure ----------------------------------------------------------------------------


async def test_an_insecure_registry_may_be_anybody(tmp_path: Path) -> None:
    """Else the tests that follow would prove nothing."""
    async with serve(tls=Authority(tmp_path).server()) as registry:
        registry.add_blob("app", BLOB)
        async with one_client(Endpoint(registry.host, "app", Protection.ANY)) as opened:
            assert await fetched(opened("app"), WANTED) == BLOB


async def test_b4_an_insecure_registry_does_not_loosen_its_token_host(tmp_path: Path) -> None:
    tls = Authority(tmp_path).server("registry.test", "token.test")
    async with serve_canary(TOKEN, tls=tls) as canary:
        realm = f"https://{named(canary.host, 'token.test')}/token"
        async with serve(auth=Bearer({"ann": "marker-password"}, realm=realm), tls=tls) as registry:
            endpoint = Endpoint(named(registry.host, "registry.test"), "app", Protection.ANY)
            account = {"app": Credential("ann", "marker-password")}
            async with one_client(endpoint, accounts=account) as opened:
                with pytest.raises(TLSFailure):
                    await fetched(opened("app"), WANTED)
        assert canary.requests == []


async def test_b4_an_insecure_registry_does_not_loosen_the_host_it_sends_us_to(tmp_path: Path) -> None:
    tls = Authority(tmp_path).server("registry.test", "cdn.test")
    async with serve_canary(Answer(200, (), BytesBody(BLOB)), tls=tls) as canary, serve(tls=tls) as registry:
        registry.faults.append(faults.redirect(None, f"https://{named(canary.host, 'cdn.test')}/x", times=None))
        async with one_client(Endpoint(named(registry.host, "registry.test"), "app", Protection.ANY)) as opened:
            with pytest.raises(TLSFailure):
                await fetched(opened("app"), WANTED)
        assert canary.requests == []


async def test_b4_an_insecure_registry_without_tls_sends_no_password_to_a_token_host_without_tls() -> None:
    async with serve_canary(TOKEN) as canary:
        realm = f"http://{named(canary.host, 'token.test')}/token"
        async with serve(auth=Bearer({"ann": "marker-password"}, realm=realm)) as registry:
            endpoint = Endpoint(named(registry.host, "registry.test"), "app", Protection.ANY)
            account = {"app": Credential("ann", "marker-password")}
            async with one_client(endpoint, accounts=account) as opened:
                with pytest.raises(Unauthorized):
                    await fetched(opened("app"), WANTED)
        assert not canary.saw("marker-password")
        assert "authorization" not in canary.header_names()


async def test_b4_an_insecure_registry_does_not_loosen_another_of_the_same_client(tmp_path: Path) -> None:
    tls = Authority(tmp_path).server()
    async with serve(tls=tls) as loose, serve(tls=tls) as strict:
        for registry in (loose, strict):
            registry.add_blob("app", BLOB)
            registry.add_blob("other", BLOB)
        endpoints = Endpoint(loose.host, "app", Protection.ANY), Endpoint(strict.host, "other", Protection.TLS)
        async with one_client(*endpoints) as opened:
            assert await fetched(opened("app"), WANTED) == BLOB
            with pytest.raises(TLSFailure):
                await fetched(opened("other"), WANTED)
        assert len(strict.journal) == 0


async def test_b4_the_same_host_is_checked_for_whoever_did_not_set_it_up_as_insecure(tmp_path: Path) -> None:
    async with serve(tls=Authority(tmp_path).server()) as registry:
        registry.add_blob("app", BLOB)
        endpoints = Endpoint(registry.host, "app", Protection.ANY), Endpoint(registry.host, "other", Protection.TLS)
        async with one_client(*endpoints) as opened:
            await fetched(opened("app"), WANTED)
            with pytest.raises(TLSFailure):
                await fetched(opened("other"), WANTED)


# B6: headers that are set up for a host -------------------------------------------------------------------------------


def with_header(registry: TestRegistry, repository: str = "app") -> Endpoint:
    return Endpoint(registry.host, repository, Protection.PLAIN, headers=(SECRET,))


async def test_b6_a_header_of_a_host_goes_to_that_host_with_every_request() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with one_client(with_header(registry)) as opened:
            assert await fetched(opened("app"), WANTED) == BLOB
            await bring(opened("app"), LARGE)
        assert [request.headers.get(SECRET[0]) for request in registry.journal] == [SECRET[1]] * len(registry.journal)
        assert {request.method for request in registry.journal} >= {"GET", "HEAD", "POST", "PATCH", "PUT"}


async def test_b6_a_header_of_a_host_does_not_go_where_it_sends_us() -> None:
    async with serve_canary(Answer(200, (), BytesBody(BLOB))) as canary, serve() as registry:
        registry.faults.append(faults.redirect(None, f"{canary.url}/x", kind="blob", times=None))
        async with one_client(with_header(registry)) as opened:
            assert await fetched(opened("app"), WANTED) == BLOB
        assert canary.header_names() == {"host", "user-agent", "accept", "accept-encoding"}


async def test_b6_a_header_of_a_host_does_not_come_back_after_a_detour() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        back = f"{registry.url}/v2/app/blobs/{WANTED.digest}?back=1"
        async with serve_canary(Answer(307, (("Location", back),))) as evil:
            registry.faults.append(faults.redirect(None, f"{evil.url}/detour", kind="blob"))
            async with one_client(with_header(registry)) as opened:
                assert await fetched(opened("app"), WANTED) == BLOB
        (detoured,) = [request for request in registry.journal if request.query == "back=1"]
        assert SECRET[0] not in detoured.headers


@pytest.mark.parametrize("host", ["token.test", "127.0.0.1"])
async def test_b6_a_token_server_sees_an_exact_list_of_headers(host: str) -> None:
    async with serve_canary(TOKEN) as canary:
        async with serve(auth=Bearer(realm=f"http://{named(canary.host, host)}/token")) as registry:
            async with one_client(with_header(registry)) as opened:
                with pytest.raises(RegistryError):
                    await fetched(opened("app"), WANTED)
        assert canary.header_names() == {"host", "user-agent", "accept", "accept-encoding"}
        assert not canary.saw(SECRET[1])


async def test_b6_a_header_of_one_host_does_not_go_to_another() -> None:
    async with serve() as one, serve() as other:
        one.add_blob("app", BLOB)
        other.add_blob("other", BLOB)
        async with one_client(with_header(one), Endpoint(other.host, "other", Protection.PLAIN)) as opened:
            for name in ("app", "other"):
                assert await fetched(opened(name), WANTED) == BLOB
        assert all(SECRET[0] not in request.headers for request in other.journal)


async def test_b6_a_header_that_is_set_up_does_not_stand_in_for_one_that_is_sent_anyway() -> None:
    async with serve(auth=Basic({"ann": "pw"})) as registry:
        registry.add_blob("app", BLOB)
        mine = (("authorization", "Basic bWFya2Vy"), ("ACCEPT-ENCODING", "gzip"), ("User-agent", "other/1"))
        endpoint = Endpoint(registry.host, "app", Protection.PLAIN, headers=mine)
        async with one_client(endpoint, accounts={"app": Credential("ann", "pw")}) as opened:
            assert await fetched(opened("app"), WANTED) == BLOB
        last = registry.journal.requests[-1].headers
        assert last["Authorization"] == Credential("ann", "pw").basic
        assert last["Accept-Encoding"] == "identity"
        assert last["User-Agent"].startswith("puller/")


# B20: one host, spoken to in several ways -----------------------------------------------------------------------------


async def test_b20_two_accounts_of_one_host_share_no_connection_and_no_token() -> None:
    users = {"ann": "marker-a", "bob": "marker-b"}
    async with serve(auth=Bearer(users, anonymous=frozenset({"pull"}))) as registry:
        names = ("team/a", "team/b", "public")
        for name in names:
            registry.add_blob(name, BLOB)
        accounts = {"team/a": Credential("ann", "marker-a"), "team/b": Credential("bob", "marker-b")}
        endpoints = [Endpoint(registry.host, name, Protection.PLAIN) for name in names]
        async with one_client(*endpoints, accounts=accounts) as opened:
            for name in (*names, *names):
                assert await fetched(opened(name), WANTED) == BLOB
        shown = {name: registry.journal.find(repository=name) for name in names}
        tokens = [{request.headers.get("Authorization") for request in shown[name]} - {None} for name in names]
        assert [len(each) for each in tokens] == [1, 1, 1]
        assert len(set.union(*tokens)) == 3
        ports = [{request.port for request in shown[name]} for name in names]
        assert all(one.isdisjoint(other) for one in ports for other in ports if one is not other)
        logins = [request.headers.get("Authorization") for request in registry.journal.find(kind="token")]
        assert logins == [accounts["team/a"].basic, accounts["team/b"].basic, None]


async def test_b20_a_connection_that_has_shown_a_certificate_is_used_for_nothing_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.server(clients=authority)
    tls.verify_mode = tls.verify_mode.CERT_OPTIONAL
    async with serve(tls=tls) as registry:
        endpoints = [
            Endpoint(registry.host, "app", Protection.TLS, Trust((authority.file,), (authority.pair(),))),
            Endpoint(registry.host, "other", Protection.TLS, Trust((authority.file,))),
        ]
        for endpoint in endpoints:
            registry.add_blob(endpoint.repository, BLOB)
        async with one_client(*endpoints) as opened:
            for name in ("app", "other", "app", "other"):
                assert await fetched(opened(name), WANTED) == BLOB
        shown = [(request.repository, bool(request.certificate)) for request in registry.journal]
        assert shown == [("app", True), ("other", False)] * 2


async def test_b20_a_way_through_a_proxy_and_a_straight_one_are_not_mixed() -> None:
    async with serve_proxy(hosts=HERE) as proxy, serve() as registry:
        host = named(registry.host, "registry.test")
        endpoints = [
            Endpoint(host, "app", Protection.PLAIN, proxy=proxy.url),
            Endpoint(host, "other", Protection.PLAIN),
        ]
        for endpoint in endpoints:
            registry.add_blob(endpoint.repository, BLOB)
        async with one_client(*endpoints) as opened:
            for name in ("app", "other", "app", "other"):
                assert await fetched(opened(name), WANTED) == BLOB
        assert [request.repository for request in registry.journal] == ["app", "other"] * 2
        assert all("/v2/app/" in asked.target for asked in proxy.requests)
        assert len(proxy.requests) == 2
        through, straight = (
            {request.port for request in registry.journal.find(repository=name)} for name in ("app", "other")
        )
        assert through.isdisjoint(straight)
        assert len(straight) == 1
