"""RegistryClient: all registries that one run of the program speaks to. One session for each, made on first need."""

from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

from puller.model.event import Event, Report
from puller.model.reference import Reference
from puller.registry.identity.credentials import CredentialSource
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.registry.session import Session
from puller.registry.transport.lines import Lines
from puller.registry.transport.origin import registry_origin
from puller.registry.transport.patience import Patience
from puller.registry.transport.reach import Classify, reach_of
from puller.registry.transport.tls import tls_context
from puller.registry.world import World
from puller.version import VERSION


def _ignore(_: Event) -> None:
    pass


class RegistryClient:
    """Opens repositories. An async context manager: leaving it closes all connections.

    `credentials` are asked by the registry's name as it stands in references. `plain_http` names registries, as
    `host:port`, that may be spoken to without TLS; loopback hosts may be without being named, but only anonymously, and
    not when a `ca_file` is given: then they are expected to speak TLS. `token_hosts` are hosts, without port, of token
    servers that may see credentials whichever registry sends there. `concurrency` caps the connections to a host.
    """

    def __init__(
        self,
        *,
        credentials: CredentialSource | None = None,
        plain_http: Collection[str] = (),
        token_hosts: Collection[str] = (),
        ca_file: Path | None = None,
        concurrency: int = 6,
        user_agent: str = f"puller/{VERSION}",
        report: Report = _ignore,
        retries: RetryPolicy | None = None,
        patience: Patience | None = None,
        world: World | None = None,
        classify: Classify = reach_of,
        resolver: Callable[[], AbstractResolver] = ThreadedResolver,
    ) -> None:
        self._credentials = credentials
        self._plain_http = frozenset(plain_http)
        self._token_hosts = frozenset(token_hosts)
        self._ca_file = ca_file
        self._concurrency = concurrency
        self._user_agent = user_agent
        self._report = report
        self._retries = retries or RetryPolicy()
        self._patience = patience or Patience()
        self._world = world or World()
        self._classify = classify
        self._resolver = resolver
        self._sessions: dict[str, Session] = {}

    def repository(self, reference: Reference, *, mount_from: str | None = None) -> Repository:
        """The repository of `reference`. Raises InvalidConfig for unusable credentials or CA file.

        `mount_from`: another repository of the same registry, which may lend blobs that are to be brought here.
        """
        registry = reference.registry
        if registry not in self._sessions:
            self._sessions[registry] = self._session(registry)
        return Repository(self._sessions[registry], reference, mount_from=mount_from)

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

    def _session(self, registry: str) -> Session:
        origin = registry_origin(registry, plain_http=self._plain_http, own_ca=self._ca_file is not None)
        named = registry in self._plain_http
        lines = Lines(
            origin,
            named=named,
            tls=lambda: tls_context(self._ca_file),
            patience=self._patience,
            concurrency=self._concurrency,
            classify=self._classify,
            resolver=self._resolver,
        )
        return Session(
            origin,
            lines=lines,
            credential=self._credentials.credential(registry) if self._credentials is not None else None,
            named_plain=named,
            token_hosts=self._token_hosts,
            user_agent=self._user_agent,
            patience=self._patience,
            retries=self._retries,
            report=self._report,
            world=self._world,
        )
