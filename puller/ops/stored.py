"""stored: an image as the store holds it, found by name and platform; nothing is asked of a registry."""

from puller.contracts.content import ContentStore
from puller.errors import InvalidManifest, Unsupported
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.document import MAX_BYTES
from puller.model.manifest import Manifest, parse_manifest
from puller.model.mediatype import OCTETS
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.plan import Image

MAX_NESTING = 4  # an index of indexes of … (THREATS C10)


async def stored_image(
    store: ContentStore, reference: Reference, platform: Platform | None
) -> tuple[Descriptor, Image]:
    """The manifest that `reference` names, with its config; of an index the one for `platform`.

    `platform` None is enough for what is no index. Raises ContentMissing, NotFound where the index has no such
    platform, Unsupported for an artifact, InvalidManifest.
    """
    descriptor = await store.resolve(reference.tagged())
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


async def _image(store: ContentStore, manifest: Manifest, reference: Reference) -> Image:
    if not manifest.is_image or manifest.config is None:
        raise Unsupported("an artifact, not an image", got=manifest.artifact_type, reference=reference)
    return Image(manifest, parse_config(await store.read(manifest.config, limit=MAX_BYTES)))
