"""RegistryClient: all registries that one run of the program speaks to. One session for each, made on first need."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

from puller.contracts.access import Endpoint, Keyring, Protection, Routes, Trust
from puller.contracts.content import Source
from puller.model.event import Report, unheard
from puller.model.reference import Reference
from puller.registry.answer import Request
from puller.registry.failure import MAX_ERROR
from puller.registry.identity.auth import NO_SCOPE
from puller.registry.answer import Request
from puller.registry.failure import MAX_ERROR
from puller.registry.identity.auth import NO_SCOPE
from puller.registry.means import Means
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.registry.routes import Direct
from puller.registry.session import Session
from puller.registry.transport.patience import Patience
from puller.registry.transport.reach import Classify, reach_of
from puller.registry.transport.trace import Trace
from puller.registry.world import World
from puller.version import VERSION


class RegistryClient:
    """Opens repositories. An async context manager: leaving it closes all connections.

    `keyring` is asked by the registry's name as it stands in references. `routes` know mirrors and how each host proves
    itself; without them every registry is at the host of its name. `plain_http` names registries, as `host:port`, that
    may be spoken to without TLS; loopback hosts may be without being named, but only anonymously, and not when a
    `ca_file` is given: then they are expected to speak TLS. `token_hosts` are hosts, without port, of token servers
    that may see credentials whichever registry sends there. `concurrency` caps the connections to a host. With `debug` every
    request is reported as well, by the facts of `model/exchange`.
    """

    def __init__(
        self,
        *,
        keyring: Keyring | None = None,
        routes: Routes | None = None,
        plain_http: Collection[str] = (),
        token_hosts: Collection[str] = (),
        ca_file: Path | None = None,
        concurrency: int = 6,
        user_agent: str = f"puller/{VERSION}",
        report: Report = unheard,
        debug: bool = False,
        retries: RetryPolicy | None = None,
        patience: Patience | None = None,
        world: World | None = None,
        classify: Classify = reach_of,
        resolver: Callable[[], AbstractResolver] = ThreadedResolver,
    ) -> None:
        self._keyring = keyring
        self._routes = routes or Direct()
        self._plain_http = frozenset(plain_http)
        self._ca_file = ca_file
        world = world or World()
        patience = patience or Patience()
        trace = Trace.begun(report, world.clock, overdue=patience.overdue) if debug else None
        self._means = Means(
            report=report if trace is None else trace.hear,
            world=world,
            trace=trace,
            patience=patience,
            retries=retries or RetryPolicy(),
            concurrency=concurrency,
            token_hosts=frozenset(token_hosts),
            user_agent=user_agent,
            classify=classify,
            resolver=resolver,
        )
        self._sessions: dict[tuple[Endpoint, str], Session] = {}

    def source(self, reference: Reference) -> Source:
        """Where to pull `reference` from. Raises InvalidConfig for unusable credentials, CA files or routes."""
        return self.repository(reference)

    def repository(self, reference: Reference, *, mount_from: str | None = None) -> Repository:
        """The repository of `reference` in the registry itself, mirrors apart. Raises InvalidConfig as `source`.

        `mount_from`: another repository of the same registry, which may lend blobs that are to be brought here.
        """
        home = self._routes.home(reference)
        return Repository(self._session(home), reference, called=home.repository, mount_from=mount_from)

    async def introduce(self, reference: Reference) -> bool:
        """Show the account for `reference` to its registry (GET /v2/); False: nobody wanted to see its secret.

        Raises Unauthorized where it is refused, and RegistryError for all else.
        """
        session = self._session(self._routes.home(reference))
        await session.read(Request("GET", f"{session.base}/", "login", NO_SCOPE), limit=MAX_ERROR)
        return session.has_shown_credentials

    async def introduce(self, reference: Reference) -> bool:
        """Show the account for `reference` to its registry (GET /v2/); False: nobody wanted to see its secret.

        Raises Unauthorized where it is refused, and RegistryError for all else.
        """
        session = self._session(self._routes.home(reference))
        await session.read(Request("GET", f"{session.base}/", "login", NO_SCOPE), limit=MAX_ERROR)
        return session.has_shown_credentials

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

    def _session(self, endpoint: Endpoint) -> Session:
        """The session of an endpoint: shared by repositories of one host, set up alike, for one account (B20)."""
        endpoint = self._overridden(endpoint)
        keyring = self._keyring
        identity = None if keyring is None else keyring.identity(endpoint.registry, endpoint.repository)
        key = replace(endpoint, repository=""), "" if identity is None else identity.name
        if key not in self._sessions:
            self._sessions[key] = Session(key[0], identity, self._means)
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
