"""A sync from registries that creep, through the real client, with little patience."""

from pathlib import Path
from typing import Any

import pytest

from puller.mirror.config import Config, Mirror, Place
from puller.mirror.state import State
from puller.model.sync import SyncReport
from puller.ops.copying.local import LocalCarrier, LocalClaims
from puller.ops.copying.places import Places
from puller.ops.sync import Run, sync
from puller.registry.client import RegistryClient
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from puller.store.disk import DiskStore
from testregistry import TestRegistry, faults, images, serve
from testregistry.fault import Fault
from tests.ops.syncing.story import with_prune
from tests.registry.scene import Time

pytestmark = pytest.mark.slow  # real time passes

CREEPING = 50  # bytes a second
IMAGES = {tag: images.image(images.layer({"own": tag.encode() * 5000})) for tag in ("1", "2", "3", "4")}


async def store(folder: str) -> DiskStore:
    return await DiskStore.open(Path(folder))


async def synced(up: TestRegistry, folder: Path) -> SyncReport:
    """One run of `app` and `web` into a directory."""
    mirrors = tuple(
        with_prune(Mirror(Place("registry", f"{up.host}/{name}"), Place("oci", f"{folder}/{name}"), line=line), keep=0)
        for line, name in enumerate(("app", "web"), 1)
    )
    patience = Patience(connect=2, first_byte=0.4, stall=0.4, minimum_rate=2000, window=0.2)
    world = Time().world(real_clock=True)
    client = RegistryClient(patience=patience, retries=RetryPolicy(attempts=2), world=world, ranges=None)
    async with client, Places(client, stores=store) as places:
        with State.open(folder / "state") as state:
            carrier = LocalCarrier(places, claims=LocalClaims(places))
            run = Run("r1", "mirrors.yml", world.clock)
            return await sync(Config(mirrors), run, places=places, carrier=carrier, state=state)


@pytest.mark.parametrize(
    ("fault", "failing"),
    [
        (faults.drip(IMAGES["2"].layers[0].digest, rate=CREEPING, times=None), {"2"}),
        (faults.drip(IMAGES["2"].digest, kind="manifest", method="GET", rate=CREEPING, times=None), {"2"}),
        (faults.stall(IMAGES["2"].config.digest, after=9, times=None), {"2"}),
        (faults.hang(kind="manifest", method="HEAD", path="/2$", repository="app", times=None), {"2"}),
        (faults.drip(kind="tags", repository="app", rate=CREEPING, times=None), {"1", "2"}),
        (faults.hang(kind="tags", repository="app", times=None), {"1", "2"}),
    ],
    ids=["layer", "manifest", "config", "head", "list", "no-list"],
)
async def test_h4_a_registry_that_creeps_costs_what_it_creeps_with_and_nothing_else(
    tmp_path: Path, fault: Fault, failing: set[str]
) -> None:
    async with serve() as up:
        for repository, tags in (("app", "12"), ("web", "34")):
            for tag in tags:
                up.add(f"{repository}:{tag}", IMAGES[tag])
        up.faults.append(fault)
        report = await synced(up, tmp_path)
    arrived = {item.tag for item in report.items if item.carried is not None}
    assert arrived == {"1", "2", "3", "4"} - failing
    told: list[Any] = [item.error for item in report.items if item.error] + [error for _, error in report.problems]
    assert [error["error"] for error in told] == ["ConnectionLost"]
