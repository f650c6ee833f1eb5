"""Several: one repository at several test registries, through a client that knows them by routes."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

from puller.contracts.access import Endpoint, Keyring, Protection
from puller.contracts.content import Alternatives, LabelFetcher, Source
from puller.model.event import Event, PassedOver
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.download.width import RangePolicy
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from testregistry import TestRegistry, images, serve
from tests.registry.scene import QUICK, Time

LAYER = images.raw_layer(random.Random(7).randbytes(100_000))
IMAGE = images.image(LAYER)


@dataclass(frozen=True, slots=True)
class Listed:
    """Routes that are given as a list; the last one is the registry."""

    listed: Sequence[Endpoint]

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        return tuple(self.listed)

    def home(self, reference: Reference) -> Endpoint:
        return self.listed[-1]


class Several(Source, LabelFetcher, Alternatives, Protocol):
    """What a client gives for a repository at several hosts."""


@dataclass(slots=True)
class Hosts:
    """The last of `registries` is the registry, those before it are mirrors of it."""

    registries: list[TestRegistry]
    source: Several
    reference: Reference
    time: Time
    events: list[Event] = field(default_factory=list)

    @property
    def mirror(self) -> TestRegistry:
        return self.registries[0]

    @property
    def registry(self) -> TestRegistry:
        return self.registries[-1]

    def passed_over(self) -> list[PassedOver]:
        return [event for event in self.events if isinstance(event, PassedOver)]


@asynccontextmanager
async def hosts(
    count: int = 2,
    *,
    filled: Sequence[bool] | None = None,
    endpoints: Sequence[dict[str, object]] = (),
    patience: Patience = QUICK,
    retries: RetryPolicy | None = None,
    keyring: Keyring | None = None,
    ranges: RangePolicy | None = None,
    reference: str = "app:1",
) -> AsyncIterator[Hosts]:
    """So many hosts, all of which have the image unless `filled` says otherwise; `endpoints` changes each by name."""
    async with AsyncExitStack() as stack:
        registries = [await stack.enter_async_context(serve()) for _ in range(count)]
        for registry, full in zip(registries, filled or [True] * count, strict=True):
            if full:
                registry.add("app:1", IMAGE)
        listed = [
            Endpoint(registry.host, "app", Protection.PLAIN, is_mirror=registry is not registries[-1])
            for registry in registries
        ]
        for place, changes in enumerate(endpoints):
            listed[place] = replace(listed[place], **changes)  # type: ignore[arg-type]  # any fields
        now, events = Time(), list[Event]()
        client = RegistryClient(
            routes=Listed(listed),
            keyring=keyring,
            report=events.append,
            patience=patience,
            retries=retries,
            ranges=ranges,
            world=now.world(real_clock=False),
        )
        async with client:
            named = Reference.parse(f"{registries[-1].host}/{reference}")
            source = client.source(named)
            assert isinstance(source, Alternatives)
            assert isinstance(source, LabelFetcher)
            yield Hosts(registries, cast(Several, source), named, now, events)
