"""inspect: what the store and its graph know of one image, as plain data."""

import json
from dataclasses import replace
from typing import Any

from anyio import to_thread

from puller.contracts.graph import GraphImage
from puller.errors import ContentMissing, InputError, InvalidManifest, PullerError, VerificationError
from puller.legacy.schema1 import parse_signed_manifest
from puller.model.config import ImageConfig, parse_config
from puller.model.descriptor import Descriptor
from puller.model.document import MAX_BYTES
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.mediatype import OCTETS, SCHEMA1_MANIFESTS
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import Found
from puller.ops.graphs.places import full_names
from puller.ops.graphs.trees import tree_path
from puller.ops.pulling.plan import Image
from puller.ops.unpacking.shelves import Shelves
from puller.ops.unpacking.stacking import layers_of
from puller.store.gc import Collectable
from puller.store.reach import absent, children


async def raw_document(store: Collectable, graph: Graph, found: Found) -> bytes:
    """The manifest or index that was found, byte for byte, its digest checked; of a graph image that has none, or was
    found by its ID, its file `json`.

    Raises ContentMissing, ContentCorrupt, and InvalidManifest where a digest names something else.
    """
    if found.image_id is not None and (found.descriptor is None or found.name is None):
        return (await graph.run(graph.images.get, found.image_id)).config
    return await store.read(_document(found), limit=MAX_BYTES)


async def inspect(store: Collectable, graph: Graph, found: Found, shelves: Shelves | None = None) -> dict[str, Any]:
    """The image or index that was found: descriptor, platforms, layers with what was proved of them; and where it is
    unpacked, on `shelves` or in the graph.

    Raises ContentMissing, ContentCorrupt, and InvalidManifest where a digest names something else.
    """
    name = {} if found.name is None else {"name": found.name}
    if found.image_id is None:
        return name | await _described(store, _document(found), shelves)
    told = name | await _graph_image(graph, await graph.run(graph.images.get, found.image_id))
    if found.descriptor is not None:
        told |= {"manifest": await _described(store, found.descriptor, None)}
    return told


def _document(found: Found) -> Descriptor:
    assert found.descriptor is not None
    if found.descriptor.media_type == OCTETS:  # what a store calls a blob that is no document it can read
        raise InvalidManifest(
            "this is no manifest",
            got="a layer, a config or another blob",
            hint="Inspect the image it belongs to, by name or by the digest of its manifest.",
            reference=found.name,
            digest=found.descriptor.digest,
        )
    return found.descriptor


async def _graph_image(graph: Graph, image: GraphImage) -> dict[str, Any]:
    """What the graph has of an image; `size` is of its own layer, `virtual_size` with all below it."""
    values, images = image.image.values, graph.images
    try:
        line = await graph.run(images.line, image.image_id)
        total = {"virtual_size": sum(one.size for one in line), "chain": [one.image_id for one in line]}
    except PullerError as error:
        total = {"broken": str(error)}
    about = {
        "image_id": image.image_id,
        "kind": "graph",
        "parent": image.parent,
        "names": list(full_names(await graph.run(graph.tags.names_of, image.image_id))),
        "created": json.loads(values["created"].encode()),
        "platform": "/".join(values[key] for key in ("os", "architecture") if values[key]),
        "size": image.size,
        **total,
        "checksum": image.checksum,
        "tarsum": await graph.run(images.tarsum, image.image_id),
        "v1_compatibility": image.v1_compatibility is not None,
        "exact_layer": await graph.run(images.is_exact, image.image_id),
        "unpacked": {"driver": images.driver.name, "path": str(tree_path(graph, image.image_id).absolute())},
        "config": _plain(image.config),
    }
    return {key: value for key, value in about.items() if value not in (None, "")}


def _plain(config: bytes) -> Any:
    """The first JSON value in a file; as it is text where Go would read it and this program does not."""
    text = config.decode("utf-8", "replace")
    try:
        return json.JSONDecoder().raw_decode(text.lstrip())[0]
    except (ValueError, RecursionError):
        return text


async def _described(store: Collectable, descriptor: Descriptor, shelves: Shelves | None) -> dict[str, Any]:
    head: dict[str, Any] = {
        "digest": str(descriptor.digest),
        "media_type": descriptor.media_type,
        "size": descriptor.size,
    }
    if descriptor.platform is not None:
        head["platform"] = str(descriptor.platform)
    try:
        if descriptor.media_type in SCHEMA1_MANIFESTS:
            return head | await _schema1(store, descriptor)
        document = parse_manifest(await store.read(descriptor, limit=MAX_BYTES), descriptor.media_type)
    except ContentMissing:
        return head | {"present": False}
    head = {name: value for name, value in head.items() if value is not None} | {"present": True}
    if isinstance(document, Index):
        return head | {"manifests": [await _described(store, entry, shelves) for entry in document.manifests]}
    return head | await _image(store, document, shelves)


async def _schema1(store: Collectable, descriptor: Descriptor) -> dict[str, Any]:
    """What a manifest of schema 1 says and is proved by; its blobs are listed from the base up."""
    raw = await store.read(descriptor, limit=MAX_BYTES)
    try:
        manifest = parse_signed_manifest(raw)
    except (InputError, VerificationError) as error:
        return {"present": True, "broken": str(error)}
    labels = (await store.facts(descriptor.digest)).labels or {}
    unfetched = await absent(store, descriptor)
    blobs = [blob for blob in await children(store, descriptor) if blob.digest not in unfetched]
    sizes = [await store.size(blob.digest) for blob in blobs]
    blobs = [replace(blob, size=size) for blob, size in zip(blobs, sizes, strict=True)]
    return {
        "present": True,
        "signed_digest": str(manifest.digest),
        "signers": list(manifest.key_ids),
        "architecture": manifest.architecture,
        "labels": {label: str(blob) for label, blob in labels.items()},
        "layers": [await _layer(store, blob) for blob in blobs],
    }


async def _image(store: Collectable, manifest: Manifest, shelves: Shelves | None) -> dict[str, Any]:
    config = await _config(store, manifest)
    about: dict[str, Any] = {"artifact_type": manifest.artifact_type, "annotations": dict(manifest.annotations)}
    if config is not None:
        about["platform"] = None if config.platform is None else str(config.platform)
        about |= {"created": config.created, "user": config.user, "labels": dict(config.labels)}
        about["image_id"] = str(manifest.config.digest) if manifest.config is not None else None
        about["unpacked"] = None if shelves is None else await _unpacked(Image(manifest, config), shelves)
    layers = [await _layer(store, layer) for layer in manifest.layers]
    if config is not None and len(config.chain_ids) == len(layers):
        layers = [layer | {"chain_id": str(chain)} for layer, chain in zip(layers, config.chain_ids, strict=True)]
    return {name: value for name, value in about.items() if value} | {"layers": layers}


async def _unpacked(image: Image, shelves: Shelves) -> dict[str, str] | None:
    try:
        layers = layers_of(image)
    except PullerError:
        return None
    driver = await shelves.holder(layers) if layers else None
    if driver is None:
        return None
    return {"driver": driver.name, "path": str((await to_thread.run_sync(driver.path, layers[-1].name)).absolute())}


async def _config(store: Collectable, manifest: Manifest) -> ImageConfig | None:
    if not manifest.is_image or manifest.config is None:
        return None
    return parse_config(await store.read(manifest.config, limit=MAX_BYTES))


async def _layer(store: Collectable, layer: Descriptor) -> dict[str, Any]:
    facts = await store.facts(layer.digest)
    present = await store.exists(layer)
    head = {"digest": str(layer.digest), "media_type": layer.media_type, "size": layer.size, "present": present}
    return head | {name: value for name, value in facts.encode().items() if name != "absent"}
