"""walk: from a root descriptor to all it needs, as far as the store holds it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from puller.contracts.content import ContentStore
from puller.errors import ContentCorrupt, ContentMissing, InputError, LimitExceeded, VerificationError
from puller.model.config import ImageConfig, parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.mediatype import SCHEMA1_MANIFESTS, TODAYS_DOCUMENTS
from puller.model.platform import Platform
from puller.store.reach import children


@dataclass(frozen=True, slots=True)
class Node:
    """One blob on the way. `document` is set for indexes and manifests that are here and can be read.

    `blobs` are those of a schema 1 manifest. `damaged`: its bytes, or those of its config, are not what their names
    say, or what it needs is not known any more.
    """

    descriptor: Descriptor
    present: bool
    document: Manifest | Index | None = None
    config: ImageConfig | None = None
    damaged: bool = False
    blobs: tuple[Descriptor, ...] = ()

    @property
    def platform(self) -> Platform | None:
        """What the image runs on, by its config."""
        return self.config.platform if self.config is not None else None


async def walk(store: ContentStore, root: Descriptor) -> AsyncIterator[Node]:
    """Every blob that `root` needs, itself first, each once. A damaged document ends its branch."""
    seen: set[Digest] = set()
    waiting = [root]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.digest in seen:
            continue
        seen.add(descriptor.digest)
        node = await _node(store, descriptor)
        yield node
        waiting += reversed(node.blobs if node.document is None else node.document.children)


async def _node(store: ContentStore, descriptor: Descriptor) -> Node:
    if descriptor.media_type in SCHEMA1_MANIFESTS:
        return await _schema1(store, descriptor)
    if descriptor.media_type not in TODAYS_DOCUMENTS:
        return Node(descriptor, await store.exists(descriptor))
    try:
        document = parse_manifest(await store.read(descriptor, limit=MAX_BYTES), descriptor.media_type)
    except ContentMissing:
        return Node(descriptor, present=False)
    except ContentCorrupt:
        return Node(descriptor, present=True, damaged=True)
    except (InputError, VerificationError, LimitExceeded):
        return Node(descriptor, present=True)
    try:
        return Node(descriptor, present=True, document=document, config=await _config(store, document))
    except ContentCorrupt:
        return Node(descriptor, present=True, document=document, damaged=True)


async def _schema1(store: ContentStore, descriptor: Descriptor) -> Node:
    try:
        return Node(descriptor, present=True, blobs=await children(store, descriptor))
    except ContentMissing:
        is_here = await store.exists(descriptor)
        return Node(descriptor, present=is_here, damaged=is_here)
    except ContentCorrupt:
        return Node(descriptor, present=True, damaged=True)
    except LimitExceeded:
        return Node(descriptor, present=True)


async def _config(store: ContentStore, document: Manifest | Index) -> ImageConfig | None:
    if isinstance(document, Index) or not document.is_image or document.config is None:
        return None
    try:
        return parse_config(await store.read(document.config, limit=MAX_BYTES))
    except (ContentMissing, InputError, LimitExceeded):
        return None
