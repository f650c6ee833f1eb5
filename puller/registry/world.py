"""World: the time and chance that a client takes from outside, so that tests can be their master."""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio


@dataclass(frozen=True, slots=True)
class World:
    """`clock` is monotonic, `wall` counts from the epoch, both in seconds; `random` gives 0 <= x < 1."""

    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep
    random: Callable[[], float] = random.random
