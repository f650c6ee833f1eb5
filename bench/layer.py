"""One layer: a tree, or one part of it, as a deterministic tar, compressed, with the facts a manifest needs."""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from bench.cache import Cache, building
from bench.tool import ToolFailed, require
from bench.tree import Tree, fingerprint, grown, paths

# Files younger than this (what pip and npm write) take this time; older times are kept as the packages carry them.
NEWEST = 1_735_689_600
CHUNK = 1 << 20

# gzip -6 is ordinary single-stream deflate at the level docker uses; zstd -3 is what buildkit uses.
COMPRESSORS = {"gzip": ["gzip", "-6", "-n", "-c"], "zstd": ["zstd", "-3", "-q", "-c"]}
MEDIA_TYPES = {name: f"application/vnd.oci.image.layer.v1.tar+{name}" for name in COMPRESSORS}


@dataclass(frozen=True, slots=True)
class LayerRecipe:
    """Which files, which part of them (number and count; sizes fall like 1/number), compressed how."""

    tree: Tree
    compression: str = "gzip"
    part: int = 0
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that exists. Digests are `sha256:…` strings, sizes bytes, `entries` the members of the tar."""

    digest: str
    size: int
    diff_id: str
    unpacked: int
    entries: int
    media_type: str


def layer_path(cache: Cache, recipe: LayerRecipe) -> Path:
    """Where the compressed layer lies, built or not; its facts lie beside it with `.json` added."""
    return cache.layers / f"{recipe.tree.name}-{recipe.part}of{recipe.parts}-{fingerprint(recipe)}.{recipe.compression}"


def packed(cache: Cache, recipe: LayerRecipe) -> Layer:
    """The layer of that recipe, built at the first call; raises MissingTool or ToolFailed."""
    path = layer_path(cache, recipe)
    facts = path.with_name(path.name + ".json")
    if path.exists() and facts.exists():
        return Layer(**json.loads(facts.read_text()))
    root = grown(cache, recipe.tree)
    with building(path) as partial:
        layer = _pack(root, _members(root, recipe), recipe.compression, partial)
    with building(facts) as partial:
        partial.write_text(json.dumps(asdict(layer), indent=1))
    return layer


def _members(root: Path, recipe: LayerRecipe) -> list[Path]:
    everything = list(paths(root))
    if recipe.parts == 1:
        return everything
    mine = split([(path, _weight(root / path)) for path in everything], recipe.parts)[recipe.part]
    # Each part carries the folders above its files, so that it unpacks alone with the right modes.
    return sorted({above for path in mine for above in (path, *path.parents)})


def _weight(path: Path) -> int:
    status = path.lstat()
    return 512 + (status.st_size if path.is_file() and not path.is_symlink() else 0)


def split(weighted: Sequence[tuple[Path, int]], parts: int) -> list[list[Path]]:
    """Cut a list into consecutive parts whose weights fall like 1/1, 1/2, 1/3 …: no part is empty.

    Real images look so: a big base, some middling layers, many small ones.
    """
    shares = [1 / (number + 1) for number in range(parts)]
    total = sum(weight for _, weight in weighted)
    result: list[list[Path]] = [[] for _ in shares]
    number, seen, limit = 0, 0, total * shares[0] / sum(shares)
    for position, (path, weight) in enumerate(weighted):
        enough = seen >= limit or len(weighted) - position <= parts - 1 - number
        if enough and result[number] and number < parts - 1:
            number += 1
            limit += total * shares[number] / sum(shares)
        result[number].append(path)
        seen += weight
    return result


def _pack(root: Path, members: Sequence[Path], compression: str, target: Path) -> Layer:
    compressor = COMPRESSORS[compression]
    require("tar", compressor[0])
    listing = target.with_name(target.name + ".members")
    listing.write_bytes(b"".join(bytes(path) + b"\0" for path in members))
    # pax only where a name or size needs it, as docker writes; names of pax headers must not hold a process id.
    tar = ["tar", "--create", "--format=posix", "--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f"]
    tar += ["--numeric-owner", f"--mtime=@{NEWEST}", "--clamp-mtime", "--no-recursion", "--directory", str(root)]
    tar += ["--null", "--files-from", str(listing)]
    with target.open("wb") as out, subprocess.Popen(tar, stdout=subprocess.PIPE) as archiver:
        with subprocess.Popen(compressor, stdin=subprocess.PIPE, stdout=out) as packer:
            assert archiver.stdout is not None
            assert packer.stdin is not None
            diff_id, unpacked = _hash(archiver.stdout, packer.stdin)
    listing.unlink()
    for command, process in ((tar, archiver), (compressor, packer)):
        if process.returncode != 0:
            raise ToolFailed(command, process.returncode, "see the lines above")
    with target.open("rb") as blob:
        digest, size = _hash(blob, None)
    return Layer(digest, size, diff_id, unpacked, len(members), MEDIA_TYPES[compression])


def _hash(source: IO[bytes], copy: IO[bytes] | None) -> tuple[str, int]:
    """Digest and length of what `source` gives, passed on to `copy`, which is closed so that its reader ends."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if copy is not None:
            copy.write(chunk)
    if copy is not None:
        copy.close()
    return f"sha256:{digest.hexdigest()}", size
