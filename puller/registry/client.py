"""RegistryClient: all registries that one run of the program speaks to. One session for each, made on first need."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

from puller.contracts.access import Endpoint, Keyring, Protection, Routes, Trust
from puller.contracts.images import ImageSource
from puller.model.digest import Digest
from puller.model.event import Report, unheard
from puller.model.reference import DOCKER_HUB, Reference
from puller.registry.answer import Request
from puller.registry.catalog import list_repositories
from puller.registry.download.pool import Pool
from puller.registry.download.width import RANGES, RangePolicy
from puller.registry.failure import MAX_ERROR
from puller.registry.foreign import Foreign
from puller.registry.identity.auth import NO_SCOPE
from puller.registry.means import Means
from puller.registry.mirrors.health import Health
from puller.registry.mirrors.mirrored import Mirrored
from puller.registry.mirrors.replica import Replica, suited
from puller.registry.pace import Pace
from puller.registry.quota.limiter import Limiter
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.registry.routes import Direct
from puller.registry.session import Session
from puller.registry.transport.patience import Patience
from puller.registry.transport.proxy import STRAIGHT, Proxies
from puller.registry.transport.reach import Classify, reach_of
from puller.registry.transport.throttle import Throttle
from puller.registry.world import World
from puller.version import VERSION

if TYPE_CHECKING:
    from puller.registry.pinging.finding import Finding


class RegistryClient:
    """Opens repositories. An async context manager: leaving it closes all connections.

    `keyring` is asked by the registry's name as it stands in references. `routes` know mirrors and how each host proves
    itself; without them every registry is at the host of its name. `plain_http` names registries, as `host:port`, that
    may be spoken to without TLS; loopback hosts may be without being named, but only anonymously, and not when a
    `ca_file` is given: then they are expected to speak TLS. `token_hosts` are hosts, without port, of token servers
    that may see credentials whichever registry sends there. `pace`: how much is asked of them at most. `ranges` tell
    how large blobs come over several connections, or None: each in one stream. With `debug` every request is reported
    as well, by the facts of `model/exchange`. With `foreign_layers` those that a registry has not got are fetched from
    the URLs of their manifests. `proxies` are those to go through.
    """

    def __init__(
        self,
        *,
        keyring: Keyring | None = None,
        routes: Routes | None = None,
        plain_http: Collection[str] = (),
        token_hosts: Collection[str] = (),
        ca_file: Path | None = None,
        pace: Pace | None = None,
        user_agent: str = f"puller/{VERSION}",
        report: Report = unheard,
        debug: bool = False,
        proxies: Proxies = STRAIGHT,
        foreign_layers: bool = False,
        retries: RetryPolicy | None = None,
        ranges: RangePolicy | None = RANGES,
        patience: Patience | None = None,
        world: World | None = None,
        classify: Classify = reach_of,
        resolver: Callable[[], AbstractResolver] = ThreadedResolver,
    ) -> None:
        self._keyring = keyring
        self._routes = routes or Direct()
        self._plain_http = frozenset(plain_http)
        self._ca_file = ca_file
        self._foreign_layers = foreign_layers
        world, pace, patience = world or World(), pace or Pace(), patience or Patience()
        bandwidth = pace.limit_rate
        throttle = None if bandwidth is None else Throttle(bandwidth, clock=world.clock, sleep=world.sleep)
        trace = None
        if debug:
            from puller.registry.transport.trace import Trace

            trace = Trace.begun(report, world.clock, overdue=patience.overdue)
        hear = report if trace is None else trace.hear
        self._means = Means(
            report=hear,
            world=world,
            trace=trace,
            patience=patience,
            retries=retries or RetryPolicy(),
            concurrency=pace.concurrency,
            pool=None if ranges is None or (throttle is not None and throttle.is_narrow) else Pool(ranges),
            token_hosts=frozenset(token_hosts),
            user_agent=user_agent,
            classify=classify,
            resolver=resolver,
            proxies=proxies,
            throttle=throttle,
            limiter=Limiter(world, report=hear, folder=pace.quotas, request_rate=pace.request_rate),
            max_wait=pace.max_wait,
        )
        self._paces = pace.hosts
        self._health = Health(world.clock, self._means.limiter)
        self._sessions: dict[tuple[Endpoint, str, bool], Session] = {}

    def source(self, reference: Reference) -> ImageSource:
        """Where to pull `reference` from. Raises InvalidConfig for unusable credentials, CA files or routes."""
        endpoints = self._routes.endpoints(reference)
        home = endpoints[-1]
        return Foreign(
            self._source(endpoints, reference),
            registry=home.registry,
            home=lambda: self._session(home),
            trust=self._overridden(home).trust,
            means=self._means,
            allowed=self._foreign_layers,
        )

    def _source(self, endpoints: Sequence[Endpoint], reference: Reference) -> ImageSource:
        if len(endpoints) == 1:
            return self._opened(endpoints[0], reference)

        def opened(endpoint: Endpoint, hasty: bool) -> Repository:
            return self._opened(endpoint, reference, hasty=hasty)

        replicas = [Replica(endpoint, opened) for endpoint in endpoints]
        return Mirrored(replicas, self._health, self._means.report, place=reference.name)

    def repository(
        self,
        reference: Reference,
        *,
        mount_from: str | None = None,
        lenders: Callable[[Digest], str | None] | None = None,
    ) -> Repository:
        """The repository of `reference` in the registry itself, mirrors apart. Raises InvalidConfig as `source`.

        `mount_from`: another repository of the same registry, which may lend blobs that are to be brought here.
        `lenders` tell of a blob, when it is about to be brought, which other repository there has it for certain.
        """
        return self._opened(self._routes.home(reference), reference, mount_from=mount_from, lenders=lenders)

    async def catalog(self, registry: str) -> AsyncIterator[str]:
        """The names of all repositories of a registry (`host[:port]`), without it, page by page in its order.

        Raises InvalidReference, InvalidConfig as `source`, and RegistryError.
        """
        somewhere = Reference(registry, "library/catalog" if registry == DOCKER_HUB else "catalog")
        session = self._session(self._routes.home(somewhere))
        async with aclosing(list_repositories(session)) as names:
            async for name in names:
                yield name

    @property
    def requests(self) -> Mapping[str, Mapping[str, int]]:
        """How many requests went out so far, by `host[:port]`, then by method."""
        return self._means.census.counts

    def pulls_left(self, reference: Reference) -> int | None:
        """How many pulls the registry of `reference` still grants us, as it has told; None: it has not."""
        return self._session(self._routes.home(reference)).pulls_left

    async def introduce(self, reference: Reference) -> bool:
        """Show the account for `reference` to its registry (GET /v2/); False: nobody wanted to see its secret.

        Raises Unauthorized where it is refused, and RegistryError for all else.
        """
        session = self._session(self._routes.home(reference))
        await session.read(Request("GET", f"{session.base}/", "login", NO_SCOPE), limit=MAX_ERROR)
        return session.has_shown_credentials

    def ping(self, reference: Reference, *, deep: bool) -> "AsyncIterator[Finding]":
        """What the registry of `reference` offers and what is wrong with how it is set up; `deep`: its repository, too.

        Raises InvalidConfig as `source`.
        """
        from puller.registry.ping import Subject, ping  # seldom needed, and slow to load

        home = self._overridden(self._routes.home(reference))
        mirrors = [self._overridden(mirror) for mirror in self._routes.endpoints(reference) if mirror.is_mirror]
        identity = None if self._keyring is None else self._keyring.identity(home.registry, home.repository)
        means = suited(self._means, home, hasty=False)
        return ping(Subject(reference, home, mirrors, identity, means, deep))

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _opened(
        self,
        endpoint: Endpoint,
        reference: Reference,
        *,
        hasty: bool = False,
        mount_from: str | None = None,
        lenders: Callable[[Digest], str | None] | None = None,
    ) -> Repository:
        session = self._session(endpoint, hasty=hasty)
        return Repository(session, reference, called=endpoint.repository, mount_from=mount_from, lenders=lenders)

    def _session(self, endpoint: Endpoint, *, hasty: bool = False) -> Session:
        """The session of an endpoint: shared by repositories of one host, set up alike, for one account (B20).

        `hasty`: if it does not answer soon, others are asked.
        """
        endpoint = self._overridden(endpoint)
        keyring = self._keyring
        identity = None if keyring is None else keyring.identity(endpoint.registry, endpoint.repository)
        key = replace(endpoint, repository=""), "" if identity is None else identity.name, hasty
        if key not in self._sessions:
            means = suited(self._means, endpoint, hasty=hasty, pace=self._paces.get(endpoint.registry))
            self._sessions[key] = Session(key[0], identity, means)
        return self._sessions[key]

    def _overridden(self, endpoint: Endpoint) -> Endpoint:
        """What was said for this run comes before what is set up."""
        if self._ca_file is not None:
            usual = endpoint.protection is Protection.USUAL
            authorities = (*endpoint.trust.authorities, self._ca_file)
            endpoint = replace(
                endpoint,
                protection=Protection.TLS if usual else endpoint.protection,
                trust=Trust(authorities, endpoint.trust.certificates),
            )
        if endpoint.registry in self._plain_http:
            endpoint = replace(endpoint, protection=Protection.PLAIN)
        return endpoint
