"""Behind: repositories that are asked through a proxy, by names that only the proxy knows."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp.resolver import ThreadedResolver

from puller.contracts.access import NO_TRUST, Endpoint, Protection, Trust
from puller.model.event import Event
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.pace import Pace
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from puller.registry.transport.proxy import Proxies, Proxy
from puller.registry.transport.reach import Classify, reach_of
from puller.registry.world import World
from testregistry import TestRegistry, serve
from testregistry.certificates import Authority
from tests.registry.scene import Names, OneLogin, Time, content, described

SMALL = content(50_000)
LARGE = content(5_000_001)  # the fast path takes over from 2 MiB on
WANTED = described(SMALL)
HOSTS = {"registry.test": "127.0.0.1", "cdn.test": "127.0.0.1", "tokens.test": "127.0.0.1"}
LOGIN = OneLogin("alice", "marker-registry-password")


def every(url: str, **more: object) -> Proxies:
    """One proxy for everything."""
    return Proxies(Proxy.parse(url), Proxy.parse(url), **more)  # type: ignore[arg-type]  # any keywords


def named(registry: TestRegistry, host: str = "registry.test") -> str:
    """`registry.test:PORT`."""
    return f"{host}:{registry.host.rpartition(':')[2]}"


@dataclass(frozen=True)
class Proven:
    """Routes of one kind of host; where anything is trusted, it speaks TLS on this machine, too."""

    trust: Trust

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        return (self.home(reference),)

    def home(self, reference: Reference) -> Endpoint:
        protection = Protection.TLS if self.trust.authorities else Protection.USUAL
        return Endpoint(reference.registry, reference.repository, protection, self.trust)


@asynccontextmanager
async def asked(
    name: str,
    proxies: Proxies,
    *,
    trust: Trust = NO_TRUST,
    login: OneLogin | None = None,
    plain_http: Collection[str] = (),
    names: Names | None = None,
    classify: Classify = reach_of,
    attempts: int = 1,
    patience: Patience | None = None,
    limit_rate: int | None = None,
    concurrency: int = 6,
    events: list[Event] | None = None,
    real: bool = False,
) -> AsyncIterator[Repository]:
    """The repository `name`; with `real` its waits take the time they take."""
    client = RegistryClient(
        keyring=login,
        routes=Proven(trust),
        plain_http=plain_http,
        proxies=proxies,
        retries=RetryPolicy(attempts=attempts),
        world=World() if real else Time().world(),
        patience=patience,
        classify=classify,
        pace=Pace(concurrency=concurrency, limit_rate=limit_rate),
        report=events.append if events is not None else lambda event: None,
        resolver=ThreadedResolver if names is None else lambda: names,
    )
    async with client:
        yield client.repository(Reference.parse(name))


@asynccontextmanager
async def filled(tls: Authority | None = None, **more: object) -> AsyncIterator[TestRegistry]:
    async with serve(tls=None if tls is None else tls.server("registry.test", "127.0.0.1"), **more) as registry:  # type: ignore[arg-type]  # any keywords
        registry.add_blob("app", SMALL)
        registry.add_blob("app", LARGE)
        yield registry


def trusting(authority: Authority) -> Trust:
    return Trust((authority.file,))
