"""GraphFinding: something in an image graph that is not as it should be."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "damaged",  # its files cannot be read, or say another ID
    "misnamed",  # its ID does not follow from its config
    "cycle",  # it is its own ancestor
    "dangling",  # its parent is not here
    "treeless",  # an image without a tree
    "stray",  # a tree without an image
    "unknown",  # a name that stands for no image here
    "layer",  # its files do not make the layer that they were
    "checksum",  # the layer is not the one its checksum names
    "tarsum",  # the layer does not have the tarsum that was claimed or kept
]


@dataclass(frozen=True, slots=True)
class GraphFinding:
    """`image_id` is that of an image or a tree; `names` are those that stand for it."""

    kind: Kind
    image_id: str
    names: tuple[str, ...]
    detail: str
