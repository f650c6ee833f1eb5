"""The format of `docker save` since 1.10: `manifest.json`, a config for each image, its layers, often blobs as well.

Images are named by the digests of their configs, and every layer is held to its diff ID. Where the archive brings the
manifest that an image was pulled with, as archives since Docker 25 do, that one is kept byte for byte; else one is
made, the same each time.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from puller.archive.content import ContentImage, Piece, Prover, check_digest
from puller.archive.members import Member
from puller.archive.opened import Archive
from puller.archive.read_oci import Found, Layout, blob_name, image_pieces, is_layout
from puller.errors import InvalidManifest, PullerError
from puller.legacy import tarball
from puller.model import mediatype
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.reference import Reference

# How its members are called where the name is a promise about their bytes.
_PROMISES: Final = (
    re.compile(r"blobs/(?P<algorithm>sha256|sha512)/(?P<hex>[0-9a-f]+)", re.ASCII),
    re.compile(r"(?P<hex>[0-9a-f]{64})\.json", re.ASCII),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of manifest.json, with the bytes of its config; `graph_id` where it is an image of the old kind."""

    entry: tarball.Entry
    config: bytes
    graph_id: str | None


def is_docker(archive: Archive) -> bool:
    """Whether the archive has a manifest.json."""
    return tarball.MANIFEST in archive.members


def read_listed(archive: Archive) -> list[Listed]:
    """The entries of manifest.json. An image is of the old kind where its config names one that has a folder here."""
    listed = []
    for entry in tarball.parse_manifest(archive.read(tarball.MANIFEST, limit=tarball.MAX_JSON)):
        raw = archive.read(entry.config, limit=tarball.MAX_JSON)
        found = tarball.graph_id(raw)
        is_old = found is not None and f"{found}/{tarball.JSON}" in archive.members
        listed.append(Listed(entry, raw, found if is_old else None))
    return listed


def read_images(archive: Archive, listed: Sequence[Listed], prover: Prover) -> list[ContentImage]:
    """The images of today among `listed`, proved; one that is listed under several names is one image.

    Raises InvalidManifest where layers and diff IDs differ in number, VerificationError, LayerError.
    """
    images: dict[Digest, ContentImage] = {}
    originals = _originals(archive)
    for one in listed:
        if one.graph_id is None:
            image = _image(archive, one, originals, prover)
            earlier = images.get(image.root.digest)
            names = image.names if earlier is None else (*earlier.names, *image.names)
            images[image.root.digest] = replace(image, names=tuple(dict.fromkeys(names)))
    return list(images.values())


def _originals(archive: Archive) -> dict[tuple[Digest, tuple[str, ...]], Found]:
    """The manifests that the archive brings along, by config and the members of their layers."""
    if not is_layout(archive):
        return {}
    layout = Layout(archive)
    found: dict[tuple[Digest, tuple[str, ...]], Found] = {}
    for one in layout.manifests(layout.entries()):
        if one.config is not None and one.manifest.config is not None:
            layers = tuple(blob_name(layer.digest) for layer in one.manifest.layers)
            found.setdefault((one.manifest.config.digest, layers), one)
    return found


def _image(
    archive: Archive, one: Listed, originals: dict[tuple[Digest, tuple[str, ...]], Found], prover: Prover
) -> ContentImage:
    image_id = Digest.of(one.config)
    _check_promise(one.entry.config, one.config)
    config = parse_config(one.config)
    members = [archive.members.file(name) for name in one.entry.layers]
    if len(members) != len(config.diff_ids):
        raise InvalidManifest(
            "manifest.json and config disagree on the number of layers",
            where=one.entry.config,
            wanted=f"{len(config.diff_ids)} diff IDs of the config",
            got=f"{len(members)} layers",
        )
    original = originals.get((image_id, one.entry.layers))
    if original is not None:
        return _as_it_was(archive, original, image_id, one.entry.names, prover)
    layers = [
        _layer(prover, member, diff_id, place)
        for place, (member, diff_id) in enumerate(zip(members, config.diff_ids, strict=True))
    ]
    return _made(one, image_id, layers)


def _layer(prover: Prover, member: Member, diff_id: Digest, place: int) -> Piece:
    try:
        return prover.layer(member, diff_id)
    except PullerError as error:
        raise error.at(phase=f"layer {place + 1}") from error.__cause__


def _as_it_was(
    archive: Archive, found: Found, image_id: Digest, names: tuple[Reference, ...], prover: Prover
) -> ContentImage:
    pieces = image_pieces(archive, prover, found)
    root = Descriptor(found.manifest.media_type, found.descriptor.digest, len(found.manifest.raw))
    return ContentImage(root, image_id, names, (*pieces, Piece(root, found.manifest.raw)))


def _made(one: Listed, image_id: Digest, layers: Sequence[Piece]) -> ContentImage:
    config = Piece(Descriptor(mediatype.DOCKER_CONFIG, image_id, len(one.config)), one.config)
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.DOCKER_MANIFEST,
        "config": config.descriptor.encode(),
        "layers": [layer.descriptor.encode() for layer in layers],
    }
    raw = json.dumps(document, indent=3).encode()
    root = Descriptor(mediatype.DOCKER_MANIFEST, Digest.of(raw), len(raw))
    pieces = {piece.descriptor.digest: piece for piece in (*layers, config, Piece(root, raw))}
    return ContentImage(root, image_id, one.entry.names, tuple(pieces.values()), is_made=True)


def _check_promise(name: str, raw: bytes) -> None:
    """Hold a config to the digest that it is called by. Raises DigestMismatch."""
    for promise in _PROMISES:
        if match := promise.fullmatch(name):
            wanted = Digest(match.groupdict().get("algorithm") or "sha256", match["hex"])
            check_digest(name, wanted, Digest.of(raw, wanted.algorithm))
