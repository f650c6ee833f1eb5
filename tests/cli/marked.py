"""Marked: registries behind every kind of secret, each of them marked, and all that is ever said or kept of a run.

The library is run under the command line's own screens, with a clock that nobody waits for: so that every failure can
be gone through to its last try.
"""

import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from puller.cli.failure import text_of
from puller.cli.pinging import encoded, told
from puller.cli.screen import JsonLines, Plain, Quiet
from puller.contracts.access import Credential, Endpoint, KnownIdentity, Protection
from puller.errors import PullerError
from puller.model.event import Event, Failed, Pulled
from puller.model.reference import Reference
from puller.ops.pull import pull
from puller.ops.pulling.plan import Wish
from puller.registry.client import RegistryClient
from puller.registry.retry import RetryPolicy
from puller.registry.transport.proxy import Proxies, Proxy
from puller.registry.transport.reach import Reach
from puller.store.disk import DiskStore
from testregistry import Basic, Bearer, TestRegistry, serve
from testregistry.auth import Auth
from testregistry.cdn import Cdn, serve_cdn
from testregistry.fault import Fault
from testregistry.proxy import ForwardProxy, serve_proxy
from testregistry.socks import serve_socks
from tests.cli.picture import IMAGE
from tests.registry.bringing import bring
from tests.registry.mirrors.several import Listed
from tests.registry.scene import QUICK, Names, OneLogin, Time, content

MARKER = "s3cret-Marker"
USERS = {"me": MARKER}
UPLOADED = content(3_000, seed=5)
HOSTS = {"registry.test": "127.0.0.1", "cdn.test": "127.0.0.1"}


@dataclass
class Scene:
    """A registry, and what a client has to know to get in. `secrets` grow as servers see more of them."""

    registry: TestRegistry
    name: str
    words: dict[str, Any] = field(default_factory=dict)
    proxies: list[ForwardProxy] = field(default_factory=list)
    cdns: list[Cdn] = field(default_factory=list)

    def secrets(self) -> set[str]:
        """The marker, and all that has gone over the wire as a secret: tokens, encoded passwords, signatures."""
        headers = [request.headers for request in self.registry.journal]
        values = [sent.get("Authorization", "") for sent in headers]
        values += [asked.headers.get("proxy-authorization", "") for proxy in self.proxies for asked in proxy.requests]
        signed = [request.query.rpartition("sig=")[2] for cdn in self.cdns for request in cdn.journal]
        return {MARKER, *filter(None, signed), *(value.rpartition(" ")[2] for value in values if value)}


class WithToken:
    """A Keyring whose account is a token of one of two kinds."""

    def __init__(self, **token: str) -> None:
        self._credential = Credential("", "", **token)

    def identity(self, registry: str, repository: str) -> KnownIdentity:
        return KnownIdentity("the test's", self._credential)


@asynccontextmanager
async def locked(auth: Auth, keyring: object) -> AsyncIterator[Scene]:
    async with serve(auth=auth) as registry:
        yield Scene(registry, registry.host, {"keyring": keyring, "plain_http": [registry.host]})


def basic() -> Any:
    return locked(Basic(USERS), OneLogin("me", MARKER))


def bearer() -> Any:
    return locked(Bearer(USERS, anonymous=set()), OneLogin("me", MARKER))


def identity_token() -> Any:
    auth = Bearer(USERS, anonymous=set(), identity_tokens={MARKER: "me"})
    return locked(auth, WithToken(identity_token=MARKER))


def registry_token() -> Any:
    return locked(Bearer(USERS, anonymous=set()), WithToken(registry_token=MARKER))


@asynccontextmanager
async def forward_proxy() -> AsyncIterator[Scene]:
    """An HTTP proxy that wants a password, before a registry that wants one, too."""
    async with serve(auth=Basic(USERS)) as registry, serve_proxy(users=USERS, hosts=HOSTS) as proxy:
        name = f"registry.test:{registry.host.rpartition(':')[2]}"
        way = Proxy.parse(proxy.url.replace("://", f"://me:{MARKER}@"))
        words = {"keyring": OneLogin("me", MARKER), "plain_http": [name], "proxies": Proxies(way, way)}
        yield Scene(registry, name, words, [proxy])


@asynccontextmanager
async def socks_proxy() -> AsyncIterator[Scene]:
    async with serve() as registry, serve_socks(users=USERS, hosts=HOSTS) as proxy:
        name = f"registry.test:{registry.host.rpartition(':')[2]}"
        way = Proxy.parse(f"socks5h://me:{MARKER}@{proxy.host}")
        yield Scene(registry, name, {"plain_http": [name], "proxies": Proxies(way, way)})


@asynccontextmanager
async def signed_urls() -> AsyncIterator[Scene]:
    async with serve(auth=Basic(USERS)) as registry, serve_cdn(registry) as cdn:
        registry.faults.append(cdn.redirect())
        words = {"keyring": OneLogin("me", MARKER), "plain_http": [registry.host]}
        yield Scene(registry, registry.host, words, cdns=[cdn])


@asynccontextmanager
async def own_headers() -> AsyncIterator[Scene]:
    """A mirror that is sent a key of its own, as hosts.toml may have it."""
    async with serve() as mirror, serve() as registry:
        mirror.add("app:1", IMAGE)
        key = (("X-Api-Key", MARKER), ("Authorization", f"Basic {MARKER}"))
        at = Endpoint(mirror.host, "app", Protection.PLAIN, headers=key, is_mirror=True)
        home = Endpoint(registry.host, "app", Protection.PLAIN, headers=key)
        yield Scene(registry, registry.host, {"routes": Listed([at, home])})


WAYS: dict[str, Callable[[], Any]] = {
    way.__name__: way
    for way in (basic, bearer, identity_token, registry_token, forward_proxy, socks_proxy, signed_urls, own_headers)
}


@dataclass
class Ear:
    """Listens to a client, and keeps every word."""

    said: list[str] = field(default_factory=list)

    def hear(self, event: Event) -> None:
        """Show it as the command line does, in each of its styles, and as reports have it."""
        self.said.append(repr(event))
        if isinstance(event, Pulled | Failed):
            self.said.append(json.dumps(event.report.encode()))
        for screen in (Plain(several=True), JsonLines(), Quiet()):
            screen.show(event)


@dataclass
class Run:
    """One client, what it does, and what is said of it."""

    scene: Scene
    client: RegistryClient
    store: DiskStore
    reference: Reference
    ear: Ear

    async def fetches(self) -> None:
        await pull(self.reference, self.client.source(self.reference), self.store, Wish(None), report=self.ear.hear)

    async def brings(self) -> None:
        repository = self.client.repository(self.reference)
        await bring(repository, UPLOADED)
        descriptor = await repository.resolve(self.reference)
        await repository.tag(self.reference.with_tag("2"), descriptor)

    async def asks(self) -> None:
        repository = self.client.repository(self.reference)
        await repository.resolve(self.reference)
        self.ear.said += [tag async for tag in repository.tags()]

    async def introduces(self) -> None:
        await self.client.introduce(self.reference)

    async def pings(self) -> None:
        async for finding in self.client.ping(self.reference, deep=True):
            self.ear.said += [told(finding), json.dumps(encoded(finding)), repr(finding)]

    async def through(self, what: Callable[[], Awaitable[None]]) -> bool:
        """Do it, keep what is said of its failure; whether it succeeded."""
        try:
            await what()
        except PullerError as error:
            self.ear.said += [text_of(error), str(error), json.dumps(error.facts())]
            self.ear.said += traceback.format_exception(error)
            return False
        return True

    def everything(self) -> str:
        """All that was said, and all files."""
        files = [path for path in self.store.layout.root.parent.rglob("*") if path.is_file()]
        return "\n".join([*self.ear.said, *(path.read_bytes().decode("latin-1") for path in files)])


Verb: TypeAlias = Callable[[Run], Callable[[], Awaitable[None]]]
VERBS: dict[str, Verb] = {
    "pull": lambda run: run.fetches,
    "push": lambda run: run.brings,
    "digest and tags": lambda run: run.asks,
    "login": lambda run: run.introduces,
    "ping": lambda run: run.pings,
}


@asynccontextmanager
async def running(way: str, folder: Path, faults: Sequence[Fault] = ()) -> AsyncIterator[Run]:
    """A client with `--debug`, and a registry with the faults."""
    async with AsyncExitStack() as opened:
        scene: Scene = await opened.enter_async_context(WAYS[way]())
        scene.registry.add("app:1", IMAGE)
        for fault in faults:
            scene.registry.faults.append(fault)
            for cdn in scene.cdns:
                cdn.faults.append(fault)
        store = await DiskStore.open(folder / "home" / "store")
        ear = Ear()
        client = RegistryClient(
            report=ear.hear,
            debug=True,
            world=Time().world(real_clock=True),
            patience=QUICK,
            retries=RetryPolicy(attempts=2),
            resolver=lambda: Names(HOSTS),
            classify=lambda address: Reach.LOOPBACK,
            **scene.words,
        )
        async with client:
            yield Run(scene, client, store, Reference.parse(f"{scene.name}/app:1"), ear)
