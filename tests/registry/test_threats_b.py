"""Threats B1 to B8 and B11 to B20 at the client's front door: what leaves it, and to whom."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from puller.errors import ProtocolViolation, PullerError, RegistryError, TLSFailure, Unauthorized, UnsafeRedirect
from puller.model.mediatype import OCI_MANIFEST
from puller.model.reference import Reference
from puller.registry.reach import Reach, reach_of
from puller.registry.retry import RetryPolicy
from testregistry import Basic, Bearer, TestRegistry, faults, serve
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from testregistry.raw import Close, RawRequest, answer, serve_script
from tests.registry.scene import (
    MANIFEST,
    MANIFEST_DESCRIPTOR,
    QUICK,
    Names,
    OneLogin,
    content,
    described,
    fetched,
    opened,
)

BLOB = content(50_000)
WANTED = described(BLOB)
ONCE = RetryPolicy(attempts=1)
LOGIN = OneLogin("alice", "marker-password")


def told(registry: TestRegistry) -> str:
    """`registry.test:<port>`: a name that is no loopback name, for Names that lead to 127.0.0.1."""
    return f"registry.test:{registry.host.rpartition(':')[2]}"


HERE = {"registry.test": "127.0.0.1", "cdn.test": "127.0.0.1", "inside.test": "127.0.0.2"}


def pretend(address: str) -> Reach:
    """127.0.0.1 stands for the open internet; everything else is what it is."""
    return Reach.PUBLIC if address == "127.0.0.1" else reach_of(address)


@asynccontextmanager
async def sent_on(location: str, **more: object) -> AsyncIterator[TestRegistry]:
    """A registry, with Basic authentication, that sends every blob request on."""
    async with serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", BLOB)
        registry.faults.append(faults.redirect(None, location, kind="blob", times=None))
        yield registry


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
            with pytest.raises(TLSFailure):
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


# B5 to B8: redirects --------------------------------------------------------------------------------------------------


async def test_b5_authorization_is_dropped_on_redirect_to_another_port() -> None:
    async with serve_canary(Answer(200, (), BytesBody(BLOB))) as canary, sent_on(f"{canary.url}/x") as registry:
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert "authorization" not in canary.header_names()


async def test_b5_authorization_is_dropped_on_redirect_to_another_name_of_the_same_server() -> None:
    async with serve() as cdn:
        cdn.add_blob("app", BLOB)
        port = cdn.host.partition(":")[2]
        target = f"http://cdn.test:{port}/v2/app/blobs/{WANTED.digest}"
        async with sent_on(target) as registry:
            async with opened(
                registry.name("app"), names=Names(HERE), login=LOGIN, plain_http=[registry.host]
            ) as repository:
                assert await fetched(repository, WANTED) == BLOB
        assert "Authorization" not in cdn.journal.requests[0].headers


async def test_b5_authorization_stays_on_redirect_within_the_origin() -> None:
    async with serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", BLOB)
        there = f"/v2/app/blobs/{WANTED.digest}?there=1"
        registry.faults.append(faults.redirect(None, there, kind="blob"))
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            assert await fetched(repository, WANTED) == BLOB
        assert "Authorization" in registry.journal.requests[-1].headers


async def test_b5_authorization_does_not_come_back_after_a_detour() -> None:
    async with serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", BLOB)
        back = f"{registry.url}/v2/secret/blobs/{WANTED.digest}"
        async with serve_canary(Answer(307, (("Location", back),))) as evil:
            registry.faults.append(faults.redirect(None, f"{evil.url}/detour", repository="app", times=None))
            async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
                with pytest.raises(Unauthorized):
                    await fetched(repository, WANTED)
        detoured = [request for request in registry.journal if "/secret/" in request.path]
        assert detoured
        assert all("Authorization" not in request.headers for request in detoured)


async def test_b5_https_does_not_lead_to_http(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve_canary() as canary, serve(tls=authority.server()) as registry:
        registry.faults.append(faults.redirect(None, f"{canary.url}/x", times=None))
        async with opened(registry.name("app"), ca_file=authority.file) as repository:
            with pytest.raises(UnsafeRedirect, match="https to http"):
                await fetched(repository, WANTED)
        assert canary.requests == []


async def test_b6_another_origin_sees_an_exact_list_of_headers() -> None:
    part = Answer(206, (("Content-Range", "bytes 100-49999/50000"), ("Set-Cookie", "a=b")), BytesBody(BLOB[100:]))
    async with serve_canary(part) as canary, sent_on(f"{canary.url}/x") as registry:
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            for _ in range(2):
                assert await fetched(repository, WANTED, 100) == BLOB[100:]
        assert canary.header_names() == {"host", "user-agent", "accept", "accept-encoding", "range"}
        assert len(canary.requests) == 2


@pytest.mark.parametrize("user", ["user:pw@", "user@", "user%3Apw%40", ":@", "@"])
async def test_b7_a_location_with_a_user_is_refused(user: str) -> None:
    async with serve_canary() as canary, sent_on(f"http://{user}{canary.host}/x") as registry:
        async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
            with pytest.raises(UnsafeRedirect):
                await fetched(repository, WANTED)
        assert canary.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2", "127.2", "2130706434", "0x7f000002", "0x7f.0.0.2", "0177.0.0.2", "[::ffff:127.0.0.2]",
        "inside.test", "localhost", "169.254.169.254", "0.0.0.0", "[::1]", "[::]", "10.255.255.1",
        "[fe80::1]", "[fd00::1]",
    ],
)  # fmt: skip
async def test_b8_a_public_registry_may_not_send_us_inside(host: str) -> None:
    async with serve_canary(host="127.0.0.2") as canary:
        async with sent_on(f"http://{host}:{canary.host.partition(':')[2]}/latest/meta-data") as registry:
            name = told(registry)
            names = Names(HERE | {"localhost": "127.0.0.2"})
            async with opened(
                f"{name}/app", names=names, plain_http=[name], classify=pretend, login=LOGIN, retries=ONCE
            ) as repository:
                with pytest.raises(RegistryError) as caught:
                    await fetched(repository, WANTED)
        assert canary.requests == []
        # Some spellings no resolver takes; every one that is an address is refused as such.
        assert isinstance(caught.value, UnsafeRedirect) or not host.replace(".", "").isdigit()


async def test_b8_a_name_that_is_public_first_and_inside_later_is_refused_when_connecting() -> None:
    async with serve_canary(host="127.0.0.2") as canary:
        async with sent_on(f"http://cdn.test:{canary.host.partition(':')[2]}/x") as registry:
            name = told(registry)
            names = Names({"registry.test": "127.0.0.1", "cdn.test": ["127.0.0.2"]})
            async with opened(
                f"{name}/app", names=names, plain_http=[name], classify=pretend, login=LOGIN
            ) as repository:
                with pytest.raises(UnsafeRedirect, match="out of bounds"):
                    await fetched(repository, WANTED)
        assert canary.requests == []


async def test_b8_a_registry_inside_may_send_us_to_its_neighbours() -> None:
    async with serve_canary(Answer(200, (), BytesBody(BLOB)), host="127.0.0.2") as neighbour:
        async with sent_on(f"http://{neighbour.host}/x") as registry:
            async with opened(registry.name("app"), login=LOGIN, plain_http=[registry.host]) as repository:
                assert await fetched(repository, WANTED) == BLOB


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


# B16, B17, B18: what comes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"O" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**63,
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 10**40,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["long line", "many lines", "long reason", "2^63", "10^40", "negative"],
)
async def test_b16_header_bombs_are_refused(head: bytes) -> None:
    async with serve_script([(head, Close())] * 9) as raw, opened(f"{raw.host}/app", retries=ONCE) as repository:
        with pytest.raises(PullerError):
            await fetched(repository, WANTED)


async def test_b16_trailers_without_end_are_refused() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n"
    trailers = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(5000))
    async with serve_script([(chunked + trailers, Close())] * 9) as raw:
        async with opened(f"{raw.host}/app", retries=ONCE) as repository:
            with pytest.raises(PullerError):
                await fetched(repository, described(b"abcdef"))


async def test_b17_what_is_encoded_is_not_decoded() -> None:
    async with serve(faults=[faults.content_encoding(None, "gzip", times=None)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation, match="encoded"):
                await fetched(repository, MANIFEST_DESCRIPTOR)
            with pytest.raises(ProtocolViolation, match="encoded"):
                await repository.resolve(Reference.parse(registry.name(f"app@{MANIFEST_DESCRIPTOR.digest}")))


MALFORMED = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "length and chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    ),
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 5\r\n\r\nabcde",
    "NUL": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 5\r\n\r\nabcde",
    "no version": b"ICY 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "two versions": b"HTTP/1.1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nabcde",
    "length list": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nabcde",
    "hex length": b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nabcde",
    "digits of another script": "HTTP/1.1 200 OK\r\nContent-Length: \u0665\r\n\r\nabcde".encode(),
    "chunk size with sign": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n",
    "chunk size with 0x": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
    "chunk without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
    "nothing": b"\r\n\r\n",
}


async def what_becomes_of(raw_answer: bytes) -> str:
    """`refused` for a typed error, else what was taken for the body of five bytes `abcde`."""
    async with serve_script([(raw_answer, Close())] * 9) as raw:
        async with opened(f"{raw.host}/app", retries=ONCE) as repository:
            try:
                return (await fetched(repository, described(b"abcde"))).decode()
            except PullerError:
                return "refused"


@pytest.mark.parametrize("kind", MALFORMED)
async def test_b18_malformed_framing_is_refused(kind: str) -> None:
    assert await what_becomes_of(MALFORMED[kind]) == "refused"


async def every_outcome() -> dict[str, str]:
    return {kind: await what_becomes_of(raw_answer) for kind, raw_answer in MALFORMED.items()}


@pytest.mark.slow
def test_b18_both_parsers_of_aiohttp_refuse_the_same() -> None:
    code = (
        "import asyncio, json; from aiohttp import http_parser;"
        "assert http_parser.HttpResponseParser is http_parser.HttpResponseParserPy;"
        "from tests.registry.test_threats_b import every_outcome;"
        "print(json.dumps(asyncio.run(every_outcome())))"
    )
    environment = os.environ | {"AIOHTTP_NO_EXTENSIONS": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert {kind for kind, outcome in json.loads(done.stdout).items() if outcome != "refused"} == set()


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
