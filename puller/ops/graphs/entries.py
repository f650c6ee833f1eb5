"""entries: what the index has under a name, and which image that is."""

from collections.abc import Mapping

from puller.model.descriptor import Descriptor
from puller.model.manifest import Manifest
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.reference import Reference
from puller.ops.walk import walk
from puller.store.gc import Collectable
from puller.store.naming import names_of


def entry_in(entries: Mapping[str, Descriptor], reference: Reference) -> Descriptor | None:
    """The entry under this very name: not what a digest in it would find without one."""
    return next((entries[name] for name in names_of(reference.tagged()) if name in entries), None)


async def entry_of(reference: Reference, store: Collectable) -> Descriptor | None:
    """The same of the index as it is now."""
    return entry_in(await store.tags(), reference)


async def forget_entries(reference: Reference, store: Collectable) -> None:
    """Take away every entry of this name, if there is one."""
    while await entry_of(reference, store) is not None:  # other tools may have written the name in more than one way
        await store.untag(reference.tagged())


def is_schema1(entry: Descriptor) -> bool:
    """Whether it may stand beside the place of a graph image."""
    return entry.media_type in SCHEMA1_MANIFESTS


async def manifest_of(entry: Descriptor, store: Collectable) -> tuple[Descriptor, Manifest] | None:
    """The manifest of the one content image that an entry stands for; None where it has none here, or several."""
    found = [
        (node.descriptor, node.document)
        async for node in walk(store, entry)
        if isinstance(node.document, Manifest) and node.document.is_image and node.document.config is not None
    ]
    return found[0] if len(found) == 1 else None


async def image_id_of(entry: Descriptor, store: Collectable) -> str:
    """The ID of the content image that an entry stands for: the digest of its config, else the entry's own."""
    found = await manifest_of(entry, store)
    return str(entry.digest if found is None or found[1].config is None else found[1].config.digest)
