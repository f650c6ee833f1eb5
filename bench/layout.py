"""An OCI image layout on disk, written from built layers (OCI image-spec: image-layout, manifest, config, index)."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cache import Cache, building, remove
from bench.layer import Layer, LayerRecipe, layer_path, packed

CREATED = "2025-01-01T00:00:00Z"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
TAG = "1"


@dataclass(frozen=True, slots=True)
class Platform:
    """What a config and an index say of a manifest; `variant` is empty where there is none."""

    architecture: str = "amd64"
    variant: str = ""

    def fields(self) -> dict[str, str]:
        """The JSON members, `variant` only if there is one."""
        fields = {"architecture": self.architecture, "os": "linux", "variant": self.variant}
        return {key: value for key, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """One platform's image."""

    layers: tuple[LayerRecipe, ...]
    platform: Platform = Platform()


@dataclass(frozen=True, slots=True)
class Recipe:
    """One name to push: a plain image, or an index where there is more than one platform."""

    name: str
    images: tuple[ImageRecipe, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """What was built: the root digest, its layout, and the layers of all platforms in order."""

    name: str
    digest: str
    layout: Path
    layers: tuple[Layer, ...]

    @property
    def size(self) -> int:
        """Compressed bytes of all layers."""
        return sum(layer.size for layer in self.layers)

    def blob(self, digest: str) -> Path:
        """The file of one blob in the layout."""
        return self.layout / "blobs" / digest.replace(":", "/")


def laid_out(cache: Cache, set_name: str, recipe: Recipe) -> Image:
    """Write the layout afresh (layers are hard links, so it costs nothing) and say what is in it."""
    path = cache.layouts / set_name / recipe.name
    layers: list[Layer] = []
    remove(path)
    with building(path) as partial:
        blobs = partial / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        manifests = []
        for image in recipe.images:
            manifest, built = _write_image(cache, blobs, image)
            manifests.append(manifest | {"platform": image.platform.fields()})
            layers += built
        root = manifests[0] if len(manifests) == 1 else _write(blobs, INDEX, _document(INDEX, manifests=manifests))
        named = root | {"annotations": {"org.opencontainers.image.ref.name": TAG}}
        (partial / "index.json").write_text(json.dumps(_document(INDEX, manifests=[named])))
        (partial / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return Image(recipe.name, str(root["digest"]), path, tuple(layers))


def _write_image(cache: Cache, blobs: Path, image: ImageRecipe) -> tuple[dict[str, Any], list[Layer]]:
    layers = [packed(cache, recipe) for recipe in image.layers]
    for recipe, layer in zip(image.layers, layers, strict=True):
        blob = blobs / layer.digest.removeprefix("sha256:")
        if not blob.exists():
            os.link(layer_path(cache, recipe), blob)
    config = _write(blobs, CONFIG, _config(image.platform, layers))
    descriptors = [{"mediaType": lay.media_type, "digest": lay.digest, "size": lay.size} for lay in layers]
    return _write(blobs, MANIFEST, _document(MANIFEST, config=config, layers=descriptors)), layers


def _config(platform: Platform, layers: Sequence[Layer]) -> Mapping[str, object]:
    return platform.fields() | {
        "created": CREATED,
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": CREATED, "created_by": f"layer {n}"} for n, _ in enumerate(layers, 1)],
    }


def _document(media_type: str, **members: object) -> Mapping[str, object]:
    return {"schemaVersion": 2, "mediaType": media_type, **members}


def _write(blobs: Path, media_type: str, document: Mapping[str, object]) -> dict[str, Any]:
    raw = json.dumps(document, indent=1).encode()
    digest = hashlib.sha256(raw).hexdigest()
    (blobs / digest).write_bytes(raw)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(raw)}
