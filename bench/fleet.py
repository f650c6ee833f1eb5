"""A fleet of repositories as a mirror meets them: twenty, with ten tags each, of real files, with layers in common.

Built once into a docker-registry's data directory of its own, from the layers of the other parts of the benchmark.
"""

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.cache import Cache, building, locked
from bench.layout import CONFIG, CREATED, INDEX, MANIFEST, Image, Platform
from bench.placing import Placing
from bench.recipe import ARM64, ARMV7
from bench.registry import Registry, serve

REPOSITORIES: Final = 20
TAGS: Final = 10
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
# Changes when what is built changes.
EDITION: Final = 1
AMD64: Final = Platform()


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob to push: where its bytes are, and of a layer what they inflate to."""

    digest: str
    size: int
    diff_id: str = ""
    path: Path | None = None
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What was built: the data directory, and what a mirror of all of it comes to.

    `stored`: bytes of all blobs, each once; `gross`: of all images, each by itself.
    """

    data: Path
    repositories: tuple[str, ...]
    tags: int
    blobs: int
    stored: int
    gross: int

    def describe(self) -> str:
        """One line for people."""
        sizes = f"{self.blobs} blobs, {self.stored / 1e6:.0f} MB; {self.gross / 1e9:.1f} GB if nothing were shared"
        return f"{len(self.repositories)} repositories, {self.tags} tags, {sizes}"


def fleet(cache: Cache, images: Mapping[str, Image]) -> Fleet:
    """The fleet, built at the first call; raises MissingTool or RegistryFailed."""
    place = cache.root / f"fleet-{_fingerprint(images)}"
    with locked(cache):
        if not place.exists():
            with building(place) as partial, tempfile.TemporaryDirectory(dir=cache.root) as scratch:
                _build(partial, Path(scratch), images)
        facts = json.loads((place / "fleet.json").read_text())
    return Fleet(place / "registry", **facts | {"repositories": tuple(facts["repositories"])})


def _fingerprint(images: Mapping[str, Image]) -> str:
    digests = [images[name].digest for name in ("small", "medium", "many", "index")]
    return hashlib.sha256(repr((EDITION, REPOSITORIES, TAGS, digests)).encode()).hexdigest()[:12]


def _build(place: Path, scratch: Path, images: Mapping[str, Image]) -> None:
    pushed: dict[str, int] = {}
    gross = 0
    names = []
    with serve(place / "registry", scratch / "log") as registry:
        apps = slices(_layers(images["medium"])[3], REPOSITORIES * TAGS, scratch)
        for number in range(REPOSITORIES):
            name = f"team/{_word(number)}-{number:02d}"
            names.append(name)
            with Placing(registry, name) as placing:
                for release in range(TAGS):
                    for blob in _release(placing, images, number, release, next(apps), f"1.{release}"):
                        pushed[blob.digest] = blob.size
                        gross += blob.size
    facts = {"repositories": names, "tags": REPOSITORIES * TAGS, "blobs": len(pushed)}
    sizes = {"stored": sum(pushed.values()), "gross": gross}
    (place / "fleet.json").write_text(json.dumps(facts | sizes))


def _word(number: int) -> str:
    """What kind of images the repository of that number holds."""
    kinds = [*["debian"] * 6, "science", "science", "web", "multi", *["tool"] * 10]
    return kinds[number]


def _release(
    placing: Placing, images: Mapping[str, Image], number: int, release: int, app: Blob, tag: str
) -> Sequence[Blob]:
    """Push one tag: what is below it, what it depends on (the same for five tags), and what is its own."""
    base, _, science, web, _ = _layers(images["medium"])
    parts = _layers(images["many"])[1:]
    own = [parts[(2 * number + release // 5) % len(parts)], app]
    below = {"debian": [base], "science": [base, science], "web": [base, web], "tool": []}
    if _word(number) != "multi":
        return push_image(placing, [*below[_word(number)], *own], tag)
    platforms = zip((AMD64, ARM64, ARMV7), _layers(images["index"]), strict=True)
    blobs: list[Blob] = []
    manifests = []
    for platform, layer in platforms:
        pushed = push_image(placing, [layer, *own], None, platform)
        manifest = {"mediaType": MANIFEST, "digest": pushed[-1].digest, "size": pushed[-1].size}
        manifests.append(manifest | {"platform": platform.fields()})
        blobs += pushed
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, indent=1).encode()
    placing.manifest(tag, raw, INDEX)
    return [*blobs, of_bytes(raw)]


def push_image(placing: Placing, layers: Sequence[Blob], tag: str | None, platform: Platform = AMD64) -> list[Blob]:
    """One image of these layers, under a tag or its digest; all its blobs, the manifest last."""
    config = of_bytes(json.dumps(_config(layers, platform), indent=1).encode())
    for blob in (*layers, config):
        placing.blob(blob.digest, blob.raw if blob.path is None else blob.path)
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config.digest, "size": config.size},
            "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
        },
        indent=1,
    ).encode()
    manifest = of_bytes(raw)
    placing.manifest(tag or manifest.digest, raw, MANIFEST)
    return [*layers, config, manifest]


@contextmanager
def moved(registry: Registry, repository: str, tag: str, word: str) -> Iterator[list[Blob]]:
    """For the length of the block a tag names its image with one layer more: what is new are layer, config, manifest.

    `word` makes the layer another one than that of any other move.
    """
    with tempfile.TemporaryDirectory() as scratch, Placing(registry, repository) as placing:
        before = placing.read(f"manifests/{tag}", MANIFEST)
        manifest = json.loads(before)
        config = json.loads(placing.read(f"blobs/{manifest['config']['digest']}"))
        below = zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True)
        known = [Blob(layer["digest"], layer["size"], diff_id) for layer, diff_id in below]
        layer = layer_of([("moved", word.encode())], Path(scratch))
        *_, new_config, new_manifest = push_image(placing, [*known, layer], tag)
        try:
            yield [layer, new_config, new_manifest]
        finally:
            placing.manifest(tag, before, MANIFEST)


def of_bytes(raw: bytes) -> Blob:
    """A blob in memory."""
    return Blob(f"sha256:{hashlib.sha256(raw).hexdigest()}", len(raw), raw=raw)


def slices(layer: Blob, count: int, scratch: Path) -> Iterator[Blob]:
    """A layer's files cut into `count` consecutive layers of about one size, gzip -6, in the folder `scratch`."""
    assert layer.path is not None
    with tarfile.open(layer.path) as archive:
        weights = [member.size + 512 for member in archive if member.isfile()]
    limit = sum(weights) / count
    with tarfile.open(layer.path, "r|gz") as archive:
        files: list[tuple[str, bytes]] = []
        seen, number = 0, 1
        for member in archive:
            if not member.isfile():
                continue
            content = archive.extractfile(member)
            assert content is not None
            files.append((member.name, content.read()))
            seen += member.size + 512
            if seen >= limit * number and number < count:
                yield layer_of(files, scratch)
                files, number = [], number + 1
        # One large file may be several slices' worth: what is missing is filled with what is named otherwise.
        for left in range(number, count + 1):
            yield layer_of([*files, (f"release-{left}", str(left).encode())], scratch)


def layer_of(files: Sequence[tuple[str, bytes]], scratch: Path) -> Blob:
    """One layer of these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    tar = packed.getvalue()
    raw = gzip.compress(tar, 6, mtime=0)
    blob = of_bytes(raw)
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / blob.digest[7:]
    path.write_bytes(raw)
    return Blob(blob.digest, blob.size, f"sha256:{hashlib.sha256(tar).hexdigest()}", path)


def _layers(image: Image) -> list[Blob]:
    return [Blob(layer.digest, layer.size, layer.diff_id, image.blob(layer.digest)) for layer in image.layers]


def _config(layers: Sequence[Blob], platform: Platform) -> Mapping[str, Any]:
    return platform.fields() | {
        "created": CREATED,
        "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": CREATED, "created_by": f"layer {n}"} for n, _ in enumerate(layers, 1)],
    }
