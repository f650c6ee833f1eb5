"""stored: an image as the store holds it, found by name and platform; nothing is asked of a registry."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from puller.contracts.content import ContentStore
from puller.errors import ContentCorrupt, ContentMissing, InvalidManifest, Unsupported
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.document import MAX_BYTES, MAX_NESTING
from puller.model.facts import Facts
from puller.model.manifest import Manifest, parse_manifest
from puller.model.mediatype import OCTETS
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.pulling.plan import Image
from puller.ops.unpacking.stacking import Blobs, Layer

Fetch = Callable[[], Awaitable[None]]  # pulls the image: what is here already is not fetched again
Present: TypeAlias = tuple[Image, Blobs]


async def stored_image(
    store: ContentStore, wanted: Reference | Descriptor, platform: Platform | None
) -> tuple[Descriptor, Image]:
    """The manifest that a name stands for, with its config; of an index the one for `platform`.

    `platform` None is enough for what is no index. Raises ContentMissing, NotFound where the index has no such
    platform, Unsupported for an artifact, InvalidManifest.
    """
    if isinstance(wanted, Descriptor):
        return await image_at(wanted, store, platform)
    return await image_at(await store.resolve(wanted.tagged()), store, platform, wanted)


async def image_at(
    descriptor: Descriptor, store: ContentStore, platform: Platform | None, reference: Reference | None = None
) -> tuple[Descriptor, Image]:
    """The same of what a name stands for; `reference` is for errors only. Raises InvalidManifest, Unsupported, and what
    the store raises.
    """
    for _ in range(MAX_NESTING):
        if descriptor.media_type == OCTETS:
            raise InvalidManifest("this is no manifest", reference=reference, digest=descriptor.digest)
        document = parse_manifest(await store.read(descriptor, limit=MAX_BYTES), descriptor.media_type)
        if isinstance(document, Manifest):
            return descriptor, await _image(store, document, reference)
        if platform is None:
            raise Unsupported("an index, and no platform to choose by", reference=reference, digest=descriptor.digest)
        descriptor = document.choose(platform)
    raise Unsupported("index within index", wanted=f"at most {MAX_NESTING} deep", reference=reference)


async def present_image(
    wanted: Reference | Descriptor, store: ContentStore, platform: Platform | None, fetch: Fetch
) -> Image:
    """The same, with the blobs of all its layers in the store; `fetch` is called where they, or it, are not here.

    Raises ContentMissing where they are not after that, and as stored_image does.
    """
    try:
        return await _whole(wanted, store, platform)
    except (ContentMissing, ContentCorrupt):
        await fetch()
        return await _whole(wanted, store, platform)


@asynccontextmanager
async def at_hand(
    wanted: Reference | Descriptor, store: ContentStore, platform: Platform | None, fetch: Fetch
) -> AsyncIterator[Present]:
    """The same, with its blobs for stacking; nothing of it goes while the block runs."""
    async with store.lease() as lease:
        image = await present_image(wanted, store, platform, fetch)
        await lease.hold([layer.digest for layer in image.manifest.layers])
        yield image, stored_blobs(store, fetch)


async def _image(store: ContentStore, manifest: Manifest, reference: Reference | None) -> Image:
    if not manifest.is_image or manifest.config is None:
        raise Unsupported("an artifact, not an image", got=manifest.artifact_type, reference=reference)
    return Image(manifest, parse_config(await store.read(manifest.config, limit=MAX_BYTES)))


async def _whole(wanted: Reference | Descriptor, store: ContentStore, platform: Platform | None) -> Image:
    _, image = await stored_image(store, wanted, platform)
    for layer in image.manifest.layers:
        if not await store.exists(layer):
            name = None if isinstance(wanted, Descriptor) else wanted
            raise ContentMissing("a layer is not in the store", digest=layer.digest, reference=name)
    return image


def stored_blobs(store: ContentStore, fetch: Fetch) -> Blobs:
    """The blobs of an image of the store, for stacking; `fetch` brings one again that has gone bad."""

    async def ready(layer: Layer) -> None:
        digest = layer.descriptor.digest
        if not (await store.facts(digest)).verified:  # another tool put it there: its name alone proves nothing
            await store.watch(layer.descriptor)
            await store.prove(digest, Facts(verified=True))

    async def again(layer: Layer) -> None:
        await store.discard_damaged(layer.descriptor.digest)
        await fetch()

    return Blobs(store, ready, again)
