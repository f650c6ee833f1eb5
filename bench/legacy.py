"""What the old world costs: tarsums beside the plain hash of the same bytes, and the IDs of a manifest."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.contest import Result
from bench.contestant import Contestant
from bench.ground import Ground, Unmeasurable
from bench.idchain import LAYERS, timed
from bench.ram import ram_folder
from bench.section import FIGURES, figures, left_out, section
from bench.table import ratio
from bench.tool import MissingTool, require, run

TARSUM = "Tarsum (page cache)"
TARSUM_AIM = "Aim: all layers ≤ 1.3 × openssl. Each row is one run of each program, starting it included."
CHAIN_AIM = f"Aim: < 20 ms for {LAYERS} layers: parsed, signature verified, folded, chained; best of 50 in one process."
VERSIONS = ("1.9.0", "1.7.1")  # hashed as they were written, and as the struct of 1.8.3 prints them


def legacy(ground: Ground) -> str:
    """Both tables."""
    return f"{tarsum(ground)}\n\n{chain(ground)}"


def tarsum(ground: Ground) -> str:
    """The layers of `medium`, uncompressed and in memory: all in one run, then each alone."""
    try:
        require("openssl", "igzip")
        rows = list(_rows(ground))
    except (MissingTool, Unmeasurable) as reason:
        return left_out(TARSUM, reason, TARSUM_AIM)
    return section(TARSUM, ("layers, program", *FIGURES, "to openssl"), rows, TARSUM_AIM)


def _rows(ground: Ground) -> Iterator[Sequence[str]]:
    layers = ground.images["medium"].layers
    with ram_folder(sum(layer.unpacked for layer in layers)) as folder:
        tars = [folder / f"{number}.tar" for number, _ in enumerate(layers)]
        for layer, tar in zip(layers, tars, strict=True):
            blob = ground.images["medium"].blob(layer.digest)
            run(["sh", "-c", 'igzip -dc "$0" > "$1"', str(blob), str(tar)])
        nothing = folder / "nothing"
        nothing.touch()
        yield from _pair("none: starting", ground.contest(*contestants([nothing])))
        yield from _pair("all five", ground.contest(*contestants(tars)))
        for layer, tar in zip(layers, tars, strict=True):
            name = f"{layer.unpacked / 1e6:.0f} MB, {layer.entries} entries"
            yield from _pair(name, ground.contest(*contestants([tar])))


def _pair(name: str, results: Sequence[Result]) -> Iterator[Sequence[str]]:
    *_, theirs = results
    for result in results:
        yield (f"{name}, {result.name}", *figures(result), ratio(result.seconds, theirs.seconds))


def contestants(tars: Sequence[Path]) -> tuple[Contestant, ...]:
    """This project's sums of these archives, and openssl's."""
    files = [str(tar) for tar in tars]
    ours = Contestant("puller tarsum", lambda _: [sys.executable, "-m", "puller", "tarsum", *files])
    return ours, Contestant("openssl dgst -sha256", lambda _: ["openssl", "dgst", "-sha256", *files])


def chain(ground: Ground) -> str:
    """The IDs of a signed manifest of as many layers as there could be."""
    rows = []
    for version in VERSIONS:
        times = timed(version, ground.env)
        name = f"Docker {version}, {times.size / 1e3:.0f} kB"
        rows.append((name, *(f"{value * 1e3:.1f}" for value in (times.first, times.median, times.best))))
    return section("ID chain", ("images made by", "first ms", "median ms", "best ms"), rows, CHAIN_AIM)
