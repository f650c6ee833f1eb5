"""Threat B2: the URLs of a foreign layer are asked only when that is wanted, and shown nothing that is ours."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from puller.contracts.access import NO_TRUST, Endpoint, Protection, Trust
from puller.contracts.content import Source
from puller.errors import NotFound, RegistryError, Unauthorized, UnsafeRedirect
from puller.model.descriptor import Descriptor
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.retry import RetryPolicy
from puller.registry.transport.reach import Classify, reach_of
from testregistry import Basic, TestRegistry, faults, serve
from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.canary import Canary, serve_canary
from testregistry.certificates import Authority
from tests.registry.elsewhere import BLOB, HERE, LOGIN, WANTED, pretend, told
from tests.registry.scene import Names, Time, fetched

INNER = HERE | {"localhost": "127.0.0.2"}
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
HEADER = ("X-Registry-Config", "marker-header")
SEEN = {"host", "user-agent", "accept", "accept-encoding"}
GIVEN = Answer(200, (("Set-Cookie", "a=b"),), BytesBody(BLOB))


@dataclass(frozen=True)
class Here:
    """A registry that is set up with a header of its own."""

    host: str
    trust: Trust

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        return (self.home(reference),)

    def home(self, reference: Reference) -> Endpoint:
        return Endpoint(self.host, reference.repository, Protection.PLAIN, self.trust, headers=(HEADER,))


def foreign(*urls: str) -> Descriptor:
    return replace(WANTED, media_type=FOREIGN, urls=urls)


@asynccontextmanager
async def source(
    registry: TestRegistry,
    *,
    asked_for: bool = True,
    name: str | None = None,
    names: Names | None = None,
    classify: Classify = reach_of,
    trust: Trust = NO_TRUST,
) -> AsyncIterator[Source]:
    """The repository `app`, by a client with an account for every host there is."""
    host = name or registry.host
    client = RegistryClient(
        routes=Here(host, trust),
        keyring=LOGIN,
        foreign_layers=asked_for,
        retries=RetryPolicy(attempts=1),
        world=Time().world(),
        classify=classify,
        resolver=lambda: names or Names(HERE | {"localhost": "127.0.0.1"}),
    )
    async with client:
        yield client.source(Reference.parse(f"{host}/app:1"))


def saw_nothing_of_ours(canary: Canary) -> bool:
    return canary.header_names() <= SEEN and not canary.saw("marker")


async def test_b2_unasked_no_url_is_visited() -> None:
    async with serve_canary(GIVEN) as canary, serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", b"something")
        async with source(registry, asked_for=False) as repository:
            with pytest.raises(NotFound):
                await fetched(repository, foreign(f"{canary.url}/layer"))
        assert canary.requests == []


async def test_b2_a_layer_that_is_no_foreign_one_is_not_looked_for_elsewhere() -> None:
    async with serve_canary(GIVEN) as canary, serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", b"something")
        async with source(registry) as repository:
            with pytest.raises(NotFound):
                await fetched(repository, replace(WANTED, urls=(f"{canary.url}/layer",)))
        assert canary.requests == []


async def test_b2_when_asked_for_it_is_fetched_as_nobody() -> None:
    async with serve_canary(GIVEN) as canary, serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", b"something")
        async with source(registry) as repository:
            for _ in range(2):
                assert await fetched(repository, foreign(f"{canary.url}/layer")) == BLOB
        assert len(canary.requests) == 2
        assert saw_nothing_of_ours(canary)


CHALLENGES: dict[str, Callable[[str], str]] = {
    "basic": lambda there: 'Basic realm="x"',
    "bearer": lambda there: f'Bearer realm="{there}/token",service="x",scope="repository:app:pull"',
    "both": lambda there: f'Bearer realm="{there}/token", Basic realm="x"',
    "negotiate": lambda there: "Negotiate",
}


@pytest.mark.parametrize("scheme", CHALLENGES)
@pytest.mark.parametrize("status", [401, 403, 407])
async def test_b2_a_challenge_there_is_final_and_no_token_is_asked_for(scheme: str, status: int) -> None:
    async with serve_canary() as tokens, serve_canary() as canary:
        header = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
        canary.answer = Answer(status, ((header, CHALLENGES[scheme](tokens.url)),))
        async with serve(auth=Basic({"alice": "marker-password"})) as registry:
            registry.add_blob("app", b"something")
            async with source(registry) as repository:
                with pytest.raises(RegistryError) as caught:
                    await fetched(repository, foreign(f"{canary.url}/layer"))
        assert isinstance(caught.value, Unauthorized) or status == 407
        assert len(canary.requests) == 1
        assert saw_nothing_of_ours(canary)
        assert tokens.requests == []


async def test_b2_a_url_that_leads_back_to_the_registry_carries_no_password_there() -> None:
    async with serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("other", BLOB)
        back = f"{registry.url}/v2/other/blobs/{WANTED.digest}"
        async with serve_canary(Answer(307, (("Location", back),))) as canary:
            registry.add_blob("app", b"something")
            async with source(registry) as repository:
                for url in (f"{canary.url}/layer", back):
                    with pytest.raises(RegistryError):
                        await fetched(repository, foreign(url))
        led = registry.journal.find(repository="other")
        assert len(led) == 2
        assert {name.lower() for request in led for name in request.headers} <= SEEN


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://{host}/x", "ftp://{host}/x", "/layer", "//{host}/layer", "",
        "http://ann:marker@{host}/x", "http://{host}@{host}/x", "http://{host}%40evil.test/x",
        "http://169.254.169.254/latest/meta-data", "http://2130706433:{port}/x", "http://0x7f.1:{port}/x",
        "http://inside.test:{port}/x", "https://[::ffff:169.254.169.254]/x", "http://[::1]:{port}/x",
        "http://{host}/\r\nX: y", "http://evil.test\\@{host}/", "https://127.0.0.2:{port}/x", "https://127.2:{port}/x",
        "https://2130706434:{port}/x", "https://localhost:{port}/x", "https://inside.test:{port}/x", "http://cdn.test/x",
        "https://169.254.169.254/latest/meta-data", "https://[::1]:{port}/x", "https://10.0.0.1/x", "https://0.0.0.0:{port}/",
    ],
)  # fmt: skip
async def test_b2_what_may_not_be_asked_is_not_asked_because_a_manifest_says_so(url: str) -> None:
    async with serve_canary(GIVEN, host="127.0.0.2") as canary, serve() as registry:
        registry.add_blob("app", b"something")
        target = url.replace("{host}", canary.host).replace("{port}", canary.host.partition(":")[2])
        async with source(registry, name=told(registry), classify=pretend, names=Names(INNER)) as repository:
            with pytest.raises(UnsafeRedirect) as caught:
                await fetched(repository, foreign(target))
        assert canary.requests == []
        assert "marker" not in str(caught.value)


@pytest.mark.parametrize("inner", ["http", "https"])
async def test_b2_a_url_may_not_send_us_inside_either(tmp_path: Path, inner: str) -> None:
    authority = Authority(tmp_path)
    tls = authority.server("cdn.test", "inside.test")
    async with serve_canary(GIVEN, host="127.0.0.2", tls=tls if inner == "https" else None) as inside:
        there = f"{inner}://inside.test:{inside.host.partition(':')[2]}/x"
        async with serve_canary(Answer(307, (("Location", there),)), tls=tls) as outside, serve() as registry:
            registry.add_blob("app", b"something")
            async with source(
                registry, name=told(registry), classify=pretend, trust=Trust((authority.file,), (authority.pair(),))
            ) as repository:
                url = f"https://cdn.test:{outside.host.partition(':')[2]}/x"
                with pytest.raises(UnsafeRedirect):
                    await fetched(repository, foreign(url))
        assert inside.requests == []
        assert len(outside.requests) == 1
        assert saw_nothing_of_ours(outside)


async def test_b2_the_host_of_a_url_is_shown_no_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.server("cdn.test", clients=authority)
    tls.verify_mode = ssl.CERT_OPTIONAL
    async with serve_canary(GIVEN, tls=tls) as canary, serve() as registry:
        registry.add_blob("app", b"something")
        shown: list[object] = []
        canary.service.on_request.append(lambda request: shown.append(request.certificate))
        trust = Trust((authority.file,), (authority.pair(),))
        async with source(registry, name=told(registry), classify=pretend, trust=trust) as repository:
            url = f"https://cdn.test:{canary.host.partition(':')[2]}/x"
            assert await fetched(repository, foreign(url)) == BLOB
    assert shown == [None]


async def test_b2_a_registry_that_has_the_layer_itself_is_the_only_one_asked() -> None:
    async with serve_canary(GIVEN) as canary, serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", BLOB)
        async with source(registry) as repository:
            assert await fetched(repository, foreign(f"{canary.url}/layer")) == BLOB
        assert canary.requests == []


async def test_b2_a_registry_that_refuses_us_does_not_make_us_ask_elsewhere() -> None:
    async with serve_canary(GIVEN) as canary, serve(auth=Basic({"alice": "other"})) as registry:
        registry.add_blob("app", BLOB)
        registry.faults.append(faults.status(403, kind="blob", times=None))
        async with source(registry) as repository:
            with pytest.raises((Unauthorized, UnsafeRedirect)):
                await fetched(repository, foreign(f"{canary.url}/layer"))
        assert canary.requests == []
