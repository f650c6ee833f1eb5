"""Candidate: a layer with the ID that follows from its content and everything below it (LEGACY.md c.6).

Identical content gives identical IDs; the IDs and parent links that the manifest claims are not hashed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from puller.legacy.history import V1Layer
from puller.legacy.imageid import PREFIX, image_config, strong_id


@dataclass(frozen=True, slots=True)
class Candidate:
    """One image of the chain. `strong_id` and `legacy_id` are 64 hex digits; the parent's too, None for the base.

    `config` are the bytes whose sha256 `strong_id` is: an image graph keeps them as the image's JSON.
    """

    strong_id: str
    legacy_id: str
    config: bytes
    parent_strong_id: str | None
    layer: V1Layer


def id_chain(layers: Iterable[V1Layer]) -> tuple[Candidate, ...]:
    """The images of folded layers (top first, as `fold_layers` gives them), base first.

    Raises InvalidManifest in the original's words for a blob name that is no digest.
    """
    chain: list[Candidate] = []
    parent = ""
    for layer in reversed(tuple(layers)):
        config = image_config(layer.image, layer.blob, parent)
        found = strong_id(config)
        below = parent.removeprefix(PREFIX) or None
        chain.append(Candidate(found.removeprefix(PREFIX), layer.image_id, config, below, layer))
        parent = found
    return tuple(chain)
