"""Workbench: the store, its unpacked layers and the registries at hand, for verbs that need an image's tree."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from puller.cli.environment import host_platform
from puller.cli.options import Access
from puller.cli.rooms import open_client, open_store
from puller.model.event import Event, Pulled, Report
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.ledger import Ledger
from puller.ops.pull import DEFAULT_JOBS, Wish, pull
from puller.ops.shelves import Shelves
from puller.ops.stored import Fetch
from puller.ops.trees import Shelved, shelved
from puller.registry.client import RegistryClient
from puller.store.disk import DiskStore
from puller.store.leases import DiskLease


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a verb works with; `lease` keeps what it has found for as long as it works."""

    store: DiskStore
    client: RegistryClient
    platform: Platform
    lease: DiskLease
    report: Report

    def fetch(self, reference: Reference) -> Fetch:
        """Pulls `reference` into the store when it is called."""

        async def fetch() -> None:
            source = self.client.repository(reference)
            limiter = anyio.CapacityLimiter(DEFAULT_JOBS)
            await pull(reference, source, self.store, Wish((self.platform,)), limiter=limiter, report=self._told)

        return fetch

    def _told(self, event: Event) -> None:
        if not isinstance(event, Pulled):  # that the pull is done is not what was asked for, and stdout is for that
            self.report(event)

    async def shelved(self, reference: Reference, shelves: Shelves) -> Shelved:
        """The image, unpacked; pulled before where it is not here."""
        return await shelved(
            reference,
            self.store,
            shelves,
            self.lease,
            platform=self.platform,
            fetch=self.fetch(reference),
            ledger=Ledger(reference, self.report),
        )


@asynccontextmanager
async def workbench(
    store: Path | None, access: Access, *, platform: str | None, report: Report
) -> AsyncIterator[Workbench]:
    """Open all that a Workbench has."""
    place = await open_store(store)
    chosen = host_platform() if platform is None else Platform.parse(platform)
    async with open_client(access, jobs=DEFAULT_JOBS, report=report) as client, place.lease() as lease:
        yield Workbench(place, client, chosen, lease, report)
