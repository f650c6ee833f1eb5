"""Who unpacks: for each program, the command that makes the tree of one image in an empty folder."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.contest import ROOT
from bench.contestant import Command, Contestant, Task
from bench.layout import TAG
from bench.tool import run

# `fully_trusted` would be nearer to what the others do, and is what nobody should use.
TARFILE = """
import sys, tarfile
for layer in sys.argv[2:]:
    with tarfile.open(layer) as archive:
        archive.extractall(sys.argv[1], numeric_owner=True, filter="tar")
"""

# All that an image may say of a file, as an unpacker of images must set it.
GNU_TAR = ["tar", "--preserve-permissions", "--numeric-owner", "--xattrs", "--xattrs-include=*"]


@dataclass(frozen=True, slots=True)
class Packed:
    """One image in each form that some unpacker starts from, all on one file system; layers in order."""

    reference: str
    store: Path
    layout: Path
    layers: tuple[Path, ...]
    tars: tuple[Path, ...]


def room(task: Task) -> int:
    """Bytes for all forms of it, and for the largest of the trees that are made from them."""
    tars = sum(layer.unpacked for layer in task.image.layers)
    # Three trees' worth beside the blobs: the tars, the tree, and blocks that files only begin to fill.
    return 2 * task.image.size + 3 * tars


def packed(task: Task, folder: Path, env: Mapping[str, str]) -> Packed:
    """Copy the image's layout, pull it into a store, inflate its layers: what no unpacker is timed for."""
    layout, store, tars = folder / "layout", folder / "pulled", folder / "tars"
    shutil.copytree(task.image.layout, layout)
    pull = [sys.executable, "-m", "puller", "pull", task.reference, "--store", str(store), "--no-unpack"]
    run([*pull, "--platform", "linux/amd64", "--plain-http", task.registry.host], cwd=ROOT, env=env)
    tars.mkdir()
    layers = tuple(layout / "blobs" / layer.digest.replace(":", "/") for layer in task.image.layers)
    inflated = tuple(tars / f"{number}.tar" for number, _ in enumerate(layers))
    for layer, tar in zip(layers, inflated, strict=True):
        run(["sh", "-c", 'igzip -dc "$0" > "$1"', str(layer), str(tar)])
    return Packed(task.reference, store, layout, layers, inflated)


def puller_unpack(image: Packed) -> Contestant:
    """This project's own, from blobs that were verified when they were pulled; diff IDs are checked again."""

    def command(folder: Path) -> Command:
        unpack = [sys.executable, "-m", "puller", "unpack", image.reference, str(folder), "--store", str(image.store)]
        return [*unpack, "--quiet"]

    return Contestant("puller unpack", command)


def gnu_tar(image: Packed) -> Contestant:
    """GNU tar with the fastest inflater there is; nothing is checked and nothing is kept in."""
    return _one_by_one("GNU tar -I igzip", [*GNU_TAR, "-I", "igzip"], image.layers)


def gnu_tar_plain(image: Packed) -> Contestant:
    """The same of tars that are not compressed: what the files alone cost."""
    return _one_by_one("GNU tar, of uncompressed tars", GNU_TAR, image.tars)


def bsdtar(image: Packed) -> Contestant:
    """libarchive's, with zlib inside."""
    return _one_by_one("bsdtar", ["bsdtar", "-p", "--numeric-owner"], image.layers)


def tarfile(image: Packed) -> Contestant:
    """Python's own; its filter drops setuid bits and the write bits of group and others."""

    def command(folder: Path) -> Command:
        return [sys.executable, "-I", "-c", TARFILE, str(folder), *map(str, image.layers)]

    return Contestant("Python tarfile (filter=tar)", command)


def umoci(image: Packed) -> Contestant:
    """With the bundle's metadata (mtree, config.json), for it cannot be had without; it checks digests and diff IDs."""

    def command(folder: Path) -> Command:
        return ["umoci", "unpack", "--image", f"{image.layout}:{TAG}", str(folder / "bundle")]

    return Contestant("umoci unpack", command)


def _one_by_one(name: str, extract: Command, archives: tuple[Path, ...]) -> Contestant:
    # The images of the benchmark have no whiteouts, so a program that knows none makes the right tree of them.
    def command(folder: Path) -> Command:
        steps = [[*extract, "-xf", str(archive), "-C", str(folder)] for archive in archives]
        return ["sh", "-c", " && ".join(map(shlex.join, steps))]

    return Contestant(name, command)
