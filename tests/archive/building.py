"""Archives of images for tests, made by `tarfile`: of whatever is said, hostile things too."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from testregistry import images
from testregistry.images import Directory, Hardlink, Image, Index, Symlink

Part: TypeAlias = tuple[str, bytes | Directory | Symlink | Hardlink | tarfile.TarInfo]

A, B, C, D = ("abcd"[place] * 64 for place in range(4))
BASE = images.tar({"etc/motd": b"hello\n" * 100})
TOP = images.tar({"srv/app": b"app\n", "etc/motd": b"changed\n"})
OTHER = images.tar({"other": b"other\n"})


def packed(parts: Iterable[Part]) -> bytes:
    """A tar archive of these members, in this order, one name as often as it comes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in parts:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            match content:
                case bytes():
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
                    continue
                case Directory():
                    info.type = tarfile.DIRTYPE
                case Symlink():
                    info.type, info.linkname = tarfile.SYMTYPE, content.target
                case Hardlink():
                    info.type, info.linkname = tarfile.LNKTYPE, content.target
            archive.addfile(info)
    return out.getvalue()


def of_type(kind: bytes) -> tarfile.TarInfo:
    """A member of another type: a device, a pipe."""
    info = tarfile.TarInfo()
    info.type = kind
    return info


def document(value: Any) -> bytes:
    """A JSON document."""
    return json.dumps(value, separators=(",", ":")).encode()


def record(image_id: str, parent: str = "", **more: object) -> bytes:
    """The `json` of an image."""
    said = {"id": image_id, "created": "2015-01-02T03:04:05Z", "docker_version": "1.5.0", **more}
    return document(said | ({"parent": parent} if parent else {}))


def folder(image_id: str, parent: str = "", layer: bytes = BASE, **more: object) -> list[Part]:
    """One image of the old format."""
    return [
        (f"{image_id}/", Directory()),
        (f"{image_id}/VERSION", b"1.0"),
        (f"{image_id}/json", record(image_id, parent, **more)),
        (f"{image_id}/layer.tar", layer),
    ]


def repositories(names: Mapping[str, Mapping[str, object]]) -> Part:
    """What images are called in the old format."""
    return "repositories", document(names)


def hex_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def config(layers: Sequence[bytes], **more: object) -> bytes:
    """A config of today; `layers` as they unpack."""
    return document(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hex_of(layer)}" for layer in layers]},
            **more,
        }
    )


def docker(layers: Sequence[bytes], names: Sequence[str] | None = ("app:1",), **more: object) -> list[Part]:
    """An archive of one image of today, without blobs. `layers` are not packed; `more` goes into its config."""
    raw = config(layers, **more)
    parts: list[Part] = [(f"{hex_of(raw)}.json", raw)]
    parts += {f"{hex_of(layer)}/layer.tar": layer for layer in layers}.items()
    entry = {
        "Config": f"{hex_of(raw)}.json",
        "RepoTags": names,
        "Layers": [f"{hex_of(layer)}/layer.tar" for layer in layers],
    }
    return [*parts, ("manifest.json", document([entry]))]


def entries_of(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """What the manifest.json of an archive lists."""
    raw = dict(parts)["manifest.json"]
    assert isinstance(raw, bytes)
    found: list[dict[str, Any]] = json.loads(raw)
    return found


def layout(*roots: tuple[Image | Index, str], leave_out: Iterable[str] = ()) -> list[Part]:
    """An OCI image layout of these images, each under a name (empty: none)."""
    blobs = {content.digest: b"".join(content.body.chunks()) for root, _ in roots for content in root.content()}
    parts: list[Part] = [
        (f"blobs/{digest.replace(':', '/')}", raw) for digest, raw in blobs.items() if digest not in leave_out
    ]
    entries = [
        images.descriptor(root, annotations={"org.opencontainers.image.ref.name": name} if name else {})
        for root, name in roots
    ]
    return [
        *parts,
        ("index.json", document({"schemaVersion": 2, "manifests": entries})),
        ("oci-layout", document({"imageLayoutVersion": "1.0.0"})),
    ]


def replaced(parts: list[Part], name: str, content: Any) -> list[Part]:
    """The archive with other content under one name."""
    assert any(known == name for known, _ in parts)
    return [(known, content if known == name else old) for known, old in parts]


def without(parts: list[Part], name: str) -> list[Part]:
    """The archive without one member."""
    assert any(known == name for known, _ in parts)
    return [(known, old) for known, old in parts if known != name]
