"""walk: from a root descriptor to all it needs, as far as the store holds it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from puller.contracts.content import ContentStore
from puller.errors import ContentMissing, InputError
from puller.model.config import ImageConfig, parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.mediatype import INDEXES, MANIFESTS, OCI_ARTIFACT
from puller.model.platform import Platform


@dataclass(frozen=True, slots=True)
class Node:
    """One blob on the way. `document` is set for indexes and manifests that are here and can be read."""

    descriptor: Descriptor
    present: bool
    document: Manifest | Index | None = None
    config: ImageConfig | None = None

    @property
    def platform(self) -> Platform | None:
        """What the image runs on, by its config."""
        return self.config.platform if self.config is not None else None


async def walk(store: ContentStore, root: Descriptor) -> AsyncIterator[Node]:
    """Every blob that `root` needs, itself first, each once. Raises ContentCorrupt where a document is damaged."""
    seen: set[Digest] = set()
    waiting = [root]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.digest in seen:
            continue
        seen.add(descriptor.digest)
        node = await _node(store, descriptor)
        yield node
        if node.document is not None:
            waiting += reversed(node.document.children)


async def _node(store: ContentStore, descriptor: Descriptor) -> Node:
    if descriptor.media_type not in INDEXES | MANIFESTS | {OCI_ARTIFACT}:
        return Node(descriptor, await store.exists(descriptor))
    try:
        document = parse_manifest(await store.read(descriptor, limit=MAX_BYTES), descriptor.media_type)
    except ContentMissing:
        return Node(descriptor, present=False)
    except InputError:
        return Node(descriptor, present=True)
    return Node(descriptor, present=True, document=document, config=await _config(store, document))


async def _config(store: ContentStore, document: Manifest | Index) -> ImageConfig | None:
    if isinstance(document, Index) or not document.is_image or document.config is None:
        return None
    try:
        return parse_config(await store.read(document.config, limit=MAX_BYTES))
    except (ContentMissing, InputError):
        return None
