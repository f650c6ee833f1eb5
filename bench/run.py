"""The benchmark: `python -m bench.run` measures puller and its peers on real images and prints tables."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.build import build, describe
from bench.cache import Cache, default_root
from bench.fetching import COPIES, copy, full, memory, start
from bench.floor import CORES
from bench.ground import Ground, environment
from bench.layout import Image
from bench.legacy import legacy
from bench.machine import machine
from bench.measure import RunFailed
from bench.pulling import pull
from bench.ranges import ranges
from bench.registry import RegistryFailed, serve
from bench.tool import MissingTool, ToolFailed
from bench.unpacking import unpack

PARTS: Mapping[str, Callable[[Ground], str]] = {
    "copy": copy,
    "full": full,
    "start": start,
    "memory": memory,
    "unpack": unpack,
    "docker": pull,
    "legacy": legacy,
    "ranges": ranges,
}


def main() -> int:
    """Build what is missing, measure, print; 1 with a reason where a tool is missing or a program fails."""
    arguments = _parser().parse_args()
    # Aims are stated for two cores, and everything measured here inherits this.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    cache = Cache(arguments.dir)
    try:
        images = build(cache, "full")
        _print_head(images, arguments.markdown)
        env = environment(os.environ, cache.scratch)
        with serve(cache.registry, cache.root / "run") as registry:
            ground = Ground(images, registry, arguments.rounds, cache.scratch, env)
            for part in arguments.only or PARTS:
                print(f"\n{PARTS[part](ground)}", flush=True)
    except (MissingTool, ToolFailed, RunFailed, RegistryFailed) as failure:
        print(f"bench.run: {failure}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured runs of each program (default: %(default)s)")
    parser.add_argument("--only", choices=tuple(PARTS), action="append", help="this part alone; may be repeated")
    parser.add_argument("--markdown", action="store_true", help="a section ready for docs/benchmarks.md")
    parser.add_argument("--dir", type=Path, default=default_root(os.environ), help="the cache (default: %(default)s)")
    return parser


def _print_head(images: Mapping[str, Image], markdown: bool) -> None:
    lines = [*machine(), *(describe(images[name]) for name in ("small", *COPIES))]
    if markdown:
        command = " ".join(["python", "-m", "bench.run", *(word for word in sys.argv[1:] if word != "--markdown")])
        lines = [f"## {time.strftime('%Y-%m-%d')}: `{command}`", "", "```", *lines, "```"]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
