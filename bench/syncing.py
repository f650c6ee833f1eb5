"""Mirrors: twenty repositories kept in step with `puller sync` and with `skopeo sync`, in turn.

By itself: `python -m bench.syncing [--rounds N] [--only registry|directory] [--distance MS] [--markdown]`.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from bench.arrival import prove_arrived
from bench.build import build
from bench.cache import Cache, default_root, remove
from bench.contest import ROOT
from bench.distant import distant
from bench.fleet import Fleet, fleet, moved
from bench.ground import Unmeasurable, environment
from bench.machine import machine
from bench.measure import RunFailed, Usage, measured
from bench.mirrorer import PULLER, SKOPEO, Errand, Mirrorer
from bench.ram import ram_folder
from bench.registry import Registry, RegistryFailed, serve
from bench.section import left_out
from bench.table import megabytes, ratio, seconds, table
from bench.tally import Tally, settled
from bench.tool import MissingTool, ToolFailed

TITLE = "Mirrors"
AIM = "Aim: first run ≤ 0.6 × skopeo sync, run without changes ≤ 0.3 ×."
STEPS = ("first", "no change", "one tag moved")
MOVED = ("team/debian-00", "1.3")
REFUSED = "refused"
# Kind of target, and milliseconds of round trip to every registry, where nothing is said.
USUAL = (("registry", 0.0), ("registry", 20.0), ("directory", 0.0))


@dataclass(slots=True)
class Record:
    """What one program took for one step, round by round, and what it asked of source and target in the last one."""

    usages: list[Usage] = field(default_factory=list)
    source: Tally = field(default_factory=Tally)
    target: Tally = field(default_factory=Tally)

    @property
    def seconds(self) -> float:
        """Median wall time."""
        return median(usage.seconds for usage in self.usages)


Records = dict[tuple[str, str], Record]


def main() -> int:
    """Build what is missing, measure, print; 1 with a reason where a tool is missing or a program fails."""
    arguments = _parser().parse_args()
    cache = Cache(arguments.dir)
    try:
        images = build(cache, "full")
        ships = fleet(cache, images)
        lines = [*machine(), ships.describe()]
        if arguments.markdown:
            words = (word for word in sys.argv[1:] if word != "--markdown")
            command = " ".join(["python", "-m", "bench.syncing", *words])
            lines = [f"## {time.strftime('%Y-%m-%d')}: `{command}`", "", "```", *lines, "```"]
        print("\n".join(lines), flush=True)
        for place, distance in _asked_for(arguments.only, arguments.distance):
            tables = syncing(ships, place, distance=distance, rounds=arguments.rounds, environ=os.environ)
            print(f"\n{tables}", flush=True)
    except (MissingTool, ToolFailed, RunFailed, RegistryFailed) as failure:
        print(f"bench.syncing: {failure}", file=sys.stderr)
        return 1
    return 0


def _asked_for(places: Sequence[str] | None, distance: float | None) -> Sequence[tuple[str, float]]:
    if places is None and distance is None:
        return USUAL
    return [(place, distance or 0.0) for place in places or ("registry", "directory")]


def syncing(ships: Fleet, place: str, *, distance: float, rounds: int, environ: Mapping[str, str]) -> str:
    """The tables for one kind of target, `registry` or `directory`, registries `distance` milliseconds away."""
    title = f"{TITLE}: to a {place}" + (f", registries {distance:g} ms away" if distance else "")
    # skopeo's directories share nothing, so that all images lie there in full.
    needed = 2 * ships.stored + (ships.stored if place == "registry" else ships.gross)
    try:
        with ram_folder(int(1.1 * needed)) as folder:
            env = {**environment(environ, folder), "XDG_STATE_HOME": str(folder / "xdg")}
            records = _measure(ships, place, folder, env, rounds, distance)
            _prove_promises(records, ships, place)
    except (MissingTool, Unmeasurable) as reason:
        return left_out(title, reason, AIM)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    tables = (_times(records), _requests(records))
    return "\n\n".join([f"### {title}", *tables, f"{AIM} {rounds} rounds; load of the machine (1, 5, 15 min): {load}."])


def _measure(ships: Fleet, place: str, folder: Path, env: Mapping[str, str], rounds: int, distance: float) -> Records:
    data = folder / "source"
    shutil.copytree(ships.data, data)
    records: Records = {(program.name, step): Record() for program in (PULLER, SKOPEO) for step in STEPS}
    with serve(data, folder / "source-log") as source, distant(source, distance) as far_source:
        for number in range(rounds + 1):
            turn = (PULLER, SKOPEO) if number % 2 else (SKOPEO, PULLER)
            for program in turn:
                # The first round is not counted, and so not kept waiting.
                found = records if number else dict.fromkeys(records, Record())
                with _target(place, folder / "target", distance if number else 0.0) as (target, far_target):
                    errand = Errand(source, ships.repositories, target, folder / "work")
                    far = replace(errand, source=far_source if number else source, target=far_target)
                    try:
                        _keep_in_step(program, errand, far, env, found, f"{number} {program.name}")
                    finally:
                        remove(errand.work)
    return records


def _keep_in_step(
    program: Mirrorer, errand: Errand, far: Errand, env: Mapping[str, str], found: Records, word: str
) -> None:
    """One program, from an empty target to a tag that has moved; `far` is the errand as the program meets it."""
    errand.work.mkdir()
    command = program.command(far)

    def step(name: str) -> None:
        record = found[program.name, name]
        os.sync()
        source, target = settled(errand.source), settled(errand.registry)
        record.usages.append(measured(command, env=env, cwd=ROOT))
        record.source, record.target = settled(errand.source) - source, settled(errand.registry) - target

    step("first")
    prove_arrived(errand)
    if errand.registry is None and not program.overwrites:
        return
    step("no change")
    repository, tag = MOVED
    with moved(errand.source, repository, tag, word):
        step("one tag moved")
        prove_arrived(errand)


@contextmanager
def _target(place: str, folder: Path, distance: float) -> Iterator[tuple[Registry | Path, Registry | Path]]:
    """The target, as it is and as a program meets it."""
    remove(folder)
    try:
        if place == "registry":
            with serve(folder / "data", folder / "log") as registry, distant(registry, distance) as far:
                yield registry, far
        else:
            folder.mkdir()
            yield folder, folder
    finally:
        remove(folder)


def _prove_promises(records: Records, ships: Fleet, place: str) -> None:
    """Raise Unmeasurable where the source's own log does not show what the tables say of `puller`."""
    first, same, changed = (records[PULLER.name, step].source for step in STEPS)
    wanted = {("HEAD", "manifest"): ships.tags, ("GET", "manifest"): 0, ("GET", "blob"): 0, ("HEAD", "blob"): 0}
    for (method, kind), count in wanted.items():
        if same[method, kind] != count:
            raise Unmeasurable(
                f"without changes: {same[method, kind]} × {method} of a {kind} at the source, not {count}"
            )
    # A layer, a config, a manifest.
    if (changed["GET", "blob"], changed["GET", "manifest"], changed["HEAD", "manifest"]) != (2, 1, ships.tags):
        raise Unmeasurable(f"one tag moved: {changed.describe()}")
    if first["GET", "blob"] > ships.blobs:
        raise Unmeasurable(f"first run to a {place}: {first['GET', 'blob']} GETs of {ships.blobs} blobs")


def _times(records: Records) -> str:
    rows = []
    for step in STEPS:
        theirs = records[SKOPEO.name, step]
        for program in (PULLER, SKOPEO):
            record = records[program.name, step]
            if not record.usages:
                rows.append((f"{step}, {program.name}", REFUSED, "", "", "", ""))
                continue
            usages = record.usages
            best = min(usage.seconds for usage in usages)
            cpu = median(usage.cpu for usage in usages)
            peak = max(usage.peak for usage in usages)
            held = ratio(record.seconds, theirs.seconds) if theirs.usages else ""
            cells = seconds(record.seconds), seconds(best), seconds(cpu), megabytes(peak), held
            rows.append((f"{step}, {program.name}", *cells))
    return table(("run, program", "median s", "best s", "CPU s", "peak MB", "to skopeo"), rows)


def _requests(records: Records) -> str:
    headers = ("requests of the last round", "HEAD manifest", "GET manifest", "GET blob", "lists", "others", "MB sent")
    rows: list[Sequence[str]] = []
    for step in STEPS:
        for program in (PULLER, SKOPEO):
            record = records[program.name, step]
            for where, tally in (("source", record.source), ("target", record.target)):
                if tally.total:
                    rows.append((f"{step}, {program.name}, at the {where}", *tally.cells()))
    return table(headers, rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.syncing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="measured runs of each program (default: %(default)s)")
    parser.add_argument("--only", choices=("registry", "directory"), action="append", help="this kind of target alone")
    parser.add_argument("--distance", type=float, metavar="MS", help="round trip to every registry, in milliseconds")
    parser.add_argument("--markdown", action="store_true", help="a section ready for docs/benchmarks.md")
    parser.add_argument("--dir", type=Path, default=default_root(os.environ), help="the cache (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
