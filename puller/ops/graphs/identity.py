"""identity: what an ID stands for: a graph image, a content image (the digest of its config), a manifest (its digest).

No first match ever wins (THREATS A8): what stands for two images stands for none.
"""

import re
from collections.abc import AsyncIterator
from typing import TypeAlias

from puller.errors import ContentMissing, InvalidReference, PullerError
from puller.legacy.schema1 import parse_signed_manifest
from puller.model.descriptor import Descriptor
from puller.model.digest import HEX_LENGTH, Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import Manifest
from puller.model.mediatype import OCTETS, SCHEMA1_MANIFESTS
from puller.model.reference import Reference
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.places import place_of
from puller.ops.walk import Node, walk
from puller.store.gc import Collectable
from puller.store.naming import pinned

Meaning: TypeAlias = tuple[str | None, Descriptor | None]  # a graph image, its manifest or that of a content image

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})", re.ASCII)
_EXACT = re.compile(r"(?:sha256:)?([0-9a-f]{64})|sha512:([0-9a-f]{128})", re.ASCII)
UNKNOWN = "there is no image of this name or ID"
_LISTED = 8  # of those that an ID could mean


def exact_hex(text: str) -> str | None:
    """The digits of a whole ID or digest; None for any other text. Such a text is never a name."""
    match = _EXACT.fullmatch(text)
    return None if match is None else match[1] or match[2]


def looks_like_id(text: str) -> bool:
    """Whether it may be an ID, or the beginning of one: four hexadecimal digits or more."""
    return _EXACT.fullmatch(text) is not None or _ID.fullmatch(text) is not None


async def known_by(text: str, store: Collectable, graph: Graph) -> Meaning:
    """The graph image, the manifest, or both, that an ID or the beginning of one stands for.

    Raises ContentMissing, and InvalidReference where it could be several.
    """
    exact = exact_hex(text)
    digits = exact or text.removeprefix("sha256:")
    known: dict[str, Meaning] = {}
    for image_id in await graph.run(graph.images.ids):
        if image_id.startswith(digits):
            known[f"graph image {image_id}"] = (image_id, None)
    async for image_id, manifest in content_images(store):
        if image_id.startswith(digits):
            known.setdefault(f"image {image_id}", (None, manifest))
    if exact is not None:
        known |= await _documents(exact, store, graph)
    if not known:
        raise ContentMissing(UNKNOWN, got=text)
    if len(known) > 1:
        listed = sorted(known)[:_LISTED] + (["…"] if len(known) > _LISTED else [])
        raise InvalidReference(
            "this could be several images", got=text, wanted=", ".join(listed), hint="Give more of it."
        )
    ((image, descriptor),) = known.values()
    if image is not None and descriptor is None:
        entries = {entry.digest: entry for entry, pulled in await _pulled(store, graph) if pulled == image}
        descriptor = next(iter(entries.values())) if len(entries) == 1 else None
    return image, descriptor


async def content_images(store: Collectable) -> AsyncIterator[tuple[str, Descriptor]]:
    """Every content image that an entry of the index reaches: its ID, and its manifest."""
    async for node in _nodes(store):
        document = node.document
        if isinstance(document, Manifest) and document.is_image and document.config is not None:
            yield document.config.digest.hex, node.descriptor


async def registry_digest(store: Collectable, entry: Descriptor) -> Digest:
    """What registries name a manifest by: of schema 1 the digest of what was signed, of all others their own.

    Of a damaged one its own, too.
    """
    if entry.media_type not in SCHEMA1_MANIFESTS:
        return entry.digest
    try:
        return parse_signed_manifest(await store.read(entry, limit=MAX_BYTES)).digest
    except PullerError:
        return entry.digest


async def _nodes(store: Collectable) -> AsyncIterator[Node]:
    for root in await store.roots():
        async for node in walk(store, root):
            yield node


async def _documents(digits: str, store: Collectable, graph: Graph) -> dict[str, Meaning]:
    """Manifests and indexes of this digest; of schema 1 that of all bytes, or of what was signed."""
    digest = next(Digest(algorithm, digits) for algorithm, length in HEX_LENGTH.items() if length == len(digits))
    pulled = [(entry, image_id) for entry, image_id in await _pulled(store, graph) if entry.digest == digest]
    if pulled:
        images = {image_id for _, image_id in pulled}
        return {f"manifest {digest} of {image_id}": (image_id, pulled[0][0]) for image_id in images}
    meant = {i: entry for entry, i in await _pulled(store, graph) if await registry_digest(store, entry) == digest}
    if meant:
        return {f"manifest {digest} of {image_id}": (image_id, entry) for image_id, entry in meant.items()}
    async for node in _nodes(store):
        is_document = node.document is not None or node.descriptor.media_type in SCHEMA1_MANIFESTS
        if is_document and digest in (node.descriptor.digest, await registry_digest(store, node.descriptor)):
            return {f"manifest {digest}": (None, node.descriptor)}
    try:
        found = await pinned(store, (), digest)
    except ContentMissing:
        return {}
    return {} if found.media_type == OCTETS else {f"manifest {digest}": (None, found)}


async def _pulled(store: Collectable, graph: Graph) -> list[tuple[Descriptor, str]]:
    """Every schema 1 manifest that has a name, with the graph image of that name."""
    repositories = await graph.run(graph.tags.repositories)
    found: list[tuple[Descriptor, str]] = []
    for name, entry in (await store.tags()).items():
        if entry.media_type not in SCHEMA1_MANIFESTS:
            continue
        try:
            repository, ref = place_of(Reference.parse(name))
        except InvalidReference:  # another tool's
            continue
        image_id = repositories.get(repository, {}).get(ref)
        if image_id is not None:
            found.append((entry, image_id))
    return found
