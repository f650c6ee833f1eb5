"""Ping: asks a registry, from the outside in, what it offers, and finds out where a set-up is wrong.

    name → connection → TLS → GET /v2/ → token server → account → mirrors → one repository

A question whose answer decides all that follow ends it, but for mirrors: pulls may do without the registry. Nothing is
changed anywhere, and nothing is tried again: what fails now and then should be seen to.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from puller.contracts.access import Endpoint, Identity, Protection
from puller.errors import ConnectionLost, ProtocolViolation, RegistryError
from puller.model.reference import Reference
from puller.model.text import printable
from puller.registry.identity.auth import NO_SCOPE, Scope
from puller.registry.means import Means
from puller.registry.mirrors.replica import suited
from puller.registry.pinging.finding import (
    Finding,
    Greeted,
    Mirrored,
    Named,
    Reached,
    Secured,
    SetUp,
    Trouble,
    Unsecured,
    Verdict,
)
from puller.registry.pinging.greeting import admitted, clock, door, greeted, offered, tokens
from puller.registry.pinging.handshake import Server, secured, speaks_tls
from puller.registry.pinging.holding import held
from puller.registry.pinging.reach import Dial, named, reached
from puller.registry.retry import RetryPolicy
from puller.registry.session import Session
from puller.registry.transport.host import address_of
from puller.registry.transport.origin import registry_origin
from puller.registry.transport.tls import tls_context, unproven_context

WITHIN = 5.0  # seconds for a name, a connection, a handshake: whoever looks on wants to know what hangs


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked: `home` is the registry, `identity` who we are there. `deep`: its repository, too."""

    reference: Reference
    home: Endpoint
    mirrors: Sequence[Endpoint]
    identity: Identity | None
    means: Means
    deep: bool


async def ping(subject: Subject, *, dial: Dial = asyncio.open_connection) -> AsyncIterator[Finding]:
    """Findings as they are made. Raises InvalidConfig for certificates and proxies that cannot be used."""
    impatient = replace(subject.means, retries=RetryPolicy(attempts=1), max_wait=0.0)
    look = _Look(replace(subject, means=impatient), dial)
    yield look.set_up()
    async for finding in look.findings():
        yield finding
    async for answer in look.mirrors():
        yield answer


class _Look:
    def __init__(self, subject: Subject, dial: Dial) -> None:
        self._subject = subject
        self._home = subject.home
        self._means = subject.means
        self._dial = dial
        self._origin = registry_origin(self._home.registry, self._home.protection)
        self._proxy = self._means.proxies.way(self._origin)
        self._within = min(WITHIN, self._means.patience.connect)
        self._unasked = list(subject.mirrors)

    def set_up(self) -> SetUp:
        home, account = self._home, self._subject.identity
        return SetUp(
            Verdict.NOTE,
            home.registry,
            str(self._origin),
            home.protection,
            tuple(str(path) for path in home.trust.authorities),
            tuple(str(pair[0]) for pair in home.trust.certificates),
            "" if self._proxy is None else str(self._proxy),
            tuple(mirror.registry for mirror in self._subject.mirrors),
            "" if account is None else printable(account.name, limit=160),
        )

    async def findings(self) -> AsyncIterator[Finding]:
        address = ""
        async for finding in self._way():
            yield finding
            if finding.verdict is Verdict.FAIL:
                return
            if isinstance(finding, Reached):
                address = next(one.address for one in finding.attempts if not one.problem)
        if self._proxy is None and self._origin.scheme == "https":
            secure = await self._secured(address)
            yield secure
            # A host that is set up as insecure may speak plain HTTP after all.
            if isinstance(secure, Unsecured) and self._home.protection is not Protection.ANY:
                return
        async for finding in self._spoken_to(address):
            yield finding

    async def _way(self) -> AsyncIterator[Finding]:
        """To the host, or to the proxy that has to find it."""
        proxy = self._proxy
        host, port = (self._origin.host, self._origin.port) if proxy is None else (proxy.host, proxy.port)
        resolver = self._means.resolver()
        try:
            name: Named = await named(host, port, resolver, within=self._within)
        finally:
            await resolver.close()
        if address_of(host) is None:
            yield name
        if name.verdict is not Verdict.FAIL:
            behind = "" if proxy is None else str(proxy)
            yield await reached([*name.v6, *name.v4], port, self._dial, within=self._within, proxy=behind)

    def _server(self, address: str) -> Server:
        origin = self._origin
        return Server(origin.host, address, origin.port, self._home.registry, self._home.trust)

    async def _secured(self, address: str) -> Secured | Unsecured:
        trust = self._home.trust
        make = unproven_context if self._home.protection is Protection.ANY else tls_context
        context = await asyncio.to_thread(make, trust)
        wall = self._means.world.wall
        return await secured(self._server(address), context, self._dial, within=self._within, now=wall)

    async def _spoken_to(self, address: str) -> AsyncIterator[Finding]:
        session = Session(self._home, self._subject.identity, self._means)
        try:
            async for finding in self._answers(session, address):
                yield finding
        finally:
            await session.close()

    async def _answers(self, session: Session, address: str) -> AsyncIterator[Finding]:
        subject = self._subject
        scope = Scope(self._home.repository) if subject.deep else NO_SCOPE
        try:
            answer, body = await session.greet(door(session, scope))
        except RegistryError as error:
            yield await self._explained(error, address)
            return
        challenges, trouble = offered(answer)
        if trouble is not None:
            yield trouble
            return
        greeting = greeted(answer, body, challenges)
        yield greeting
        for ticked in clock(answer, self._means.world.wall()):
            yield ticked
        if greeting.verdict is Verdict.FAIL:
            return
        for served in tokens(challenges, session.origin, self._means.token_hosts, subject.identity):
            yield served
            if served.verdict is Verdict.FAIL:
                return
        entry = await admitted(session, scope, subject.identity, challenged=bool(challenges))
        yield entry
        async for one in self.mirrors():
            yield one
        if entry.verdict is not Verdict.FAIL and subject.deep:
            async for found in held(session, self._home.repository, subject.reference):
                yield found

    async def _explained(self, error: RegistryError, address: str) -> Finding:
        """Plain HTTP that fails may be for TLS on the other side."""
        is_plain = self._origin.scheme == "http" and self._proxy is None
        if is_plain and isinstance(error, ConnectionLost | ProtocolViolation):
            wants_tls = await speaks_tls(self._server(address), self._dial, within=self._within)
            if wants_tls:
                return Greeted(Verdict.FAIL, 0, "", (), self._origin.netloc, "", keeps=False, problem="speaks-tls")
        step: Literal["proxy", "registry"] = "registry" if self._proxy is None else "proxy"
        return Trouble(Verdict.FAIL, step, error)

    async def mirrors(self) -> AsyncIterator[Mirrored]:
        """Each that has not been asked."""
        while self._unasked:
            yield await self._mirrored(self._unasked.pop(0))

    async def _mirrored(self, mirror: Endpoint) -> Mirrored:
        """As a stranger: that it answers is what counts."""
        session = Session(mirror, None, suited(self._means, mirror, hasty=False))
        try:
            answer, _ = await session.greet(door(session, NO_SCOPE))
        except RegistryError as error:
            return Mirrored(Verdict.WARN, mirror.registry, None, error.what)
        finally:
            await session.close()
        good = answer.status in (200, 401)
        return Mirrored(Verdict.OK if good else Verdict.WARN, mirror.registry, answer.status)
