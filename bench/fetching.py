"""What fetching and checking costs, whatever becomes of the blobs: copy, full pass, start, memory."""

import asyncio
import sys
from collections.abc import Sequence
from statistics import median

from bench.contest import ROOT
from bench.contestant import curl, puller, skopeo, skopeo_synced
from bench.floor import CORES, full_pass_parts, full_pass_seconds
from bench.ground import Ground
from bench.huge import pull_huge
from bench.measure import measured
from bench.section import FIGURES, figures, section
from bench.table import megabytes, ratio, seconds

COPIES = ("medium", "many", "zstd")
START_RUNS = 20


def copy(ground: Ground) -> str:
    """Only fetching and checking digests, against what others do."""
    rows: list[Sequence[str]] = []
    for image in COPIES:
        task = ground.task(image)
        ours, measure = puller(task, "--no-unpack", "--digest-only"), skopeo(task)
        results = ground.contest(ours, measure, skopeo_synced(task), curl(task))
        whole = next(result.seconds for result in results if result.name == measure.name)
        rows += [(f"{image}, {result.name}", *figures(result), ratio(result.seconds, whole)) for result in results]
    note = "puller makes every blob durable (fsync) before it gets its name; skopeo does not."
    headers = ("image, program", *FIGURES, "to skopeo")
    return section("Copy, digests only", headers, rows, f"Aim: puller ≤ 1.0 × skopeo. {note}")


def full(ground: Ground) -> str:
    """Digest, diff ID and tarsum of `medium` in one pass, against its parts as programs in C do them."""
    task = ground.task("medium")
    parts = full_pass_parts(task, ground.scratch, ground.env)
    floor = full_pass_seconds(parts)
    rows: list[Sequence[str]] = [(f"floor: {name}", "", "", seconds(use.cpu), "", "") for name, use in parts.items()]
    whole = seconds(sum(usage.cpu for usage in parts.values()))
    rows.append((f"floor: all, on {CORES} cores", seconds(floor), "", whole, "", ratio(floor, floor)))
    ours = puller(task, "--no-unpack"), puller(task, "--no-unpack", "--no-tarsum")
    for result in ground.contest(*ours):
        rows.append((result.name, *figures(result), ratio(result.seconds, floor)))
    return section("Full pass", ("medium", *FIGURES, "to floor"), rows, "Aim: puller ≤ 1.3 × floor.")


def start(ground: Ground) -> str:
    """What starting costs over a bare interpreter."""
    bare = _start(ground, "-c", "pass")
    ours = _start(ground, "-m", "puller", "--version")
    rows = [
        ("python -c pass", f"{bare * 1e3:.0f}", ""),
        ("python -m puller --version", f"{ours * 1e3:.0f}", f"{(ours - bare) * 1e3:.0f}"),
    ]
    headers = (f"start, median of {START_RUNS}", "ms", "over bare")
    return section("Start", headers, rows, "Aim: ≤ 60 ms over bare.")


def _start(ground: Ground, *words: str) -> float:
    command = [sys.executable, *words]
    # The first one, not counted, writes the bytecode that an installed program has.
    runs = [measured(command, env=ground.env, cwd=ROOT).seconds for _ in range(START_RUNS + 1)]
    return median(runs[1:])


def memory(ground: Ground) -> str:
    """Peak memory with every check on, unpacked as well: of an image with large layers, and of one layer of 4 GB."""
    (medium,) = ground.contest(puller(ground.task("medium")))
    huge = asyncio.run(pull_huge(ground.scratch, ground.env))
    rows = [
        ("medium", megabytes(medium.peak), seconds(medium.seconds)),
        ("one layer of 4 GB, gzip", megabytes(huge.peak), seconds(huge.seconds)),
    ]
    return section("Memory", ("full pass, unpacked", "peak MB", "s"), rows, "Aim: peak ≤ 100 MB.")
