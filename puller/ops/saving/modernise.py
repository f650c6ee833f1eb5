"""modernise: an image of the old world as a manifest and a config of today; its layers stay the bytes they are."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from os import pread
from typing import Final, Literal

from anyio import to_thread

from puller.archive.item import Stream
from puller.contracts.graph import GraphImage
from puller.errors import ContentMissing, InvalidManifest
from puller.legacy.gojson import first_value
from puller.legacy.modern import is_throwaway, modern_config
from puller.legacy.schema1 import SignedManifest
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest, TarsumDigest
from puller.model.facts import Facts
from puller.ops.graphs.layers import GraphLayers, blob_of
from puller.ops.saving.layers import PULL, blob_stream, layer_facts
from puller.store.disk import DiskStore
from puller.stream.inflate import SNIFFED, Compression, sniff

Form = Literal["docker", "oci"]

MANIFEST: Final = {"docker": mediatype.DOCKER_MANIFEST, "oci": mediatype.OCI_MANIFEST}
CONFIG: Final = {"docker": mediatype.DOCKER_CONFIG, "oci": mediatype.OCI_CONFIG}
LAYER: Final[dict[str, dict[str, str]]] = {  # bzip2 and xz have no type, and no pull takes them
    "docker": {
        "gzip": mediatype.DOCKER_LAYER,
        "none": mediatype.DOCKER_PLAIN_LAYER,
        "zstd": mediatype.DOCKER_ZSTD_LAYER,
    },
    "oci": {"gzip": mediatype.OCI_LAYER_GZIP, "none": mediatype.OCI_LAYER, "zstd": mediatype.OCI_LAYER_ZSTD},
}
# What a layer without any entry is, uncompressed: nothing, the end mark, or that in a whole record.
_HOLLOW: Final = frozenset(Digest.of(bytes(size)) for size in (0, 1024, 10240))
# The same, as every Docker of the time compressed it: nobody fetches it to know it.
_HOLLOW_BLOB: Final = Digest("sha256", "a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4")


@dataclass(frozen=True, slots=True)
class Old:
    """One image of an old chain: its ID, the text that says what it is, and its layer, None where nothing keeps it."""

    image_id: str
    text: bytes
    layer: "Plain | None"


@dataclass(frozen=True, slots=True)
class Plain:
    """A layer as it is stored, with what it is uncompressed."""

    compression: Compression
    stored: Stream
    diff_id: Digest


@dataclass(frozen=True, slots=True)
class Turned:
    """What became of one old image: its layer in the new one, None for one that is thrown away."""

    image_id: str
    layer: Descriptor | None
    diff_id: Digest | None


@dataclass(frozen=True, slots=True)
class Modern:
    """A modern image, nothing of it stored yet. `blobs` are its layers; `turned` says from what, base first."""

    descriptor: Descriptor
    manifest: bytes
    config: Descriptor
    config_raw: bytes
    blobs: dict[Digest, Stream]
    turned: tuple[Turned, ...]


def modernised(chain: Sequence[Old], form: Form) -> Modern:
    """The modern image of a chain, base first. The same chain and layers give the same bytes.

    Raises InvalidManifest where a layer that is to be thrown away holds something (THREATS C19).
    """
    turned: list[Turned] = []
    blobs: dict[Digest, Stream] = {}
    for old in chain:
        if is_throwaway(old.text):
            _refuse_content(old)
            turned.append(Turned(old.image_id, None, None))
            continue
        if old.layer is None:
            raise ContentMissing("a layer of the image is not here", where=old.image_id, hint=PULL)
        stored = old.layer.stored
        blobs[stored.digest] = stored
        descriptor = Descriptor(LAYER[form][old.layer.compression], stored.digest, stored.size)
        turned.append(Turned(old.image_id, descriptor, old.layer.diff_id))
    diff_ids = [one.diff_id for one in turned if one.diff_id is not None]
    config_raw = modern_config([old.text for old in chain], diff_ids)
    config = Descriptor(CONFIG[form], Digest.of(config_raw), len(config_raw))
    manifest = encode_manifest(form, config, [one.layer for one in turned if one.layer is not None])
    descriptor = Descriptor(MANIFEST[form], Digest.of(manifest), len(manifest))
    return Modern(descriptor, manifest, config, config_raw, blobs, tuple(turned))


def encode_manifest(form: Form, config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """The manifest of an image."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST[form],
        "config": config.encode(),
        "layers": [layer.encode() for layer in layers],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _refuse_content(old: Old) -> None:
    if old.layer is not None and old.layer.diff_id not in _HOLLOW:
        raise InvalidManifest(
            "a layer that is to be thrown away is not empty", where=old.image_id, got=old.layer.diff_id
        )


async def graph_chain(line: Sequence[GraphImage], layers: GraphLayers, store: DiskStore) -> list[Old]:
    """The chain of a graph image from its line (itself first): blobs where the store has them, else plain layers."""
    return [
        Old(
            image.image_id,
            image.v1_compatibility or first_value(image.config),
            await _graph_layer(image, layers, store),
        )
        for image in reversed(line)
    ]


async def _graph_layer(image: GraphImage, layers: GraphLayers, store: DiskStore) -> Plain:
    digest = blob_of(image)
    size = None if digest is None else await store.size(digest)
    if digest is not None and size is not None:
        return await _stored_layer(Descriptor(mediatype.OCTETS, digest, size), store)
    plain = await layers.stream(image)
    return Plain("none", plain, plain.digest)


async def _stored_layer(blob: Descriptor, store: DiskStore) -> Plain:
    facts = await layer_facts(store, blob)
    assert facts.diff_id is not None
    async with store.opened(blob.digest) as fd:
        compression = sniff(await to_thread.run_sync(partial(pread, fd, SNIFFED, 0)))
    return Plain(compression, await blob_stream(store, blob), facts.diff_id)


async def manifest_chain(manifest: SignedManifest, facts: Facts, store: DiskStore) -> list[Old]:
    """The chain of a schema 1 manifest, by the IDs that it claims; `facts` are those of the manifest's own blob.

    Raises ContentMissing for a layer that is not here.
    """
    labels = facts.labels or {}
    chain = []
    names = dict(zip(manifest.blobs, manifest.blob_names(), strict=True))
    for layer in reversed(manifest.layers()):
        name = names[layer.blob]
        digest = labels.get(str(name)) if isinstance(name, TarsumDigest) else name
        size = None if digest is None else await store.size(digest)
        found = None
        if digest is not None and size is not None:
            found = await _stored_layer(Descriptor(mediatype.OCTETS, digest, size), store)
        elif is_throwaway(layer.v1_compatibility) and digest != _HOLLOW_BLOB:
            raise ContentMissing("a layer of the image is not here", digest=digest, hint=PULL)
        chain.append(Old(layer.image_id, layer.v1_compatibility, found))
    return chain
