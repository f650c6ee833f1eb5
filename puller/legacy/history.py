"""V1Layer: one image of a schema 1 manifest, and the rules by which a manifest's layers form a chain (LEGACY.md c.5).

The IDs that follow from the chain are `idchain`'s matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from puller.errors import InvalidManifest
from puller.legacy.gotext import shown
from puller.legacy.v1image import V1Image, validate_id


@dataclass(frozen=True, slots=True)
class V1Layer:
    """A layer with the image it makes. `blob` is a digest or tarsum text as the manifest wrote it.

    `image_id` and `parent` inside `image` are labels from the network: they order the layers and name nothing.
    """

    blob: str
    v1_compatibility: bytes
    image: V1Image

    @property
    def image_id(self) -> str:
        return self.image.id


def fold_layers(blobs: Sequence[str], history: Sequence[bytes]) -> tuple[V1Layer, ...]:
    """The manifest's layers, top first as it lists them, without repeated ones (graph.fixManifestLayers).

    Of neighbours with one ID the one nearest the base stays. Raises InvalidManifest, in the original's words: for
    lists of different lengths, no layers, broken JSON, a base with a parent, an ID in two places (so no cycle can
    be), and a parent that is not the next layer.
    """
    if len(blobs) != len(history):
        raise InvalidManifest("length of history not equal to number of layers", wanted=len(blobs), got=len(history))
    if not blobs:
        raise InvalidManifest("no FSLayers in manifest")
    layers = [_layer(blob, text) for blob, text in zip(blobs, history, strict=True)]
    if layers[-1].image.parent:
        raise InvalidManifest("Invalid parent ID in the base layer of the image.")
    _refuse_returning(layers)
    kept = [layers[-1]]
    for upper, lower in reversed(list(pairwise(layers))):
        if upper.image_id == lower.image_id:
            continue
        if upper.image.parent != lower.image_id:
            raise InvalidManifest(f"Invalid parent ID. Expected {lower.image_id}, got {shown(upper.image.parent)}.")
        kept.append(upper)
    return tuple(reversed(kept))


def _layer(blob: str, v1_compatibility: bytes) -> V1Layer:
    image = V1Image.decode(v1_compatibility)
    validate_id(image.id)
    return V1Layer(blob, v1_compatibility, image)


def _refuse_returning(layers: Sequence[V1Layer]) -> None:
    seen: set[str] = set()
    last = ""
    for layer in layers:
        if layer.image_id != last and layer.image_id in seen:
            raise InvalidManifest(f"ID {layer.image_id} appears multiple times in manifest")
        last = layer.image_id
        seen.add(last)
