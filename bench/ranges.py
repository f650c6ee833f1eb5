"""One large layer over several connections: against one stream and skopeo, over a fast line, and killed in between.

By itself, without the images of the other parts: `python -m bench.ranges [--rounds N]`.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cache import Cache, default_root, remove
from bench.contest import ROOT, Result, contest
from bench.contestant import Command, Contestant
from bench.ground import Ground, Unmeasurable, environment
from bench.machine import machine
from bench.paced import Paced, paced
from bench.ram import ram_folder
from bench.section import FIGURES, figures, left_out
from bench.table import ratio, table
from bench.tool import MissingTool, require

SIZE = 4_000 << 20
RATE = 50e6  # bytes a second for each connection
FAST = 2_000 << 20
KILLED_AT = 0.75
TITLE = "One large layer"
AIM = (
    f"Aim, at {RATE / 1e6:.0f} MB/s a connection: ranges ≥ 3 × one stream, and kept by a kill ≥ 95 %; over a fast"
    " loopback: ranges ≤ 1.05 × one stream, by medians."
)


@dataclass(frozen=True, slots=True)
class Kill:
    """Bytes of the layer that the server had sent when a pull was killed, and that were on the disk then."""

    sent: int
    kept: int


def ranges(ground: Ground) -> str:
    """All of it, into stores in memory."""
    return ranges_in(ground.env, rounds=ground.rounds)


def ranges_in(env: Mapping[str, str], *, rounds: int, size: int = SIZE, fast: int = FAST) -> str:
    """The tables: one round over the slow line, which keeps its pace, and `rounds` over the fast one."""
    try:
        with ram_folder(2 * size) as folder:
            parts = [_slow(folder, env, size), *_fast(folder, env, fast, rounds), _killed(folder, env, size)]
    except (MissingTool, Unmeasurable) as reason:
        return left_out(TITLE, reason, AIM)
    return "\n\n".join([f"### {TITLE}", *parts, f"{AIM} Load of the machine (1, 5, 15 min): {_load()}."])


def _slow(folder: Path, env: Mapping[str, str], size: int) -> str:
    with paced(size, RATE) as server:
        contestants = (
            _stream(server, "DIGEST_ONLY"),
            _ranges(server, "DIGEST_ONLY"),
            _command_line(server),
            _skopeo(server),
        )
        results = contest(contestants, rounds=1, scratch=folder, env=env, warm_up=False)
    return _table(f"{size / 1e9:.1f} GB, {RATE / 1e6:.0f} MB/s a connection", results, size)


def _fast(folder: Path, env: Mapping[str, str], size: int, rounds: int) -> Iterator[str]:
    with paced(size) as server:
        for depth in ("DIGEST_ONLY", "FULL"):
            both = _stream(server, depth), _ranges(server, depth)
            yield _table(f"{size / 1e9:.1f} GB, loopback", contest(both, rounds=rounds, scratch=folder, env=env), size)


def _table(title: str, results: Sequence[Result], size: int) -> str:
    first, *_ = results
    rows = [
        (result.name, *figures(result), f"{size / result.seconds / 1e6:.0f}", ratio(result.seconds, first.seconds))
        for result in results
    ]
    return table((title, *FIGURES, "MB/s", "to one stream"), rows)


def _killed(folder: Path, env: Mapping[str, str], size: int) -> str:
    kill = kill_at(folder, env, size)
    cells = (f"{kill.sent / 1e6:.0f}", f"{kill.kept / 1e6:.0f}", f"{100 * kill.kept / kill.sent:.1f} %")
    return table(
        (f"kill -9 at {KILLED_AT:.0%} of {size / 1e9:.1f} GB", "MB sent", "MB kept", "kept"), [("puller", *cells)]
    )


def kill_at(folder: Path, env: Mapping[str, str], size: int, *, part: float = KILLED_AT, rate: float = RATE) -> Kill:
    """Pull over the slow line and kill the pull once so much of the layer is on the disk."""
    store = folder / "killed"
    with paced(size, rate) as server:
        command = _command_line(server).command(store)
        with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL) as process:
            while _held(store) < part * size and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        kill = Kill(server.sent(), _held(store))
    remove(store)
    if process.returncode != -signal.SIGKILL:
        raise Unmeasurable(f"the pull ended by itself with status {process.returncode}")
    return kill


def _held(store: Path) -> int:
    return sum(path.stat().st_size for path in (store / "ingest").glob("*/data"))


def _stream(server: Paced, depth: str) -> Contestant:
    return _by_library(server, "stream", depth, "one stream")


def _ranges(server: Paced, depth: str) -> Contestant:
    return _by_library(server, "ranges", depth, "ranges")


def _by_library(server: Paced, way: str, depth: str, name: str) -> Contestant:
    def command(store: Path) -> Command:
        return [sys.executable, "-m", "bench.onepull", server.name, str(store), way, depth]

    return Contestant(f"{name}, {depth.lower().replace('_', ' ')}", command)


def _command_line(server: Paced) -> Contestant:
    options = ["--quiet", "--plain-http", server.host, "--all-platforms", "--no-unpack", "--digest-only"]

    def command(store: Path) -> Command:
        return [sys.executable, "-m", "puller", "pull", server.name, "--store", str(store), *options]

    return Contestant("puller --no-unpack --digest-only", command)


def _skopeo(server: Paced) -> Contestant:
    require("skopeo")

    def command(store: Path) -> Command:
        copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]
        return [*copy, f"docker://{server.name}", f"oci:{store}:huge"]

    return Contestant("skopeo", command)


def _load() -> str:
    return ", ".join(f"{load:.1f}" for load in os.getloadavg())


def main() -> None:
    """The tables alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.ranges", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured runs over the fast line (default: %(default)s)")
    arguments = parser.parse_args()
    print("\n".join(machine()), flush=True)
    print(f"\n{ranges_in(environment(os.environ, Cache(default_root(os.environ)).scratch), rounds=arguments.rounds)}")


if __name__ == "__main__":
    main()
