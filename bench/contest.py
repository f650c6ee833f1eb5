"""Several contestants, in turn, each into a fresh folder: rounds of measurements and their medians."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.cache import remove
from bench.contestant import Contestant
from bench.measure import Usage, measured

# `python -m puller` is found from here.
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Result:
    """All runs of one contestant, in order."""

    name: str
    usages: tuple[Usage, ...]

    @property
    def seconds(self) -> float:
        """Median wall time."""
        return median(usage.seconds for usage in self.usages)

    @property
    def best(self) -> float:
        """Shortest wall time: what the machine allows when nothing else runs."""
        return min(usage.seconds for usage in self.usages)

    @property
    def cpu(self) -> float:
        """Median processor time."""
        return median(usage.cpu for usage in self.usages)

    @property
    def peak(self) -> int:
        """The largest peak of all runs: a promise about memory is about the worst."""
        return max(usage.peak for usage in self.usages)


def contest(contestants: Sequence[Contestant], *, rounds: int, scratch: Path, env: Mapping[str, str]) -> list[Result]:
    """One round unmeasured to warm the page cache, then `rounds` in turn, beginning with another one each time."""
    usages: dict[str, list[Usage]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds + 1):
        turn = number % len(contestants)
        for contestant in [*contestants[turn:], *contestants[:turn]]:
            usage = _run(contestant, scratch, env)
            if number > 0:
                usages[contestant.name].append(usage)
    return [Result(name, tuple(runs)) for name, runs in usages.items()]


def _run(contestant: Contestant, scratch: Path, env: Mapping[str, str]) -> Usage:
    store = scratch / "store"
    remove(store)
    store.mkdir(parents=True)
    if contestant.daemon:
        contestant.daemon.begin()
    # What the run before left unwritten would otherwise be written at this one's cost.
    os.sync()
    try:
        usage = measured(contestant.command(store), env=env, cwd=ROOT)
        return contestant.daemon.added(usage) if contestant.daemon else usage
    finally:
        remove(store)
