"""ID chain: the images that a schema 1 manifest makes, and the IDs that a pull of it would choose (LEGACY.md c.6, c.7).

Only looked at: nothing of a store or a graph is made, changed or locked. A pull that begins a moment later may find
another graph, and chooses again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from puller.contracts.graph import ImageGraph
from puller.errors import ContentCorrupt, ContentMissing, InvalidManifest
from puller.graph import files
from puller.graph.failure import translated
from puller.graph.graph import DiskGraph
from puller.graph.record import read_record
from puller.legacy.idchain import Candidate, id_chain
from puller.legacy.judge import judge, v1_compatibility_of
from puller.legacy.reuse import Choice, Judgement, Look, choose_ids
from puller.legacy.schema1 import SignedManifest
from puller.legacy.v1image import V1Image
from puller.rootfs.crew import InProcess
from puller.rootfs.graphdriver import driver_at
from puller.rootfs.manner import Manner

UNASKED: Final = "strong ID; no store was asked"
_WEAK: Final = "tarsum"


@dataclass(frozen=True, slots=True)
class Link:
    """One image: what it is, and the ID that is chosen for it."""

    candidate: Candidate
    choice: Choice

    @property
    def is_weak(self) -> bool:
        """Whether its layer is named by a tarsum, which says little of its bytes."""
        return self.candidate.layer.blob.startswith(_WEAK)

    def facts(self) -> dict[str, object]:
        """As plain data; IDs are 64 hexadecimal digits."""
        candidate, choice = self.candidate, self.choice
        return {
            "layer": candidate.layer.blob,
            "weak": self.is_weak,
            "strong_id": candidate.strong_id,
            "strong_parent": candidate.parent_strong_id,
            "legacy_id": candidate.legacy_id,
            "id": choice.image_id,
            "parent": choice.parent,
            "reason": choice.reason,
            "present": choice.is_present,
        }


def links_of(manifest: SignedManifest, root: Path | None = None) -> list[Link]:
    """The images of a verified manifest, top first; `root` is Docker's, whose graph has a say in the IDs.

    Raises InvalidManifest for layers that are no chain, InvalidDigest for a layer's name by which nothing can be
    verified, ContentCorrupt where the graph has an image by a legacy ID that
    is damaged (a pull refuses that too), and as driver_at for directories that cannot be read.
    """
    manifest.blob_names()
    chain = id_chain(manifest.layers())
    choices = _unasked(chain) if root is None else _asked(chain, root)
    return [Link(candidate, choice) for candidate, choice in zip(chain, choices, strict=True)][::-1]


def _unasked(chain: Sequence[Candidate]) -> Iterator[Choice]:
    return (Choice(one.strong_id, one.parent_strong_id, UNASKED, is_present=False) for one in chain)


def _asked(chain: Sequence[Candidate], root: Path) -> list[Choice]:
    images = DiskGraph(root, driver_at(root, InProcess(Manner())))
    texts: dict[str, bytes] = {}  # the v1Compatibility texts that a pull would write first
    for candidate in reversed(chain):
        texts |= _texts_of(candidate.legacy_id, images, texts)
    choosing = choose_ids(chain)
    try:
        look = next(choosing)
        while True:
            look = choosing.send(_judgement(look, images, texts))
    except StopIteration as done:
        choices: list[Choice] = done.value
    return choices


def _judgement(look: Look, images: ImageGraph, texts: Mapping[str, bytes]) -> Judgement:
    try:
        stored = images.stored(look.image_id)
    except ContentCorrupt as error:
        return judge(look, None, missing=error.what)
    if stored is not None and stored.v1_compatibility is None:
        stored = replace(stored, v1_compatibility=texts.get(look.image_id))
    return judge(look, stored, missing=f"could not find image: no such id: {look.image_id}")


def _texts_of(image_id: str, images: ImageGraph, known: Mapping[str, bytes]) -> dict[str, bytes]:
    """The texts that are missing of an image and of all below it; none where it is not here."""
    if not images.has(image_id):
        return {}

    def kept(name: str) -> bytes | None:
        if name in known:
            return known[name]
        stored = images.stored(name)
        if stored is None:
            raise ContentMissing(f"could not find image: no such id: {name}")
        return stored.v1_compatibility

    try:
        return v1_compatibility_of(image_id, lambda name: _image(name, images.root), kept)
    except (ContentMissing, ContentCorrupt, InvalidManifest) as error:
        what = "an image of the graph, or one below it, is damaged"
        raise ContentCorrupt(what, where=image_id, got=error.what, hint="Remove it: `puller rm`.") from error


def _image(image_id: str, root: Path) -> V1Image:
    """An image that is here, its size as the graph knows it: to measure it would write it down, and no ID needs it."""
    where = root / "graph" / image_id
    with translated(where), files.directory(where) as folder:
        return read_record(folder, image_id, where).image
