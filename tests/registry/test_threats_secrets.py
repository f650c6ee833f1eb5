"""Threats B1 to B4, B11 to B13, B15, B19 and B20: who is spoken to, under whose name, and what is written down."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from puller.errors import ProtocolViolation, PullerError, RegistryError, TLSFailure, Unauthorized, UnsafeRedirect
from puller.registry.retry import RetryPolicy
from puller.registry.transport.reach import Reach
from testregistry import Basic, Bearer, faults, serve
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from testregistry.raw import RawRequest, answer, serve_script
from tests.registry.elsewhere import BLOB, HERE, LOGIN, WANTED, pretend, told
from tests.registry.scene import (
    QUICK,
    Names,
    OneLogin,
    Time,
    fetched,
    opened,
)

# B1: plain HTTP -------------------------------------------------------------------------------------------------------


async def test_b1_a_failed_handshake_never_leads_to_plain_http() -> None:
    heard: list[bytes] = []

    async def evil(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(evil, "127.0.0.1", 0)
    name = f"registry.test:{server.sockets[0].getsockname()[1]}"
    async with server, opened(f"{name}/app", names=Names(HERE), login=LOGIN) as repository:
        with pytest.raises(TLSFailure):
            await fetched(repository, WANTED)
    assert len(heard) == 1
    assert heard[0][0] == 0x16  # a TLS handshake record
    assert b"GET" not in heard[0]


async def test_b1_a_registry_that_is_not_named_is_not_spoken_to_in_plain_http() -> None:
    async with serve() as registry:
        async with opened(f"{told(registry)}/app", names=Names(HERE)) as repository:
            with pytest.raises(TLSFailure, match="--plain-http"):
                await fetched(repository, WANTED)
        assert len(registry.journal) == 0


async def test_b1_localhost_that_resolves_elsewhere_is_not_spoken_to() -> None:
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        name = registry.name("app").replace("127.0.0.1", "localhost")
        names = Names({"localhost": "127.0.0.1"})
        async with opened(name, names=names) as repository:
            assert await fetched(repository, WANTED) == BLOB
        async with opened(name, names=names, classify=lambda address: Reach.PUBLIC) as repository:
            with pytest.raises(UnsafeRedirect):
                await fetched(repository, WANTED)
        assert len(registry.journal) == 1


async def test_b1_credentials_go_over_plain_http_to_a_named_registry_only() -> None:
    async with serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app"), login=LOGIN) as repository:
            with pytest.raises(Unauthorized, match=f"--plain-http {registry.host}"):
                await fetched(repository, WANTED)
        assert all("Authorization" not in request.headers for request in registry.journal)
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            assert await fetched(repository, WANTED) == BLOB


# B2: foreign layers ---------------------------------------------------------------------------------------------------


async def test_b2_the_urls_of_a_descriptor_are_not_asked() -> None:
    async with serve_canary() as canary, serve() as registry:
        foreign = replace(WANTED, urls=(f"{canary.url}/layer",))
        async with opened(registry.name("app")) as repository:
            with pytest.raises(RegistryError):
                await fetched(repository, foreign)
        assert canary.requests == []


# B3, B4: token servers ------------------------------------------------------------------------------------------------


async def test_b3_a_realm_whose_name_leads_inside_is_not_asked() -> None:
    async with serve_canary(host="127.0.0.2") as canary:
        realm = f"http://inside.test:{canary.host.partition(':')[2]}/token"
        async with serve(auth=Bearer(realm=realm)) as registry:
            names, name = Names(HERE), told(registry)
            async with opened(f"{name}/app", names=names, plain_http=[name], classify=pretend) as repository:
                with pytest.raises(UnsafeRedirect, match="out of bounds"):
                    await fetched(repository, WANTED)
            assert "inside.test" in names.asked
        assert canary.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2", "127.2", "2130706434", "0x7f000002", "0x7f.2", "0177.0.0.2", "[::1]", "[::ffff:127.0.0.2]",
        "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "169.254.169.254", "2852039166", "0.0.0.0", "[::]",
        "10.0.0.1", "192.168.1.1", "[fe80::1]", "[fd00::1]", "localhost", "localhost.", "a.localhost", "inside.test",
        "registry.test@127.0.0.2", "registry.test:x@127.0.0.2",
    ],
)  # fmt: skip
async def test_b3_no_spelling_of_an_inner_address_is_asked_for_a_token(host: str) -> None:
    async with serve_canary(host="127.0.0.2") as canary:
        realm = f"http://{host}:{canary.host.partition(':')[2]}/token"
        async with serve(auth=Bearer({"alice": "marker-password"}, realm=realm)) as registry:
            name, names = told(registry), Names(HERE | {"localhost": "127.0.0.2", "a.localhost": "127.0.0.2"})
            async with opened(
                f"{name}/app", names=names, plain_http=[name], classify=pretend, login=LOGIN
            ) as repository:
                with pytest.raises(UnsafeRedirect):
                    await fetched(repository, WANTED)
        assert canary.requests == []


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "gopher://127.0.0.1/_x", "/token", "//127.0.0.1/token", ""])
async def test_b3_what_is_no_http_url_is_no_token_server(realm: str) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}
    async with serve(faults=[faults.status(401, headers=challenge, kind="blob", times=None)]) as registry:
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            with pytest.raises((UnsafeRedirect, ProtocolViolation)):
                await fetched(repository, WANTED)
        assert len(registry.journal) == 1


async def test_b3_a_realm_that_is_public_first_and_inside_later_is_not_asked() -> None:
    async with serve_canary(host="127.0.0.2") as canary:
        realm = f"http://cdn.test:{canary.host.partition(':')[2]}/token"
        async with serve(auth=Bearer(realm=realm)) as registry:
            name = told(registry)
            names = Names({"registry.test": "127.0.0.1", "cdn.test": ["127.0.0.1", "127.0.0.2"]})
            async with opened(f"{name}/app", names=names, plain_http=[name], classify=pretend) as repository:
                for _ in range(2):
                    with pytest.raises(RegistryError):
                        await fetched(repository, WANTED)
        assert canary.requests == []


async def test_b3_credentials_do_not_go_to_a_foreign_realm() -> None:
    async with serve_canary(Answer(200, (), BytesBody(b'{"token": "x"}'))) as canary:
        realm = f"http://cdn.test:{canary.host.partition(':')[2]}/token"
        async with serve(auth=Bearer(realm=realm)) as registry:
            name = told(registry).replace("registry.test", "registry.example")
            names = Names(HERE | {"registry.example": "127.0.0.1"})
            async with opened(f"{name}/app", names=names, plain_http=[name], login=LOGIN) as repository:
                with pytest.raises(Unauthorized):
                    await fetched(repository, WANTED)
        assert not canary.saw("marker-password")
        assert "authorization" not in canary.header_names()


@pytest.mark.parametrize("trusted", [True, False])
async def test_b4_the_token_server_stands_under_the_same_tls_policy(tmp_path: Path, trusted: bool) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    token_tls = authority.server() if trusted else Authority(tmp_path / "other", "a stranger").server()
    token = Answer(200, (), BytesBody(b'{"token": "x"}'))
    async with serve_canary(token, tls=token_tls) as canary:
        async with serve(auth=Bearer(realm=f"{canary.url}/token"), tls=authority.server()) as registry:
            async with opened(registry.name("app"), ca_file=authority.file) as repository:
                with pytest.raises(Unauthorized if trusted else TLSFailure):
                    await fetched(repository, WANTED)
        assert len(canary.requests) == (1 if trusted else 0)


# B11, B12: whose secret -----------------------------------------------------------------------------------------------


async def test_b12_a_token_for_one_repository_is_not_sent_for_another() -> None:
    async with serve(auth=Bearer()) as registry:
        tokens = set()
        for repository_name in ("app", "other"):
            registry.add_blob(repository_name, BLOB)
            async with opened(registry.name(repository_name)) as repository:
                assert await fetched(repository, WANTED) == BLOB
            tokens.add(registry.journal.requests[-1].headers["Authorization"])
        assert len(tokens) == 2
        scopes = [request.query for request in registry.journal.find(kind="token")]
        assert ["pull" in scope and "push" not in scope for scope in scopes] == [True, True]


async def test_b12_the_scope_asked_for_is_ours_whatever_the_challenge_says() -> None:
    wide = 'Bearer realm="{}/token",service="testregistry",scope="repository:other:pull,push,delete registry:catalog:*"'
    async with serve(auth=Bearer()) as registry:
        registry.add_blob("app", BLOB)
        challenge = {"WWW-Authenticate": wide.format(registry.url)}
        registry.faults.append(faults.status(401, headers=challenge, kind="blob", before_auth=True))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, WANTED) == BLOB
        (token,) = registry.journal.find(kind="token")
        assert "other" not in token.query
        assert "push" not in token.query
        assert "catalog" not in token.query


# B13: tokens that lie about themselves ------------------------------------------------------------------------------


async def test_b13_a_token_refused_in_mid_pull_costs_one_refresh_and_is_an_error_then() -> None:
    cut = faults.cut(str(WANTED.digest), after=20_000)
    dead = faults.expire_token(str(WANTED.digest), ranged=True, times=None)
    async with serve(auth=Bearer(), faults=[cut, dead]) as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(Unauthorized):
                await fetched(repository, WANTED)
        assert registry.journal.count(kind="token") == 2
        assert [request.status for request in registry.journal.find(kind="blob")] == [401, 200, 401, 401]


@pytest.mark.parametrize(
    "said",
    [
        {"expires_in": 1, "issued_at": "2999-01-01T00:00:00Z"},
        {"expires_in": -1},
        {"expires_in": 10**18, "issued_at": "1970-01-01T00:00:00Z"},
        {"expires_in": "soon"},
        {"issued_at": "never"},
    ],
    ids=str,
)
async def test_b13_whatever_is_said_of_its_life_a_token_serves_for_a_while_and_not_for_ever(
    said: dict[str, object],
) -> None:
    now = Time()
    async with serve(auth=Bearer(expires_in=None, extra=said)) as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app"), now=now) as repository:
            for _ in range(3):
                assert await fetched(repository, WANTED) == BLOB
            assert registry.journal.count(kind="token") == 1
            now.now += 2 * 3600
            assert await fetched(repository, WANTED) == BLOB
            assert registry.journal.count(kind="token") == 2


# B15: what is written down --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(500, times=None),
        faults.status(403, times=None),
        faults.status(401, times=None),
        faults.cut(after=10, times=None),
        faults.hang(times=None),
        faults.wrong_length(delta=5, times=None),
        faults.content_encoding(None, "gzip", times=None),
        faults.redirect(None, "http://127.0.0.1:1/dead?sig=marker-query", times=None),
        faults.redirect(None, "file:///marker-query", times=None),
        faults.redirect(None, "http://marker-user:marker-query@h.test/", times=None),
        faults.headers(add={"Content-Encoding": "x"}, times=None),
    ],
    ids=lambda fault: fault.name,
)
async def test_b15_no_secret_is_logged_or_told(fault: faults.Fault, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve(auth=Basic({"alice": "marker-password"})) as cdn:
        cdn.add_blob("app", BLOB)
        cdn.faults.append(fault)
        async with serve(auth=Basic({"alice": "marker-password"})) as registry:
            to_cdn = f"{cdn.url}/v2/app/blobs/{WANTED.digest}?sig=marker-query"
            for host, location in ((cdn, None), (registry, to_cdn)):
                if location is not None:
                    registry.faults.append(faults.redirect(None, location, kind="blob", times=None))
                async with opened(
                    host.name("app"),
                    login=LOGIN,
                    plain_http=[host.host],
                    retries=RetryPolicy(attempts=2),
                    patience=QUICK,
                ) as repository:
                    with pytest.raises(PullerError) as caught:
                        await fetched(repository, WANTED)
                shown = f"{caught.value} {caught.value!r} {caught.value.facts()} {caplog.text}"
                assert "marker" not in shown
                assert "YWxpY2U6" not in shown  # the beginning of `alice:` in base64


# B19, B20: surroundings -----------------------------------------------------------------------------------------------


async def test_b19_proxies_and_netrc_of_the_environment_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve_canary() as canary, serve(auth=Bearer()) as registry:
        registry.add_blob("app", BLOB)
        for variable in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, canary.url)
        monkeypatch.delenv("no_proxy", raising=False)
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login marker password marker\n")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        monkeypatch.setenv("HOME", str(tmp_path))
        async with opened(registry.name("app")) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert canary.requests == []
        assert all("Basic" not in request.headers.get("Authorization", "") for request in registry.journal)


async def test_b20_two_identities_share_no_connection() -> None:
    def script(request: RawRequest) -> bytes:
        if request.header("Authorization") is None:
            return answer("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="r"')])
        return answer(body=BLOB)

    async with serve_script(script) as raw:
        used: dict[str, set[int]] = {}
        for user in ("alice", "bob"):
            login = OneLogin(user, "pw")
            async with opened(f"{raw.host}/app", login=login, plain_http=[raw.host]) as repository:
                assert await fetched(repository, WANTED) == BLOB
                used[user] = {r.connection for r in raw.requests} - set().union(*used.values())
        assert used["alice"].isdisjoint(used["bob"])
        assert len(used["bob"]) == 1


async def test_b20_home_and_away_share_no_connection() -> None:
    def script(request: RawRequest) -> bytes:
        if request.path.startswith("/v2/"):
            return answer("307 Temporary Redirect", [("Location", f"http://cdn.test:{port}/blob")])
        return answer(body=BLOB)

    async with serve_script(script) as raw:
        port = raw.host.partition(":")[2]
        name = f"registry.test:{port}"
        async with opened(f"{name}/app", names=Names(HERE), plain_http=[name]) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert [request.connection for request in raw.requests] == [0, 1]
