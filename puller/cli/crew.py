"""Crew: how a sync over a cluster opens what it needs, here and on each worker."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from puller.cli.copying import open_places
from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.contracts.images import Claims
from puller.errors import InvalidConfig
from puller.mirror.config import Host
from puller.model.event import Report, unheard
from puller.ops.copying.local import LocalCarrier, LocalClaims, Places
from puller.ops.syncing.carrier import Carrier
from puller.registry.transport.proxy import Proxy

if TYPE_CHECKING:
    from puller.ops.syncing.sharing import Scheduler


@dataclass(frozen=True, slots=True)
class Crew:
    """Whose workers bring images, how registries are to be spoken to, how many blobs flow at once on each, and which
    registries they go to.
    """

    address: str
    access: Access
    hosts: Mapping[str, Host]
    jobs: int
    targets: frozenset[str] = frozenset()


@asynccontextmanager
async def open_crew(crew: Crew, places: Places, claims: LocalClaims, report: Report) -> AsyncIterator[Carrier]:
    """A carrier over a cluster; `places` and `claims` are of this process. Raises Unavailable, InvalidConfig."""
    try:
        from puller.ops.syncing.cluster import cluster
    except ImportError as error:
        hint = "Install it, here and for the workers: pip install 'puller[cluster]'"
        raise InvalidConfig("--cluster needs dask.distributed", got=str(error), hint=hint) from error

    _refuse_secrets(crew.access)

    def here(shared: Claims) -> Carrier:
        return LocalCarrier(places, claims=shared, jobs=crew.jobs, report=report)

    opened = partial(open_carrier, crew.access, dict(crew.hosts), crew.jobs, crew.targets)
    async with cluster(crew.address, uuid4().hex, opened, here=here, local=claims) as carrier:
        yield carrier


def _refuse_secrets(access: Access) -> None:
    """What workers are given passes through the scheduler, perhaps in the clear. Raises InvalidConfig."""
    proxy = None if access.proxy in (None, "env") else Proxy.parse(access.proxy or "")
    if proxy is not None and (proxy.username or proxy.password):
        hint = "Have the workers find it in their own environment: --proxy env."
        raise InvalidConfig("workers are not given the login of a proxy", where="--proxy", got=proxy, hint=hint)


@asynccontextmanager
async def open_carrier(
    access: Access, hosts: Mapping[str, Host], jobs: int, targets: frozenset[str], scheduler: "Scheduler", run: str
) -> AsyncIterator[Carrier]:
    """What each worker opens: its own accounts, certificates and limits. Raises InvalidConfig."""
    from puller.ops.syncing.sharing import ClusterClaims

    async with (
        open_client(access, jobs=jobs, report=unheard, hosts=hosts, targets=targets) as client,
        open_places(client) as places,
    ):
        local = LocalClaims(places)
        places.borrow_from(local.lender)
        yield LocalCarrier(places, claims=ClusterClaims(local, scheduler, run), jobs=jobs)
