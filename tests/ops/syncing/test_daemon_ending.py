"""How a daemon ends: images on their way arrive within its grace, no other begins, a second wish ends all at once."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from puller.model.sync import Carried, Transfer
from puller.ops.syncing.brake import Brake
from tests.ops.syncing.watchful import HOUR, NOON, World, key, mirror

TRANSFER = Transfer("up.example/a", "sha256:" + "0" * 64, "application/json", 1, "down.example/a", "1")


class Images:
    """A carrier whose images take `seconds` of the world's time each."""

    def __init__(self, world: World, seconds: float) -> None:
        self.world = world
        self.seconds = seconds
        self.begun = self.arrived = 0

    async def carry(self, transfer: Transfer) -> Carried:
        self.begun += 1
        end = self.world.now + self.seconds
        while self.world.now < end:
            await anyio.lowlevel.checkpoint()
        self.arrived += 1
        return Carried("sha256:" + "0" * 64)


def run_of(brake: Brake, images: Images, number: int, jobs: int) -> Callable[[], Awaitable[None]]:
    """A run of many images."""

    async def run() -> None:
        carrier = brake.on(images, jobs=jobs)
        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(carrier.carry, TRANSFER)

    return run


def at_work(
    world: World, *, seconds: float, number: int = 9, jobs: int = 3, step: float = 1.0, **wishes: float
) -> Images:
    """The world's next run is of images; time goes on by `step` for each turn of the loop. `wishes`: stops, by name."""
    images = Images(world, seconds)
    run = run_of(world.brake, images, number, jobs)

    async def during() -> None:
        async with anyio.create_task_group() as group:

            async def time() -> None:
                left = sorted(wishes.values())
                while True:
                    await anyio.lowlevel.checkpoint()
                    world.now += step
                    while left and world.now - NOON >= left[0]:
                        left.pop(0)
                        assert world.wishes is not None
                        world.wishes.stop()

            group.start_soon(time)
            await run()
            group.cancel_scope.cancel()

    async def sleep(seconds: float) -> None:
        end = world.now + seconds
        while world.now < end:
            await anyio.lowlevel.checkpoint()

    world.during = during
    world.sleep = sleep  # type: ignore[method-assign]  # this world's alone
    return images


async def test_images_on_their_way_arrive_and_no_other_begins() -> None:
    world = World()
    images = at_work(world, seconds=10, first=15)
    with anyio.fail_after(5):
        await world.keep_syncing(mirror("a", "every 1h"))
    assert (images.begun, images.arrived) == (6, 6)
    assert world.now - NOON < 15 + 30


async def test_what_does_not_arrive_within_the_grace_is_cancelled() -> None:
    world = World()
    images = at_work(world, seconds=HOUR, first=15)
    with anyio.fail_after(5):
        await world.keep_syncing(mirror("a", "every 1h"), grace=30)
    assert (images.begun, images.arrived) == (3, 0)
    assert 45 <= world.now - NOON < 60
    assert "ending; 3 images on their way have 30 s to arrive" in world.told


async def test_a_second_wish_cancels_at_once() -> None:
    world = World()
    images = at_work(world, seconds=HOUR, first=15, second=16)
    with anyio.fail_after(5):
        await world.keep_syncing(mirror("a", "every 1h"), grace=1000)
    assert images.arrived == 0
    assert world.now - NOON < 30


async def test_a_run_that_only_looks_is_cancelled_at_once() -> None:
    world = World()

    async def during() -> None:
        assert world.wishes is not None
        world.wishes.stop()
        await anyio.sleep_forever()

    world.during = during
    with anyio.fail_after(5):
        await world.keep_syncing(mirror("a", "every 1h"), grace=1000)
    assert world.state.last_runs == {}


async def test_r13_an_abandoned_run_is_not_remembered_so_the_next_start_makes_up_for_it() -> None:
    world = World()
    at_work(world, seconds=HOUR, first=15, second=16)
    await world.keep_syncing(mirror("a", "every 1h"))
    assert world.state.last_runs == {}
    assert world.tallies.of(key("a")).well == 0
    assert world.tallies.began is None


async def test_a_run_that_ends_within_the_grace_is_remembered() -> None:
    world = World()

    async def during() -> None:
        assert world.wishes is not None
        world.brake.began()
        world.wishes.stop()

    world.during = during
    await world.keep_syncing(mirror("a", "every 1h"))
    assert world.state.last_runs[key("a")].well


async def test_a_brake_counts_only_what_it_has_let_through() -> None:
    world, brake = World(), Brake()
    images = Images(world, 10)
    carrier = brake.on(images, jobs=2)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(carrier.carry, TRANSFER)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        assert brake.under_way == 2
        brake.stop()
        world.now += 11
        with anyio.fail_after(5):
            await brake.idle()
        assert (images.begun, images.arrived) == (2, 2)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("jobs", [1, 4])
async def test_a_brake_that_is_off_lets_everything_through(jobs: int) -> None:
    brake, images = Brake(), Images(World(), 0)
    carrier = brake.on(images, jobs=jobs)
    async with anyio.create_task_group() as group:
        for _ in range(9):
            group.start_soon(carrier.carry, TRANSFER)
    assert images.arrived == 9
    assert brake.under_way == 0
