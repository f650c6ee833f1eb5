"""What many tags take: bytes of state and reports, time and memory of a run without changes: `python -m bench.sizing`.

Two test registries hold tags of one small image, so that nothing is fetched and only the bookkeeping is measured.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.contest import ROOT
from bench.ground import environment
from bench.machine import interpreter
from bench.measure import RunFailed, Usage, measured
from bench.table import megabytes, seconds, table
from puller.mirror.known import Known, manner_text
from puller.mirror.state import State
from puller.model.digest import Digest
from puller.model.sync import Item, Manner, SyncReport
from testregistry import TestRegistry, images, serve

ROWS = 100_000
TAGS = (1_000, 5_000, 20_000)
IN_ONE = (250, 1_000, 4_000)
TAGS_EACH = 100  # tags of a repository
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def main() -> int:
    """Measure and print; 1 where a run fails."""
    parser = argparse.ArgumentParser(prog="python -m bench.sizing", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="tags in the state (default: %(default)s)")
    parser.add_argument("--tags", type=int, action="append", help=f"tags in a run; may be repeated (default: {TAGS})")
    parser.add_argument("--in-one", type=int, action="append", help=f"tags of a directory (default: {IN_ONE})")
    arguments = parser.parse_args()
    print("\n".join(interpreter()), flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="puller-sizing-") as scratch:
            print(f"\n{state_table(Path(scratch), arguments.rows)}", flush=True)
            print(f"\n{runs_table(Path(scratch), arguments.tags or TAGS, os.environ)}", flush=True)
            print(f"\n{directory_table(Path(scratch), arguments.in_one or IN_ONE, os.environ)}", flush=True)
    except RunFailed as failure:
        print(f"bench.sizing: {failure}", file=sys.stderr)
        return 1
    print(f"\nLoad of the machine (1, 5, 15 min): {', '.join(f'{value:.1f}' for value in os.getloadavg())}.")
    return 0


def state_table(scratch: Path, rows: int) -> str:
    """Bytes on the disk and time for each of so many tags in a state, and of the report of a run over them."""
    folder = scratch / "state"
    tags = [_known(number) for number in range(rows)]
    with State.open(folder) as state:

        def remember() -> None:
            for known in tags:
                state.remember(known)

        written = _timed(remember)
        read = _timed(lambda: [state.known(known.target, known.name) for known in tags])
    held = _size(folder)
    report = SyncReport("run", "mirrors.yaml", 1.0, 2.0, tuple(map(_item, tags)))
    with State.open(folder) as state:
        ended = _timed(lambda: state.end(report))
    kept = _size(folder) - held
    plain = len(json.dumps(report.encode(), indent=2))
    lines = [
        ("a tag that is remembered", f"{held / rows:.0f}", f"{written / rows * 1e6:.0f}", f"{read / rows * 1e6:.0f}"),
        ("a tag in a report that is kept", f"{kept / rows:.0f}", f"{ended / rows * 1e6:.0f}", ""),
        ("a tag in a report file", f"{plain / rows:.0f}", "", ""),
    ]
    return table((f"state of {rows} tags: each", "bytes", "µs to write", "µs to read"), lines)


def runs_table(scratch: Path, sizes: Sequence[int], environ: Mapping[str, str]) -> str:
    """A run that finds all as it was, and a plan, over so many tags."""
    rows = []
    for size in sizes:
        for what, usage in _runs(scratch / f"of-{size}", size, environ):
            each = f"{usage.cpu / size * 1e3:.2f}"
            rows.append(
                (f"{size} tags, {what}", seconds(usage.seconds), seconds(usage.cpu), each, megabytes(usage.peak))
            )
    return table(("run", "s", "CPU s", "CPU ms a tag", "peak MB"), rows)


def _runs(folder: Path, size: int, environ: Mapping[str, str]) -> Iterator[tuple[str, Usage]]:
    folder.mkdir()
    env = {**environment(environ, folder), "XDG_STATE_HOME": str(folder / "xdg")}
    repositories = [f"team/app-{number:04d}" for number in range(-(-size // TAGS_EACH))]
    image = images.image(images.layer({"etc/motd": b"hello\n"}))
    with _registry() as source, _registry() as target:
        for registry in (source, target):
            for name in repositories:
                registry.add(f"{name}:1.0", image)
                for number in range(1, TAGS_EACH):
                    registry.tag(f"{name}:1.{number}", image.digest)
        config = folder / "mirrors.yaml"
        entry = f"{{from: {source.host}/team/*, to: {target.host}/team/*}}"
        config.write_text(f"puller: 1\nmirrors:\n  - {entry}\n")
        puller = [sys.executable, "-m", "puller"]
        state = ["--state", str(folder / "state"), "--quiet"]
        for what, verb in (("nothing remembered", "sync"), ("nothing changed", "sync"), ("plan", "plan")):
            source.journal.clear()
            target.journal.clear()
            yield what, measured([*puller, verb, str(config), *state], env=env, cwd=ROOT)


def directory_table(scratch: Path, sizes: Sequence[int], environ: Mapping[str, str]) -> str:
    """One repository of so many small images into one `oci:` directory, then a run without changes."""
    rows = []
    for size in sizes:
        folder = scratch / f"in-one-{size}"
        folder.mkdir()
        env = {**environment(environ, folder), "XDG_STATE_HOME": str(folder / "xdg")}
        with _registry() as source:
            for number in range(size):
                source.add(f"app:{number}", images.image(images.layer({"number": str(number).encode()})))
            config = folder / "mirrors.yaml"
            config.write_text(f"puller: 1\nmirrors:\n  - {{from: {source.host}/app, to: 'oci:{folder}/out'}}\n")
            command = [sys.executable, "-m", "puller", "sync", str(config), "--state", str(folder / "state"), "--quiet"]
            first, again = (measured(command, env=env, cwd=ROOT) for _ in range(2))
        index = (folder / "out" / "index.json").stat().st_size
        times = (first.seconds, first.cpu, first.cpu / size * 1e3, again.seconds, again.cpu)
        cells = (*map(seconds, times), megabytes(first.peak), f"{index / size:.0f}")
        rows.append((f"{size} tags in one directory", *cells))
    heads = ("first s", "CPU s", "CPU ms each", "no change s", "CPU s", "peak MB", "bytes of index.json each")
    return table(("small images", *heads), rows)


@contextmanager
def _registry() -> Iterator[TestRegistry]:
    """A registry in a thread of its own, which may be filled from this one."""
    opened: list[tuple[TestRegistry, asyncio.AbstractEventLoop, asyncio.Event]] = []
    up = threading.Event()

    async def run() -> None:
        stop = asyncio.Event()
        async with serve() as registry:
            opened.append((registry, asyncio.get_running_loop(), stop))
            up.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    up.wait()
    registry, loop, stop = opened[0]
    try:
        yield registry
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _known(number: int) -> Known:
    repository, tag = divmod(number, TAGS_EACH)
    digest = str(Digest.of(str(number).encode()))
    source, target = f"docker.io/library/application-{repository:05d}", f"mirror.example:5000/app/{repository:05d}"
    name = f"1.{tag}.0-bookworm"
    return Known(target, name, source, name, digest, OCI_INDEX, 8_123, digest, manner_text(Manner()), time.time())


def _item(known: Known) -> Item:
    same = Item(known.source, known.tag, known.target, known.name, "unchanged", "as it was brought", line=3)
    return replace(same, digest=known.digest, there=known.root)


def _timed(work: object) -> float:
    started = time.perf_counter()
    assert callable(work)
    work()
    return time.perf_counter() - started


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


if __name__ == "__main__":
    sys.exit(main())
