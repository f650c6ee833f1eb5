"""Threats B1, B5, B6, B11 and B12 among mirrors: what is known of one host is not shown to the others."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from puller.contracts.access import Credential, Identity, KnownIdentity, Protection
from puller.errors import HelperFailed
from testregistry import Basic, Bearer, TestRegistry, faults
from tests.registry.mirrors.several import IMAGE, LAYER, Hosts, hosts
from tests.registry.scene import described, fetched

WANTED = described(LAYER.raw)
HEADER = ("X-Mirror-Key", "marker-header")


@dataclass
class Accounts:
    """Accounts by host, filled in once the hosts are known; what was asked for is remembered."""

    of: Mapping[str, Identity]
    asked: list[tuple[str, str]]

    def identity(self, registry: str, repository: str) -> Identity | None:
        self.asked.append((registry, repository))
        return self.of.get(registry)


@dataclass(frozen=True)
class Broken:
    """A helper that does not work."""

    name: str = "broken"

    async def credential(self) -> Credential | None:
        raise HelperFailed("it broke")

    async def renewed(self, refused: Credential) -> Credential | None:
        raise HelperFailed("it broke")


async def taken(several: Hosts) -> bytes:
    """The layer, from whoever gives it."""
    return await fetched(several.source, WANTED)


def ann(secret: str) -> KnownIdentity:
    return KnownIdentity(f"ann of {secret}", Credential("ann", secret))


def lock(registry: TestRegistry, secret: str) -> None:
    registry.auth = Basic({"ann": secret})


def shown(registry: TestRegistry) -> set[str]:
    return {request.headers["Authorization"] for request in registry.journal if "Authorization" in request.headers}


def fill(accounts: Accounts, open_hosts: Hosts, *secrets: str | None) -> None:
    accounts.of = {
        registry.host: ann(secret)
        for registry, secret in zip(open_hosts.registries, secrets, strict=True)
        if secret is not None
    }


async def test_b11_each_host_is_shown_its_own_account() -> None:
    accounts = Accounts({}, [])
    async with hosts(filled=[False, True], keyring=accounts) as several:
        fill(accounts, several, "marker-mirror", "marker-home")
        lock(several.mirror, "marker-mirror")
        lock(several.registry, "marker-home")
        assert await taken(several) == LAYER.raw
        assert shown(several.mirror) == {Credential("ann", "marker-mirror").basic}
        assert shown(several.registry) == {Credential("ann", "marker-home").basic}


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
async def test_b11_a_mirror_without_an_account_is_asked_as_nobody_whatever_it_wants(scheme: str) -> None:
    accounts = Accounts({}, [])
    async with hosts(keyring=accounts) as several:
        fill(accounts, several, None, "marker-home")
        several.mirror.auth = (
            Basic({"ann": "other"}) if scheme == "basic" else Bearer({"ann": "other"}, anonymous=frozenset())
        )
        if isinstance(several.mirror.auth, Bearer):
            several.mirror.auth.endpoint = f"{several.mirror.url}/token"
        lock(several.registry, "marker-home")
        assert await taken(several) == LAYER.raw
        assert [value for value in shown(several.mirror) if not value.startswith("Bearer ")] == []
        assert shown(several.registry) == {Credential("ann", "marker-home").basic}


async def test_b11_a_broken_helper_of_a_mirror_leads_to_no_other_secret() -> None:
    accounts = Accounts({}, [])
    async with hosts(keyring=accounts) as several:
        accounts.of = {several.mirror.host: Broken(), several.registry.host: ann("marker-home")}
        lock(several.mirror, "other")
        lock(several.registry, "marker-home")
        assert await taken(several) == LAYER.raw
        assert ["it broke" in event.reason for event in several.passed_over()] == [True]
        assert shown(several.mirror) == set()
        assert shown(several.registry) == {Credential("ann", "marker-home").basic}


async def test_b6_a_header_of_a_mirror_does_not_go_to_the_registry_nor_the_other_way_round() -> None:
    async with hosts(filled=[False, True], endpoints=[{"headers": (HEADER,)}, {}]) as several:
        assert await taken(several) == LAYER.raw
        assert all(request.headers.get(HEADER[0]) == HEADER[1] for request in several.mirror.journal)
        assert all(HEADER[0] not in request.headers for request in several.registry.journal)
    async with hosts(filled=[False, True], endpoints=[{}, {"headers": (HEADER,)}]) as several:
        assert await taken(several) == LAYER.raw
        assert all(HEADER[0] not in request.headers for request in several.mirror.journal)
        assert all(request.headers.get(HEADER[0]) == HEADER[1] for request in several.registry.journal)


async def test_b5_a_mirror_that_sends_us_to_the_registry_is_followed_without_anybodys_secret() -> None:
    accounts = Accounts({}, [])
    async with hosts(keyring=accounts, endpoints=[{"headers": (HEADER,)}, {"headers": (HEADER,)}]) as several:
        fill(accounts, several, "marker-mirror", "marker-home")
        lock(several.mirror, "marker-mirror")
        there = f"{several.registry.url}/v2/app/blobs/{LAYER.digest}?from-mirror=1"
        several.mirror.faults.append(faults.redirect(None, there, kind="blob", times=None))
        assert await taken(several) == LAYER.raw
        sent = [request for request in several.registry.journal if request.query]
        assert sent
        assert {name.lower() for request in sent for name in request.headers} == {
            *("host", "user-agent", "accept", "accept-encoding")
        }


async def test_b12_a_mirror_is_asked_for_a_token_of_what_the_repository_is_called_there() -> None:
    accounts = Accounts({}, [])
    async with hosts(keyring=accounts, endpoints=[{"repository": "proxy/app"}, {}]) as several:
        several.mirror.add("proxy/app:1", IMAGE)
        several.mirror.auth = Bearer(anonymous=frozenset({"pull"}))
        several.mirror.auth.endpoint = f"{several.mirror.url}/token"
        assert await taken(several) == LAYER.raw
        (token,) = several.mirror.journal.find(kind="token")
        assert "repository%3Aproxy%2Fapp%3Apull" in token.query or "repository:proxy/app:pull" in token.query
        assert (several.mirror.host, "proxy/app") in accounts.asked
        assert (several.mirror.host, "app") not in accounts.asked


async def test_b1_a_mirror_that_must_speak_tls_is_not_asked_without_and_the_registry_keeps_its_own_manner() -> None:
    async with hosts(endpoints=[{"protection": Protection.TLS}, {}]) as several:
        assert await taken(several) == LAYER.raw
        assert len(several.mirror.journal) == 0
        assert several.passed_over()


@pytest.mark.parametrize("url", ["http://xn--a.example/token", "https://xn--a/token", "http://127.1/", "http://a%00b/"])
async def test_b3_a_mirror_that_names_a_token_server_which_nobody_can_ask_is_passed_over(url: str) -> None:
    async with hosts() as there:
        challenge = {"WWW-Authenticate": f'Bearer realm="{url}"'}
        there.mirror.faults.append(faults.status(401, headers=challenge, times=None))
        async with there.source.fetch(WANTED) as body:
            raw = b"".join([bytes(chunk) async for chunk in body])
        assert raw == LAYER.raw
        assert body.origin.host == there.registry.host
