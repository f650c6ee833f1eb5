"""Directories as a Docker 1.9 left them, made by hand: the graph, the names, and the trees of each storage driver.

Of what is tested nothing is used here: archives are read by the standard library, trees are copied by cp.
"""

import base64
import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

DRIVERS: Final = ("vfs", "overlay", "aufs")
_OPAQUE: Final = ".wh..wh..opq"
_NO_NAMES: Final[Mapping[str, Mapping[str, str]]] = {}


class OldImage(NamedTuple):
    """One image: `config` is its file `json`, `layer` an uncompressed archive, `parent_file` what overrides the parent
    that the config names. None: no such file."""

    image_id: str
    parent: str | None
    config: bytes
    layer: bytes | None
    checksum: str | None = None
    v1_compatibility: bytes | None = None
    parent_file: str | None = None


def old_root(
    base: Path, driver: str, images: Iterable[OldImage], names: Mapping[str, Mapping[str, str]] = _NO_NAMES
) -> Path:
    """Make `base` the directory of a Docker with this driver and these images, parents first; `names` are repository to
    tag to ID. Only root can give the files the owners that layers name."""
    for folder in (base, base / "graph", base / "graph/_tmp", base / driver):
        folder.mkdir(0o700, parents=True, exist_ok=True)
    known: dict[str, OldImage] = {}
    for image in images:
        known[image.image_id] = image
        _describe(base / "graph" / image.image_id, image)
        _TREES[driver](base / driver, image, known)
    _write(base / f"repositories-{driver}", json.dumps({"Repositories": names}, sort_keys=True).encode())
    return base


def legacy_config(image_id: str, parent: str | None, **more: object) -> bytes:
    """A file `json` as images of the first registry had it."""
    members: dict[str, object] = {"id": image_id}
    if parent is not None:
        members["parent"] = parent
    members |= {"created": "2015-10-12T00:00:00Z", "docker_version": "1.8.2", "architecture": "amd64", "os": "linux"}
    return json.dumps(members | more, separators=(",", ":")).encode()


def tar_data(layer: bytes) -> bytes:
    """What Docker wrote of a layer, by tar-split; for archives without anything odd."""
    lines: list[dict[str, object]] = []
    at = 0

    def segment(until: int) -> None:
        lines.append({"type": 2, "payload": base64.b64encode(layer[at:until]).decode()})

    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        for info in archive:
            segment(info.offset_data)
            name = info.name + ("/" if info.isdir() else "")
            body = layer[info.offset_data : info.offset_data + info.size] if info.isreg() else b""
            checksum = base64.b64encode(crc64(body).to_bytes(8, "big")).decode() if body else None
            lines.append({"type": 1, "name": name} | ({"size": len(body)} if body else {}) | {"payload": checksum})
            at = info.offset_data + len(body)
    end = min(-(-at // 512) * 512 + 1024, len(layer))
    if end > at:
        segment(end)
    at = end
    segment(len(layer))
    texts = [json.dumps(line | {"position": n}, separators=(",", ":")) for n, line in enumerate(lines)]
    return gzip.compress("".join(f"{text}\n" for text in texts).encode(), mtime=0)


def crc64(content: bytes) -> int:
    """CRC-64 as ISO 3309 has it."""
    value = 2**64 - 1
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xD800000000000000 if value & 1 else 0)
    return value ^ (2**64 - 1)


def _describe(folder: Path, image: OldImage) -> None:
    folder.mkdir(0o700)
    size = 0
    if image.layer is not None:
        with tarfile.open(fileobj=io.BytesIO(image.layer)) as archive:
            size = sum(info.size for info in archive)
        _write(folder / "tar-data.json.gz", tar_data(image.layer))
    _write(folder / "json", image.config)
    _write(folder / "layersize", b"%d" % size)
    texts: dict[str, str | None] = {"checksum": image.checksum, "parent": image.parent_file}
    for name, text in texts.items():
        if text is not None:
            _write(folder / name, text.encode())
    if image.v1_compatibility is not None:
        _write(folder / "v1Compatibility", image.v1_compatibility)


def _write(path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)


def _vfs(home: Path, image: OldImage, known: Mapping[str, OldImage]) -> None:
    tree = home / "dir" / image.image_id
    tree.parent.mkdir(0o700, exist_ok=True)
    if image.parent is None:
        tree.mkdir(0o755)
    else:
        _copy("-a", home / "dir" / image.parent, tree)
    if image.layer is not None:
        apply_layer(tree, image.layer)


def _overlay(home: Path, image: OldImage, known: Mapping[str, OldImage]) -> None:
    folder = home / image.image_id
    folder.mkdir(0o700)
    below = None if image.parent is None else home / image.parent
    if below is None:
        (folder / "root").mkdir(0o755)
    elif image.layer is None:
        for name in ("upper", "work", "merged"):
            (folder / name).mkdir(0o755)
        assert image.parent is not None
        _write(folder / "lower-id", image.parent.encode())
    else:
        _copy("-al", below / "root", folder / "root")
    if image.layer is not None:
        apply_layer(folder / "root", image.layer)


def _aufs(home: Path, image: OldImage, known: Mapping[str, OldImage]) -> None:
    for name in ("diff", "layers", "mnt"):
        (home / name).mkdir(0o700, exist_ok=True)
    tree = home / "diff" / image.image_id
    tree.mkdir(0o755)
    for name in (".wh..wh.orph", ".wh..wh.plnk"):
        (tree / name).mkdir(0o700)
    _write(tree / ".wh..wh.aufs", b"")
    if image.layer is not None:
        _extract(tree, image.layer)
    above: list[str] = []
    parent = image.parent
    while parent is not None:
        above.append(parent)
        parent = known[parent].parent
    _write(home / "layers" / image.image_id, "".join(f"{name}\n" for name in above).encode())


_TREES: Final = {"vfs": _vfs, "overlay": _overlay, "aufs": _aufs}


def apply_layer(tree: Path, layer: bytes) -> None:
    """Unpack a layer onto a tree as the specification says, its whiteouts first."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        for info in archive:
            path = tree / info.name
            if path.name == _OPAQUE:
                for below in path.parent.iterdir() if path.parent.is_dir() else ():
                    _remove(below)
            elif path.name.startswith(".wh."):
                _remove(path.with_name(path.name.removeprefix(".wh.")))
    _extract(tree, layer, marks=False)


def _extract(tree: Path, layer: bytes, *, marks: bool = True) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        infos = [info for info in archive if marks or not Path(info.name).name.startswith(".wh.")]
        for info in infos:
            path = tree / info.name
            if path != tree and os.path.lexists(path) and not (info.isdir() and path.is_dir()):
                _remove(path)
            archive.extract(info, tree, numeric_owner=True, filter="fully_trusted")
        for info in reversed(infos):
            if info.isdir():
                os.utime(tree / info.name, (info.mtime, info.mtime))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _copy(how: str, source: Path, target: Path) -> None:
    subprocess.run(["cp", how, str(source), str(target)], check=True)


def line_of(*layers: bytes | None) -> list[OldImage]:
    """Images one upon the other with these layers, base first; their IDs are one digit 64 times, `1`, `2` …"""
    found: list[OldImage] = []
    for number, layer in enumerate(layers, 1):
        image_id = f"{number:x}" * 64
        parent = found[-1].image_id if found else None
        found.append(OldImage(image_id, parent, legacy_config(image_id, parent), layer))
    return found
