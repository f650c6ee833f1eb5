"""What unpacking costs: one image from blobs that are here to a tree, against others, in memory."""

from collections.abc import Iterator, Sequence

from bench.contest import Result
from bench.ground import Ground, Unmeasurable
from bench.ram import ram_folder
from bench.section import FIGURES, figures, left_out, section
from bench.table import ratio
from bench.tool import MissingTool, require
from bench.unpacker import bsdtar, gnu_tar, gnu_tar_plain, packed, puller_unpack, room, tarfile, umoci

IMAGES = ("medium", "small")
# umoci's folders bundle and rootfs, config.json, umoci.json and an mtree.
BUNDLE = 5
TITLE = "Unpack, in memory (tmpfs)"
AIM = (
    "Aim: puller ≤ 1.0 × GNU tar -I igzip, ≤ 0.35 × umoci. Only puller and umoci check what they unpack; umoci also"
    " writes a bundle."
)


def unpack(ground: Ground) -> str:
    """From a store, a layout or files, each on tmpfs, to a tree beside them."""
    try:
        require("igzip", "bsdtar", "umoci")
        rows = [row for image in IMAGES for row in _rows(ground, image)]
    except (MissingTool, Unmeasurable) as reason:
        return left_out(TITLE, reason, AIM)
    return section(TITLE, ("image, program", *FIGURES, "to tar", "to umoci"), rows, AIM)


def _rows(ground: Ground, image: str) -> Iterator[Sequence[str]]:
    results = _contest(ground, image)
    _, theirs, tar, *_ = results
    prove_same_work(results, tar)
    for result in results:
        ratios = ratio(result.seconds, tar.seconds), ratio(result.seconds, theirs.seconds)
        yield (f"{image}, {result.name}", *figures(result), *ratios)


def prove_same_work(results: Sequence[Result], measure: Result) -> None:
    """Raise Unmeasurable unless everyone left as many files as `measure`, or a bundle's metadata more."""
    for result in results:
        if not measure.left <= result.left <= measure.left + BUNDLE:
            raise Unmeasurable(f"{result.name} left {result.left} files where {measure.name} left {measure.left}")


def _contest(ground: Ground, image: str) -> list[Result]:
    task = ground.task(image)
    with ram_folder(room(task)) as folder:
        ready = packed(task, folder, ground.env)
        there = ground.at(folder)
        contestants = [who(ready) for who in (puller_unpack, umoci, gnu_tar, gnu_tar_plain, bsdtar, tarfile)]
        return there.contest(*contestants)
