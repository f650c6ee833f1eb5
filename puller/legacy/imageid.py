"""Image IDs computed from content: the config that is hashed and the strong ID it gives (LEGACY.md b.3)."""

import hashlib
from typing import Final

from puller.errors import InvalidDigest, InvalidManifest
from puller.legacy import olddigest, version
from puller.legacy.gojson import encode_object
from puller.legacy.v1image import V1Image
from puller.model.gostring import quote

RAW_SINCE: Final = "1.8.3"  # builds before it are hashed as its struct would print them, not as they were written
PREFIX: Final = "sha256:"
_LABELS: Final = ("id", "parent", "Size")  # exactly these spellings: what came from the network as a name, not content


def make_image_config(v1_compatibility: bytes, layer: str, parent: str = "") -> bytes:
    """The bytes that name an image: its v1Compatibility text, its layer's digest and its parent's strong ID.

    `parent` is a digest text, empty for a base; a `parent_id` that the text brought along then stays, as in the
    original. Raises InvalidManifest in the original's words for broken JSON, wrong types and digests.
    """
    return image_config(V1Image.decode(v1_compatibility), layer, parent)


def image_config(image: V1Image, layer: str, parent: str = "") -> bytes:
    """The same for a text that is decoded already."""
    fields = image.encoded_fields() if is_fallback(image) else image.raw_fields()
    fields["layer_id"] = quote(_checked(layer, "invalid layerID: "))
    if parent:
        fields["parent_id"] = quote(_checked(parent, "invalid parentID "))
    for label in _LABELS:
        fields.pop(label, None)
    return encode_object(fields)


def is_fallback(image: V1Image) -> bool:
    """Whether the image is so old that it is hashed as the struct prints it."""
    return version.compare(image.docker_version, RAW_SINCE) < 0


def strong_id(config: bytes) -> str:
    """The digest text of a config from `make_image_config`; the image's ID is its hex."""
    return PREFIX + hashlib.sha256(config).hexdigest()


def _checked(text: str, sentence: str) -> str:
    try:
        return olddigest.validate(text)
    except InvalidDigest as error:
        raise InvalidManifest(f"{sentence}{error.what}") from error
