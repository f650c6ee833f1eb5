"""Authentication against registries and token servers that fail or lie."""

import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from puller.contracts.access import Credential
from puller.errors import (
    ProtocolViolation,
    RateLimited,
    RegistryError,
    TLSFailure,
    Unauthorized,
    Unavailable,
    UnsafeRedirect,
)
from puller.registry.client import RegistryClient
from puller.registry.transport.reach import Reach, reach_of
from testregistry import Basic, Bearer, faults, serve
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from testregistry.raw import serve_script
from tests.registry.locked import ATTEMPTS, IMAGE, LAYER, USER, USERS, client, fetch, resolve, sent
from tests.registry.scene import Names, Time


async def test_n11_a_registry_that_refuses_every_token_is_asked_twice() -> None:
    auth = Bearer()
    async with serve(auth=auth) as registry, client(registry.host) as opened:
        registry.add("app:1", IMAGE)
        challenge = {"WWW-Authenticate": f'Bearer realm="{auth.endpoint}",service="testregistry"'}
        registry.faults.append(faults.status(401, headers=challenge, kind="blob", times=None, before_auth=True))
        with pytest.raises(Unauthorized):
            await fetch(opened, registry.name("app:1"))
        assert registry.journal.count(kind="token") == 1
        assert registry.journal.count(kind="blob") == 2
        with pytest.raises(Unauthorized):
            await fetch(opened, registry.name("app:1"))
        assert registry.journal.count(kind="token") == 2
        assert registry.journal.count(kind="blob") == 4


async def test_n11_a_realm_that_changes_each_time_is_followed_once() -> None:
    auth = Bearer()
    async with serve(auth=auth) as registry, client(registry.host) as opened:
        registry.add("app:1", IMAGE)
        for number in range(5):
            challenge = {"WWW-Authenticate": f'Bearer realm="{auth.endpoint}?n={number}",service="testregistry"'}
            fault = faults.status(401, headers=challenge, kind="blob", before_auth=True, skip=number)
            registry.faults.append(fault)
        with pytest.raises(Unauthorized):
            await fetch(opened, registry.name("app:1"))
        assert registry.journal.count(kind="token") == 1
        assert registry.journal.count(kind="blob") == 2


async def test_n11_a_403_is_final() -> None:
    async with serve(auth=Bearer(), faults=[faults.status(403, kind="blob", times=None)]) as registry:
        async with client(registry.host) as opened:
            registry.add("app:1", IMAGE)
            with pytest.raises(Unauthorized):
                await fetch(opened, registry.name("app:1"))
        assert registry.journal.count(kind="blob", status=403) == 1
        assert registry.journal.count(kind="token") == 1


async def test_a_wrong_password_is_told_by_the_token_server_and_not_repeated() -> None:
    auth = Bearer({"user": "other"}, anonymous=frozenset())
    async with serve(auth=auth) as registry, client(registry.host, USER) as opened:
        registry.add("app:1", IMAGE)
        with pytest.raises(Unauthorized, match="token server refuses") as caught:
            await resolve(opened, registry.name("app:1"))
        assert registry.journal.count(kind="token") == 1
        assert "marker-secret" not in str(caught.value)


BROKEN: dict[str, tuple[faults.Fault, type[RegistryError], int]] = {
    "500 for ever": (faults.status(500, kind="token", times=None), Unavailable, ATTEMPTS),
    "429 for ever": (faults.status(429, kind="token", times=None), RateLimited, ATTEMPTS),
    "html": (faults.body(faults.Match(kind="token"), b"<html>log in</html>"), ProtocolViolation, 1),
    "no token": (faults.body(faults.Match(kind="token"), b"{}"), ProtocolViolation, 1),
    "10 MB": (faults.body(faults.Match(kind="token"), b'{"token": "' + b"x" * 10_000_000), ProtocolViolation, 1),
    "endless": (faults.endless(kind="token"), ProtocolViolation, 1),
    "404": (faults.status(404, kind="token"), ProtocolViolation, 1),
    "header injection": (
        faults.body(faults.Match(kind="token"), json.dumps({"token": "a\r\nX-Evil: 1"}).encode()),
        ProtocolViolation,
        1,
    ),
}


@pytest.mark.parametrize(("fault", "kind", "asked"), BROKEN.values(), ids=BROKEN.keys())
async def test_n12_a_broken_token_server_is_a_typed_error(
    fault: faults.Fault, kind: type[RegistryError], asked: int
) -> None:
    async with serve(auth=Bearer(USERS), faults=[fault]) as registry, client(registry.host, USER) as opened:
        registry.add("app:1", IMAGE)
        with pytest.raises(kind) as caught:
            await fetch(opened, registry.name("app:1"))
        assert type(caught.value) is kind
        assert registry.journal.count(kind="token") == asked
        assert registry.journal.count(kind="blob") == 1


async def test_n12_a_token_server_that_fails_once_is_asked_again() -> None:
    async with serve(auth=Bearer(), faults=[faults.status(503, kind="token")]) as registry:
        async with client(registry.host) as opened:
            registry.add("app:1", IMAGE)
            assert await fetch(opened, registry.name("app:1")) == LAYER.raw
        assert registry.journal.count(kind="token") == 2


async def test_r8_a_refresh_token_is_not_sent_again_after_a_failure() -> None:
    auth = Bearer(identity_tokens={"marker-secret": "user"})
    holder = Credential("", "", "marker-secret")
    async with serve(auth=auth, faults=[faults.status(503, kind="token", times=None)]) as registry:
        async with client(registry.host, holder) as opened:
            registry.add("app:1", IMAGE)
            with pytest.raises(Unavailable):
                await resolve(opened, registry.name("app:1"))
        assert registry.journal.count(kind="token") == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_n12_a_token_server_that_redirects_is_not_followed(code: int) -> None:
    async with serve_canary() as canary, serve(auth=Bearer(USERS)) as registry:
        registry.add("app:1", IMAGE)
        registry.faults.append(faults.redirect(None, f"{canary.url}/token", code=code, kind="token", times=None))
        async with client(registry.host, USER) as opened:
            with pytest.raises(ProtocolViolation):
                await resolve(opened, registry.name("app:1"))
        assert canary.requests == []


async def test_b4_a_token_server_is_held_to_the_registrys_tls_policy(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    ours, other = Authority(tmp_path), Authority(tmp_path / "other", "somebody else")
    async with serve_canary(tls=other.server()) as canary:
        auth = Bearer(USERS, anonymous=frozenset(), realm=f"{canary.url}/token")
        async with serve(auth=auth, tls=ours.server()) as registry:
            registry.add("app:1", IMAGE)
            async with client(registry.host, USER, named=False, ca_file=ours.file) as opened:
                with pytest.raises(TLSFailure):
                    await resolve(opened, registry.name("app:1"))
        assert canary.requests == []


async def test_b4_the_registrys_ca_counts_for_its_token_server(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    auth = Bearer(USERS, anonymous=frozenset(), separate=True)
    async with serve(auth=auth, tls=ours.server()) as registry:
        registry.add("app:1", IMAGE)
        async with client(registry.host, USER, named=False, ca_file=ours.file) as opened:
            await resolve(opened, registry.name("app:1"))
        assert registry.journal.count("GET", kind="token") == 1


async def test_b3_credentials_do_not_follow_a_realm_to_another_owner() -> None:
    async with serve_canary() as canary:
        port = canary.url.rpartition(":")[2]
        async with serve(auth=Bearer(USERS, realm=f"http://login.evil.test:{port}/token")) as registry:
            registry.add("app:1", IMAGE)
            name = f"registry.good.test:{registry.host.rpartition(':')[2]}"
            async with client(name, USER) as opened:
                with pytest.raises(ProtocolViolation):  # the canary's answer is no token
                    await fetch(opened, f"{name}/app:1")
        assert len(canary.requests) == 1
        assert "authorization" not in canary.header_names()
        assert not canary.saw("marker-secret")


async def test_b3_credentials_do_follow_a_realm_to_a_host_the_caller_has_named() -> None:
    async with serve_canary() as canary:
        port = canary.url.rpartition(":")[2]
        async with serve(auth=Bearer(USERS, realm=f"http://login.evil.test:{port}/token")) as registry:
            registry.add("app:1", IMAGE)
            name = f"registry.good.test:{registry.host.rpartition(':')[2]}"
            async with client(name, USER, token_hosts=["login.evil.test"]) as opened:
                with pytest.raises(ProtocolViolation):  # the canary's answer is no token
                    await fetch(opened, f"{name}/app:1")
        assert "authorization" in canary.header_names()


async def test_b14_a_challenge_that_is_no_utf_8_is_a_violation() -> None:
    async with serve_canary() as canary:
        line = f'WWW-Authenticate: Bearer realm="{canary.url}/token",service="'.encode() + b'\xff"\r\n'
        refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n" + line + b"\r\n"
        async with serve_script([refusal]) as raw, client(raw.host, USER) as opened:
            with pytest.raises(ProtocolViolation, match="malformed WWW-Authenticate"):
                await resolve(opened, f"{raw.host}/app:1")
        assert canary.requests == []


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "10.0.0.1", "0.0.0.0"])
async def test_b3_a_realm_whose_name_leads_to_a_local_address_is_not_asked(address: str) -> None:
    async with serve_canary() as canary:
        port = canary.url.rpartition(":")[2]
        async with serve(host="127.0.0.2", auth=Bearer(realm=f"http://login.evil.test:{port}/token")) as registry:
            registry.add("app:1", IMAGE)
            name = f"registry.good.test:{registry.host.rpartition(':')[2]}"
            # The registry itself is reached on loopback, which this client takes for the open internet.
            opened = RegistryClient(
                plain_http=[name],
                world=Time().world(),
                resolver=lambda: Names({"registry.good.test": "127.0.0.2", "login.evil.test": address}),
                classify=lambda seen: Reach.PUBLIC if seen == "127.0.0.2" else reach_of(seen),
            )
            async with opened:
                with pytest.raises(UnsafeRedirect):
                    await resolve(opened, f"{name}/app:1")
        assert canary.requests == []


async def test_b12_a_token_for_one_repository_is_not_sent_for_another() -> None:
    async with serve(auth=Bearer(USERS)) as registry, client(registry.host, USER) as opened:
        registry.add("one:1", IMAGE)
        registry.add("two:1", IMAGE)
        await resolve(opened, registry.name("one:1"))
        await resolve(opened, registry.name("two:1"))
        first, second = registry.journal.find(repository="one"), registry.journal.find(repository="two")
        tokens = [
            {request.headers.get("Authorization") for request in requests} - {None} for requests in (first, second)
        ]
        assert [len(each) for each in tokens] == [1, 1]
        assert tokens[0] != tokens[1]
        assert second[0].headers.get("Authorization") is None


async def test_b12_a_challenge_for_more_does_not_widen_what_is_asked() -> None:
    async with serve(auth=Bearer(USERS)) as registry, client(registry.host, USER) as opened:
        registry.add("app:1", IMAGE)
        assert isinstance(registry.auth, Bearer)
        wide = f'Bearer realm="{registry.auth.endpoint}",service="testregistry",scope="repository:other:pull,push *"'
        registry.faults.append(faults.status(401, headers={"WWW-Authenticate": wide}, before_auth=True, kind="blob"))
        await fetch(opened, registry.name("app:1"))
        (request,) = registry.journal.find(kind="token")
        assert parse_qs(request.query)["scope"] == ["repository:app:pull"]


async def test_b20_two_identities_on_one_host_do_not_mix() -> None:
    users = {"a": "1", "b": "2"}
    async with serve(auth=Basic(users)) as registry:
        registry.add("app:1", IMAGE)
        one, other = Credential("a", "1"), Credential("b", "2")
        async with client(registry.host, one) as first, client(registry.host, other) as second:
            for opened in (first, second, first, second):
                await resolve(opened, registry.name("app:1"))
        assert sent(registry) == [None, one.basic, None, other.basic, one.basic, other.basic]
