"""Images of a load that the store has already: they stay what they are there."""

from collections.abc import Sequence
from dataclasses import replace

from puller.archive.content import ContentImage
from puller.contracts.content import Lease
from puller.errors import PullerError
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.document import MAX_BYTES
from puller.model.manifest import Manifest, parse_manifest
from puller.model.reference import Reference
from puller.ops.graphs.entries import entry_in, manifest_of
from puller.ops.graphs.identity import content_images
from puller.ops.loading.news import Hear, Stored
from puller.ops.saving.layers import layer_facts
from puller.store.gc import Collectable


async def as_present(
    images: Sequence[ContentImage], store: Collectable, lease: Lease, hear: Hear
) -> list[ContentImage]:
    """The same images; one whose manifest was made only for want of another gets one that the store has.

    Such a manifest has the same config, and its layers are here and unpack to the diff IDs: nothing is left to store. A
    name that stands for one of several keeps that one. The lease holds what is found.
    """
    found: list[ContentImage] = []
    for image in images:
        here = await _manifests(image, store, lease) if image.is_made else []
        if not here:
            found.append(image)
            continue
        for descriptor in here:
            hear(Stored(descriptor.digest, is_new=False))
        found += await _spread(image, here, store)
    return found


async def _spread(image: ContentImage, here: Sequence[Descriptor], store: Collectable) -> list[ContentImage]:
    """One image for each manifest that one of its names stands for, or the first for all others."""
    entries = await store.tags()
    by_digest = {descriptor.digest: descriptor for descriptor in here}
    names: dict[Descriptor, list[Reference]] = {} if image.names else {here[0]: []}
    for name in image.names:
        entry = entry_in(entries, name)
        kept = None if entry is None else await manifest_of(entry, store)
        root = here[0] if kept is None else by_digest.get(kept[0].digest, here[0])
        names.setdefault(root, []).append(name)
    return [replace(image, root=root, names=tuple(some), pieces=()) for root, some in names.items()]


async def _manifests(image: ContentImage, store: Collectable, lease: Lease) -> list[Descriptor]:
    """Those of an image that are whole here, each once, in the order of the index."""
    known = {
        descriptor.digest: Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)
        async for image_id, descriptor in content_images(store)
        if image_id == image.image_id.hex
    }
    return [descriptor for descriptor in known.values() if await _is_whole(descriptor, store, lease)]


async def _is_whole(descriptor: Descriptor, store: Collectable, lease: Lease) -> bool:
    try:
        await lease.hold([descriptor.digest])
        manifest = parse_manifest(await store.read(descriptor, limit=MAX_BYTES), descriptor.media_type)
        if not isinstance(manifest, Manifest) or manifest.config is None:
            return False
        await lease.hold([child.digest for child in manifest.children])
        config = parse_config(await store.read(manifest.config, limit=MAX_BYTES))
        if len(config.diff_ids) != len(manifest.layers):
            return False
        for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
            if not await store.exists(layer):
                return False
            await layer_facts(store, layer, diff_id)
    except PullerError:  # damaged, or of other layers: the archive's own are taken
        return False
    return True
