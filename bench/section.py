"""The parts of the benchmark, each a heading, a table and the aim it is held against."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.contest import ROOT, Result, contest
from bench.contestant import Contestant, Task, curl, puller, skopeo, skopeo_synced
from bench.floor import CORES, full_pass_parts, full_pass_seconds
from bench.huge import pull_huge
from bench.layout import Image
from bench.measure import measured
from bench.push import repository
from bench.registry import Registry
from bench.table import megabytes, ratio, seconds, table

COPIES = ("medium", "many", "zstd")
START_RUNS = 20


@dataclass(frozen=True, slots=True)
class Ground:
    """What every part stands on: the images, the registry that serves them, a place for stores, an environment."""

    images: Mapping[str, Image]
    registry: Registry
    rounds: int
    scratch: Path
    env: Mapping[str, str]

    def task(self, image: str) -> Task:
        """Fetch that image."""
        return Task(self.registry, repository("full", image), self.images[image])

    def contest(self, image: str, *contestants: Contestant) -> list[Result]:
        """Let them fetch that image in turn."""
        return contest(self.task(image), contestants, rounds=self.rounds, scratch=self.scratch, env=self.env)


def copy(ground: Ground) -> str:
    """Only fetching and checking digests, against what others do."""
    rows: list[Sequence[str]] = []
    for image in COPIES:
        ours = puller("puller --digest-only", "--digest-only")
        results = ground.contest(image, ours, skopeo(), skopeo_synced(), curl())
        measure = next(result.seconds for result in results if result.name == skopeo().name)
        rows += [(f"{image}, {result.name}", *_figures(result), ratio(result.seconds, measure)) for result in results]
    headers = ("image, program", "median s", "best s", "CPU s", "peak MB", "to skopeo")
    note = "puller makes every blob durable (fsync) before it gets its name; skopeo does not."
    return _section("Copy, digests only", table(headers, rows), f"Aim: puller ≤ 1.0 × skopeo. {note}")


def full(ground: Ground) -> str:
    """Digest, diff ID and tarsum of `medium` in one pass, against its parts as programs in C do them."""
    parts = full_pass_parts(ground.task("medium"), ground.scratch, ground.env)
    floor = full_pass_seconds(parts)
    rows: list[Sequence[str]] = [(f"floor: {name}", "", "", seconds(use.cpu), "", "") for name, use in parts.items()]
    whole = seconds(sum(usage.cpu for usage in parts.values()))
    rows.append((f"floor: all, on {CORES} cores", seconds(floor), "", whole, "", ratio(floor, floor)))
    for result in ground.contest("medium", puller("puller"), puller("puller --no-tarsum", "--no-tarsum")):
        rows.append((result.name, *_figures(result), ratio(result.seconds, floor)))
    headers = ("medium", "median s", "best s", "CPU s", "peak MB", "to floor")
    return _section("Full pass", table(headers, rows), "Aim: puller ≤ 1.3 × floor.")


def start(ground: Ground) -> str:
    """What starting costs over a bare interpreter."""
    bare = _start(ground, "-c", "pass")
    ours = _start(ground, "-m", "puller", "--version")
    rows = [
        ("python -c pass", f"{bare * 1e3:.0f}", ""),
        ("python -m puller --version", f"{ours * 1e3:.0f}", f"{(ours - bare) * 1e3:.0f}"),
    ]
    headers = (f"start, median of {START_RUNS}", "ms", "over bare")
    return _section("Start", table(headers, rows), "Aim: ≤ 60 ms over bare.")


def _start(ground: Ground, *words: str) -> float:
    command = [sys.executable, *words]
    # The first one, not counted, writes the bytecode that an installed program has.
    runs = [measured(command, env=ground.env, cwd=ROOT).seconds for _ in range(START_RUNS + 1)]
    return median(runs[1:])


def memory(ground: Ground) -> str:
    """Peak memory with every check on: of an image with large layers, and of one layer of 4 GB."""
    (medium,) = ground.contest("medium", puller("puller"))
    huge = asyncio.run(pull_huge(ground.scratch, ground.env))
    rows = [
        ("medium", megabytes(medium.peak), seconds(medium.seconds)),
        ("one layer of 4 GB, gzip", megabytes(huge.peak), seconds(huge.seconds)),
    ]
    return _section("Memory", table(("full pass", "peak MB", "s"), rows), "Aim: peak ≤ 100 MB.")


def _figures(result: Result) -> tuple[str, ...]:
    return seconds(result.seconds), seconds(result.best), seconds(result.cpu), megabytes(result.peak)


def _section(title: str, body: str, aim: str) -> str:
    return f"### {title}\n\n{body}\n\n{aim}"


PARTS: Mapping[str, Callable[[Ground], str]] = {"copy": copy, "full": full, "start": start, "memory": memory}
