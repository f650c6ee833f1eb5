"""Several contestants, in turn, each into a fresh folder: rounds of measurements and their medians."""

import os
from collections.abc import Callable, Mapping, Sequence
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
    """All runs of one contestant, in order, and how many files and folders it `left` in its own folder."""

    name: str
    usages: tuple[Usage, ...]
    left: int

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


def contest(
    contestants: Sequence[Contestant], *, rounds: int, scratch: Path, env: Mapping[str, str], warm_up: bool = True
) -> list[Result]:
    """One round unmeasured to warm the page cache, then `rounds` in turn, beginning with another one each time.

    Without `warm_up` that round is left out, and nothing is known of what is left: for what comes from no disk.
    """
    warm = [_run(contestant, scratch, env, look=_entries) if warm_up else (None, 0) for contestant in contestants]
    usages: list[list[Usage]] = [[] for _ in contestants]
    for number in range(1, rounds + 1):
        for turn in range(len(contestants)):
            which = (number + turn) % len(contestants)
            usages[which].append(_run(contestants[which], scratch, env)[0])
    return [
        Result(contestant.name, tuple(runs), left)
        for contestant, runs, (_, left) in zip(contestants, usages, warm, strict=True)
    ]


def _run(
    contestant: Contestant, scratch: Path, env: Mapping[str, str], look: Callable[[Path], int] = lambda _: 0
) -> tuple[Usage, int]:
    store = scratch / "store"
    remove(store)
    store.mkdir(parents=True)
    if contestant.daemon:
        contestant.daemon.begin()
    # What the run before left unwritten would otherwise be written at this one's cost.
    os.sync()
    try:
        usage = measured(contestant.command(store), env=env, cwd=ROOT)
        if contestant.daemon:
            usage = contestant.daemon.added(usage)
        return usage, look(store)
    finally:
        remove(store)


def _entries(folder: Path) -> int:
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder))
