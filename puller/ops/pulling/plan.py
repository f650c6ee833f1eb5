"""What a pull needs, decided before anything is fetched. Pure: manifest and config in, steps out."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from puller.errors import DiffIDMismatch, InvalidManifest
from puller.model import mediatype
from puller.model.config import ImageConfig
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Manifest
from puller.model.platform import Platform
from puller.stream.layer import MAX_UNPACKED


class Depth(enum.Enum):
    """How much of a layer is proved while it flows. Blob digest and size always are."""

    FULL = "digest, diff ID and tarsum"
    NO_TARSUM = "digest and diff ID"
    DIGEST_ONLY = "digest"


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a reference is wanted: `platforms` None means all of them.

    A layer that would be more than `max_unpacked` bytes when unpacked is refused while it flows (THREATS D6). `strong`
    asks for content named by sha256 or sha512 alone: a layer that is named by tarsum is refused as WeakDigest. `signed`
    asks for signatures on manifests of schema 1. `verify_disk` has what is reused of an image graph put together again
    from its files and hashed.
    """

    platforms: Sequence[Platform] | None
    depth: Depth = Depth.FULL
    max_unpacked: int = MAX_UNPACKED
    strong: bool = False
    signed: bool = False
    verify_disk: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One blob to have. `diff_id` is what the config promises of a layer; None where nothing is promised.

    `reason` says why no tarsum is made of it; empty for layers of images.
    """

    role: str
    descriptor: Descriptor
    diff_id: Digest | None = None
    reason: str = ""

    @property
    def is_layer(self) -> bool:
        """Whether it is looked into: a layer of an image, not just bytes."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Image:
    """One manifest, with its decoded config where it is an image and not an artifact."""

    manifest: Manifest
    config: ImageConfig | None


def plan(images: Iterable[Image]) -> tuple[Step, ...]:
    """The blobs of all `images`, each digest once, base layers first.

    Raises InvalidManifest where a manifest and its config count layers differently (THREATS C12), and DiffIDMismatch
    where one blob would have to be two layers.
    """
    return _once([step for image in images for step in _steps(image.manifest, image.config)])


def _steps(manifest: Manifest, config: ImageConfig | None) -> list[Step]:
    if config is None:
        own = [("config", manifest.config)] if manifest.config is not None else []
        blobs = own + [(_name("blob", i, manifest), d) for i, d in enumerate(manifest.layers)]
        return [Step(role, d, None, f"not a layer: {d.media_type}") for role, d in blobs]
    return layer_steps(manifest, config)


def layer_steps(manifest: Manifest, config: ImageConfig) -> list[Step]:
    """The layers of one image, base first. Raises InvalidManifest where the two count them differently."""
    if len(config.diff_ids) != len(manifest.layers):
        raise InvalidManifest(
            "manifest and config disagree on the number of layers",
            wanted=f"{len(config.diff_ids)} diff IDs of the config",
            got=f"{len(manifest.layers)} layers",
        )
    pairs = zip(manifest.layers, config.diff_ids, strict=True)
    return [_layer_step(_name("layer", i, manifest), layer, diff_id) for i, (layer, diff_id) in enumerate(pairs)]


def _layer_step(role: str, descriptor: Descriptor, diff_id: Digest) -> Step:
    if mediatype.is_layer(descriptor.media_type):
        return Step(role, descriptor, diff_id)
    return Step(role, descriptor, diff_id, f"not a layer: {descriptor.media_type}")


def _name(kind: str, position: int, manifest: Manifest) -> str:
    return f"{kind} {position + 1}" if len(manifest.layers) > 1 else kind


def _once(steps: Sequence[Step]) -> tuple[Step, ...]:
    seen: dict[Digest, Step] = {}
    for step in steps:
        first = seen.setdefault(step.descriptor.digest, step)
        if first.diff_id != step.diff_id:
            raise DiffIDMismatch(
                "one blob is promised to be two layers",
                wanted=first.diff_id,
                got=step.diff_id,
                digest=step.descriptor.digest,
            )
        if first.descriptor.size != step.descriptor.size:
            raise InvalidManifest("one blob has two sizes", where=step.role, digest=step.descriptor.digest)
    return tuple(seen.values())
