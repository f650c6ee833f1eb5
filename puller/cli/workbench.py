"""Workbench: the store, and a way to registries, for verbs that need an image's tree."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from puller.cli.environment import host_platform, processors
from puller.cli.options import Access, Where
from puller.cli.rooms import open_store
from puller.model.event import Event, Pulled, Report
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.ledger import Ledger
from puller.ops.plan import Wish
from puller.ops.pull import DEFAULT_JOBS, pull
from puller.ops.shelves import Shelves, shelves
from puller.ops.stored import Fetch
from puller.ops.trees import Shelved, shelved
from puller.store.disk import DiskStore
from puller.store.leases import DiskLease


@contextmanager
def open_shelves(store: DiskStore, *, only: str | None) -> Iterator[Shelves]:
    """Where the store keeps unpacked layers, and the process that unpacks them; `only` names the one driver to use."""
    with shelves(store.layout.layers, only=only, workers=processors()) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a verb works with; `lease` keeps what it has found for as long as it works."""

    store: DiskStore
    access: Access
    platform: Platform
    lease: DiskLease
    report: Report

    def fetch(self, reference: Reference) -> Fetch:
        """Pulls `reference` into the store when it is called."""

        async def fetch() -> None:
            from puller.cli.registries import open_client  # only now: most of what is asked for is here

            async with open_client(self.access, jobs=DEFAULT_JOBS, report=self.report) as client:
                wish = Wish((self.platform,))
                await pull(reference, client.repository(reference), self.store, wish, report=self._told)

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
async def workbench(where: Where, *, report: Report) -> AsyncIterator[Workbench]:
    """Open all that a Workbench has."""
    place = await open_store(where.store)
    platform = host_platform() if where.platform is None else Platform.parse(where.platform)
    async with place.lease() as lease:
        yield Workbench(place, where.access, platform, lease, report)
