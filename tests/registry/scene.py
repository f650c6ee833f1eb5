"""Scene: a client whose time nobody has to wait for, names that lead where a test wants, and bytes to fetch."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from puller.contracts.access import Credential, KnownIdentity
from puller.contracts.content import Fetcher
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Event
from puller.model.mediatype import OCI_MANIFEST, OCTETS
from puller.model.reference import Reference
from puller.model.report import Origin
from puller.registry.client import RegistryClient
from puller.registry.download.width import RANGES, RangePolicy
from puller.registry.pace import Pace
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from puller.registry.transport.reach import Classify, reach_of
from puller.registry.world import World
from testregistry import TestRegistry

QUICK = Patience(connect=2, first_byte=0.2, stall=0.1)
MANIFEST = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":'
    b'"application/vnd.oci.image.config.v1+json","size":2,"digest":'
    b'"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}'
)


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that compress to nothing less and repeat nowhere, so that any shift shows."""
    return random.Random(seed).randbytes(size)


SMALL = content(50_000)  # comes through aiohttp's stream
LARGE = content(5_000_000)  # comes straight from the socket


def described(raw: bytes, media_type: str = OCTETS, *, size: int | None = -1) -> Descriptor:
    """The true descriptor of some bytes, or one that lies about their size."""
    return Descriptor(media_type, Digest.of(raw), len(raw) if size == -1 else size)


MANIFEST_DESCRIPTOR = described(MANIFEST, OCI_MANIFEST)


class Time:
    """A clock that only sleeping moves, and what was slept."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def world(self, *, real_clock: bool = False) -> World:
        """Waits cost nothing and jitter is always at its largest; with `real_clock` stalls are measured for real."""
        return World(
            clock=time.monotonic if real_clock else self.clock, wall=self.clock, sleep=self.sleep, random=lambda: 1.0
        )


class Names(AbstractResolver):
    """A resolver that knows a few names and nothing else.

    A tuple is one answer of several addresses; a list is gone through, one answer a question.
    """

    def __init__(self, names: Mapping[str, str | tuple[str, ...] | list[str]]) -> None:
        self.names = dict(names)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        known = self.names.get(host)
        if known is None:
            raise OSError(f"no such host: {host}")
        answer = known.pop(0) if isinstance(known, list) else known
        addresses = (answer,) if isinstance(answer, str) else answer
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


class OneLogin:
    """The same credential for every registry."""

    def __init__(self, username: str, password: str) -> None:
        self._credential = Credential(username, password)

    def identity(self, registry: str, repository: str) -> KnownIdentity:
        return KnownIdentity("the test's", self._credential)


@asynccontextmanager
async def opened(
    name: str,
    *,
    now: Time | None = None,
    world: World | None = None,
    patience: Patience | None = None,
    retries: RetryPolicy | None = None,
    login: OneLogin | None = None,
    plain_http: Collection[str] = (),
    ca_file: Path | None = None,
    events: list[Event] | None = None,
    classify: Classify = reach_of,
    names: Names | None = None,
    concurrency: int = 6,
    ranges: RangePolicy | None = RANGES,
    mount_from: str | None = None,
) -> AsyncIterator[Repository]:
    """The repository `name` through a client of its own."""
    report: Callable[[Event], None] = events.append if events is not None else lambda event: None
    client = RegistryClient(
        keyring=login,
        plain_http=plain_http,
        ca_file=ca_file,
        report=report,
        retries=retries,
        patience=patience,
        world=world or (now or Time()).world(),
        classify=classify,
        pace=Pace(concurrency=concurrency),
        ranges=ranges,
        resolver=ThreadedResolver if names is None else lambda: names,
    )
    async with client:
        yield client.repository(Reference.parse(name), mount_from=mount_from)


def reference(registry: TestRegistry, name: str) -> Reference:
    """What `name` is called outside of `registry`."""
    return Reference.parse(registry.name(name))


async def fetched(source: Fetcher, wanted: Descriptor, offset: int = 0) -> bytes:
    """All that a fetch gives."""
    return (await fetched_from(source, wanted, offset))[0]


async def fetched_from(source: Fetcher, wanted: Descriptor, offset: int = 0) -> tuple[bytes, Origin]:
    """All that a fetch gives, and where it says that came from."""
    received = bytearray()
    async with source.fetch(wanted, offset=offset) as body:
        async for chunk in body:
            received += chunk
        return bytes(received), body.origin
