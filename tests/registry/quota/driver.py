"""Driver: one process that pulls a few images on a clock that runs faster, for the stories of several processes.

    python -m tests.registry.quota.driver FOLDER SCALE BEGUN WALL MAX_WAIT NAME…

An hour is 3600 / SCALE seconds long. BEGUN is the time of the true clock at which the fast one showed WALL. A line is
written for each wait and each image; the process ends with 0 when it has them all.
"""

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from puller.errors import PullerError
from puller.model.event import Event, Waiting
from puller.registry.client import RegistryClient
from puller.registry.pace import Pace
from puller.registry.world import World
from tests.registry.quota.party import PATIENT, pulled


@dataclass(frozen=True, slots=True)
class Haste:
    """A clock `scale` times as fast as the true one, which all processes of a story share."""

    scale: float
    begun: float
    wall: float

    @property
    def now(self) -> float:
        return self.wall + (time.time() - self.begun) * self.scale

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.scale)

    def world(self) -> World:
        return World(
            clock=lambda: time.monotonic() * self.scale, wall=lambda: self.now, sleep=self.sleep, random=lambda: 0.5
        )


def tell(event: Event) -> None:
    if isinstance(event, Waiting):
        print(f"waiting {event.host} {event.seconds:.0f} {event.reason}", flush=True)


async def main(folder: Path, haste: Haste, max_wait: float, names: list[str]) -> None:
    world, pace = haste.world(), Pace(max_wait=max_wait, quotas=folder)
    async with RegistryClient(world=world, report=tell, patience=PATIENT, pace=pace) as client:

        async def one(name: str) -> None:
            await pulled(client, name)
            print(f"pulled {name}", flush=True)

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name))


if __name__ == "__main__":
    place, scale, begun, wall, max_wait, *names = sys.argv[1:]
    try:
        haste = Haste(float(scale), float(begun), float(wall))
        asyncio.run(main(Path(place), haste, float(max_wait), names))
    except* PullerError as group:
        print(f"failed {group.exceptions[0]}", flush=True)
        sys.exit(1)
