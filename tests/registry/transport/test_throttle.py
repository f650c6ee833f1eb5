"""The limit on bytes per second: its arithmetic on a clock of its own, and one real transfer for the rest."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from puller.registry.transport.patience import Patience
from puller.registry.transport.proxy import STRAIGHT
from puller.registry.transport.throttle import Throttle
from testregistry import serve
from tests.registry.bringing import bring, held
from tests.registry.scene import content, described, fetched
from tests.registry.transport.behind import LARGE, SMALL, asked


class Hours:
    """A clock that goes on, from sleeper to sleeper, when all have gone to sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.longest = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._count = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self._count += 1
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, woken))
        await woken.wait()

    async def run(self, *work: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.create_task(piece) for piece in work]
        while not all(task.done() for task in tasks):
            for _ in range(5):
                await asyncio.sleep(0)
            if self._sleepers:
                self.now, _, woken = heapq.heappop(self._sleepers)
                woken.set()
        for task in tasks:
            task.result()


def throttled(rate: int) -> tuple[Throttle, Hours]:
    hours = Hours()
    return Throttle(rate, clock=hours.clock, sleep=hours.sleep), hours


async def transfer(throttle: Throttle, size: int, note: Callable[[], None] = lambda: None) -> None:
    while size > 0:
        await throttle.take(min(size, throttle.piece))
        size -= throttle.piece
        note()


@pytest.mark.parametrize("rate", [1000, 50_000, 10_000_000, 1_000_000_000])
async def test_the_average_is_the_rate(rate: int) -> None:
    throttle, hours = throttled(rate)
    await hours.run(transfer(throttle, 20 * rate))
    assert hours.now - 1000 == pytest.approx(19.75, abs=0.2)  # a quarter of a second comes on credit


async def test_all_transfers_share_it() -> None:
    throttle, hours = throttled(1_000_000)
    await hours.run(*(transfer(throttle, 2_000_000) for _ in range(5)))
    assert hours.now - 1000 == pytest.approx(10, abs=0.3)


async def test_transfers_take_turns_whoever_came_first() -> None:
    throttle, hours = throttled(1_000_000)
    pieces = {"large": 0, "small": 0}

    def counted(name: str) -> Callable[[], None]:
        def count() -> None:
            pieces[name] += 1

        return count

    async def small() -> None:
        await hours.sleep(1)  # the large one is well on its way
        before = pieces["large"]
        await transfer(throttle, 1_000_000, counted("small"))
        assert abs((pieces["large"] - before) - pieces["small"]) <= 1

    await hours.run(transfer(throttle, 10_000_000, counted("large")), small())


@pytest.mark.parametrize("rate", [8_192, 50_000, 1_000_000])
async def test_a_low_rate_means_small_pieces_and_not_long_silences(rate: int) -> None:
    throttle, hours = throttled(rate)
    await hours.run(transfer(throttle, 3 * rate))
    assert hours.longest <= 0.2


async def test_time_that_was_not_used_is_not_saved_up() -> None:
    throttle, hours = throttled(1000)
    hours.now += 3600
    await hours.run(transfer(throttle, 10_000))
    assert hours.now - 4600 >= 9.75


async def test_a_cancel_ends_the_wait_at_once() -> None:
    throttle = Throttle(10, clock=time.monotonic, sleep=asyncio.sleep)
    task = asyncio.create_task(throttle.take(10_000))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)


async def test_downloads_and_uploads_pay_and_the_server_is_not_blamed_for_our_pauses() -> None:
    # Far less than the rate that a server must keep, had it not been we who asked for it.
    patience = Patience(minimum_rate=1_000_000, window=0.05)
    blob = content(20_000, seed=1)
    async with serve() as registry:
        registry.add_blob("app", SMALL)
        async with asked(f"{registry.host}/app", STRAIGHT, limit_rate=10_000, patience=patience) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL
            await bring(repository, blob)
        assert held(registry, blob)


@pytest.mark.slow
async def test_a_real_transfer_keeps_to_it_from_its_first_second_on() -> None:
    sent: list[tuple[float, int]] = []
    async with serve() as registry:
        registry.add_blob("app", LARGE)
        async with asked(f"{registry.host}/app", STRAIGHT, limit_rate=2_000_000, real=True) as repository:
            start, received = time.monotonic(), 0
            async with repository.fetch(described(LARGE)) as body:
                async for chunk in body:
                    received += len(chunk)
                    sent.append((time.monotonic() - start, received))
    assert received == len(LARGE)
    for seconds, size in sent:
        assert size <= 2_000_000 * (seconds + 0.5)
    gaps = [later[0] - sooner[0] for sooner, later in itertools.pairwise(sent)]
    assert max(gaps) < 1  # generous: a quarter of a second is what it takes


async def test_the_fast_path_pays_too() -> None:
    rate = 10_000_000
    assert not Throttle(rate, clock=time.monotonic, sleep=asyncio.sleep).is_narrow
    async with serve() as registry:
        registry.add_blob("app", LARGE)
        async with asked(f"{registry.host}/app", STRAIGHT, limit_rate=rate, real=True) as repository:
            start = time.monotonic()
            assert await fetched(repository, described(LARGE)) == LARGE
    assert time.monotonic() - start >= len(LARGE) / rate - 0.25  # less what comes on credit
