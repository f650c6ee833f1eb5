"""inspect: what the store knows of one image, as plain data."""

from typing import Any

from anyio import to_thread

from puller.contracts.content import ContentStore
from puller.errors import ContentMissing, InvalidManifest, PullerError
from puller.model.config import ImageConfig, parse_config
from puller.model.descriptor import Descriptor
from puller.model.document import MAX_BYTES
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.mediatype import OCTETS
from puller.model.reference import Reference
from puller.ops.plan import Image
from puller.ops.shelves import Shelves
from puller.ops.stacking import layers_of


async def raw_document(store: ContentStore, reference: Reference) -> bytes:
    """The manifest or index that `reference` names, byte for byte, its digest checked. Raises ContentMissing, and
    InvalidManifest where a digest names something else.
    """
    return await store.read(await _root(store, reference), limit=MAX_BYTES)


async def inspect(store: ContentStore, reference: Reference, shelves: Shelves | None = None) -> dict[str, Any]:
    """The image or index that `reference` names: descriptor, platforms, layers with what was proved of them; and where
    it is unpacked on `shelves`.

    Raises ContentMissing, and InvalidManifest where a digest names something else.
    """
    return {"name": str(reference.tagged())} | await _described(store, await _root(store, reference), shelves)


async def _root(store: ContentStore, reference: Reference) -> Descriptor:
    root = await store.resolve(reference.tagged())
    if root.media_type == OCTETS:  # what a store calls a blob that is no document it can read
        raise InvalidManifest(
            "this is no manifest",
            got="a layer, a config or another blob",
            hint="Inspect the image it belongs to, by name or by the digest of its manifest.",
            reference=reference,
            digest=root.digest,
        )
    return root


async def _described(store: ContentStore, descriptor: Descriptor, shelves: Shelves | None) -> dict[str, Any]:
    head: dict[str, Any] = {
        "digest": str(descriptor.digest),
        "media_type": descriptor.media_type,
        "size": descriptor.size,
    }
    if descriptor.platform is not None:
        head["platform"] = str(descriptor.platform)
    try:
        document = parse_manifest(await store.read(descriptor, limit=MAX_BYTES), descriptor.media_type)
    except ContentMissing:
        return head | {"present": False}
    head = {name: value for name, value in head.items() if value is not None} | {"present": True}
    if isinstance(document, Index):
        return head | {"manifests": [await _described(store, entry, shelves) for entry in document.manifests]}
    return head | await _image(store, document, shelves)


async def _image(store: ContentStore, manifest: Manifest, shelves: Shelves | None) -> dict[str, Any]:
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
    return {"driver": driver.name, "path": str(await to_thread.run_sync(driver.path, layers[-1].name))}


async def _config(store: ContentStore, manifest: Manifest) -> ImageConfig | None:
    if not manifest.is_image or manifest.config is None:
        return None
    return parse_config(await store.read(manifest.config, limit=MAX_BYTES))


async def _layer(store: ContentStore, layer: Descriptor) -> dict[str, Any]:
    facts = await store.facts(layer.digest)
    present = await store.exists(layer)
    head = {"digest": str(layer.digest), "media_type": layer.media_type, "size": layer.size, "present": present}
    return head | {name: value for name, value in facts.encode().items() if name != "absent"}
