"""convert: an image of the old world becomes one of today; and one of today changes from Docker's types to OCI's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from puller.archive.item import Stream
from puller.contracts.content import Lease
from puller.errors import InvalidReference, Unsupported
from puller.legacy.schema1 import parse_signed_manifest
from puller.legacy.v1image import V1Image
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.event import unheard
from puller.model.facts import Facts
from puller.model.mediatype import SCHEMA1_MANIFESTS, is_index
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.held import held_line
from puller.ops.graphs.layers import GraphLayers
from puller.ops.graphs.names import Found, find, name_content
from puller.ops.pulling.transfer import Poured
from puller.ops.pulling.watch import LayerWatch, stop_when_cancelled
from puller.ops.saving.layers import blob_stream
from puller.ops.saving.modernise import (
    CONFIG,
    LAYER,
    MANIFEST,
    Form,
    Modern,
    Old,
    Turned,
    encode_manifest,
    graph_chain,
    manifest_chain,
    modernised,
)
from puller.ops.saving.platforms import chosen, platform_of, refuse_other
from puller.ops.tasks import apart
from puller.store.disk import DiskStore
from puller.stream.layer import LayerReader


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of it. `old_id` is the image ID before; `layers`, base first, pair old IDs with new layers.

    `reused` counts the layers whose blobs were here already; `moved`: the name was the old image's until now.
    """

    reference: Reference
    old_id: str
    image_id: Digest
    manifest: Descriptor
    layers: tuple[Turned, ...]
    reused: int
    moved: bool


async def convert(
    text: str,
    form: Form,
    store: DiskStore,
    graph: Graph,
    *,
    name: Reference | None = None,
    platform: Platform | None = None,
) -> Converted:
    """Make a modern image of `text` and name it `name`, or as the old one was called, which loses that name.

    Blobs are used as they are; a layer of which there is none is stored uncompressed. The same image gives the same
    digests each time. Raises ContentMissing, InvalidReference for an image without a name that is given none,
    InvalidManifest where history and layers do not pair up (THREATS C19), Unsupported for what has no such form.
    """
    found = await find(text, store, graph)
    reference = name or found.reference
    if reference is None or (name is None and reference.digest is not None):
        raise InvalidReference("the new image needs a name", reference=text, hint="Give one as the last word.")

    async def work() -> Converted:
        async with store.lease() as lease, _modern(found, form, store, graph, lease, platform) as (old_id, modern):
            await lease.hold([*modern.blobs, modern.config.digest, modern.descriptor.digest])
            reused = [await _keep(store, turned, modern.blobs) for turned in modern.turned if turned.layer is not None]
            await _put(store, modern.config, modern.config_raw)
            await _put(store, modern.descriptor, modern.manifest)
            await name_content(reference, modern.descriptor, store, graph)
        return Converted(
            reference,
            old_id,
            modern.config.digest,
            modern.descriptor,
            modern.turned,
            reused.count(True),
            moved=reference == found.reference,
        )

    return await apart(work)


@asynccontextmanager
async def _modern(
    found: Found, form: Form, store: DiskStore, graph: Graph, lease: Lease, platform: Platform | None
) -> AsyncIterator[tuple[str, Modern]]:
    """The old image's ID, and the new image; what it is made of is held while the block runs."""
    if found.image_id is not None:
        async with held_line(found.image_id, graph, lease) as line:
            refuse_other(platform_of(line[0].image), platform, text=found.text)
            chain = await graph_chain(line, GraphLayers(graph), store)
            yield found.image_id, modernised(chain, form)
        return
    assert found.descriptor is not None
    await lease.hold([found.descriptor.digest])
    if found.descriptor.media_type in SCHEMA1_MANIFESTS:
        chain = await _chain_of_manifest(found.descriptor, store, lease)
        refuse_other(platform_of(V1Image.decode_stream(chain[-1].text)), platform, text=found.text)
        yield chain[-1].image_id, modernised(chain, form)
        return
    if is_index(found.descriptor.media_type) and platform is None:
        raise Unsupported("an index has no other form", reference=found.text, hint="Choose an image: --platform.")
    yield await _rewritten(found, found.descriptor, form, store, lease, platform)


async def _chain_of_manifest(descriptor: Descriptor, store: DiskStore, lease: Lease) -> list[Old]:
    manifest = parse_signed_manifest(await store.read(descriptor, limit=MAX_BYTES))
    facts = await store.facts(descriptor.digest)
    names = manifest.blob_names()
    await lease.hold([name for name in names if isinstance(name, Digest)] + [*(facts.labels or {}).values()])
    return await manifest_chain(manifest, facts, store)


async def _rewritten(
    found: Found, root: Descriptor, form: Form, store: DiskStore, lease: Lease, platform: Platform | None
) -> tuple[str, Modern]:
    """A content image under the other family's media types; config and layers stay the bytes they are."""
    descriptor, image = await chosen(root, store, platform, text=found.text)
    manifest, config = image.manifest, image.config
    assert manifest.config is not None
    assert config is not None
    await lease.hold([descriptor.digest, *(child.digest for child in manifest.children)])
    if manifest.media_type == MANIFEST[form]:
        raise Unsupported("the image has this form already", got=manifest.media_type, digest=descriptor.digest)
    layers = [_retyped(layer, form) for layer in manifest.layers]
    new_config = Descriptor(CONFIG[form], manifest.config.digest, manifest.config.size)
    raw = encode_manifest(form, new_config, layers)
    blobs = {layer.digest: await blob_stream(store, layer) for layer in layers}
    new = Descriptor(MANIFEST[form], Digest.of(raw), len(raw))
    turned = zip(manifest.layers, layers, config.diff_ids, strict=True)
    pairs = tuple(Turned(str(old.digest), layer, diff_id) for old, layer, diff_id in turned)
    old_id = str(manifest.config.digest)
    return old_id, Modern(new, raw, new_config, config.raw, blobs, pairs)


def _retyped(layer: Descriptor, form: Form) -> Descriptor:
    other: Form = "oci" if form == "docker" else "docker"
    for compression, media_type in LAYER[other].items():
        if layer.media_type == media_type:
            return Descriptor(LAYER[form][compression], layer.digest, layer.size)
    raise Unsupported("a layer of a type that the other form does not have", got=layer.media_type, digest=layer.digest)


async def _keep(store: DiskStore, turned: Turned, blobs: dict[Digest, Stream]) -> bool:
    """Store a layer where its blob is not here; whether it was."""
    assert turned.layer is not None
    watch = LayerWatch(LayerReader(promised="none", pulse=stop_when_cancelled), expected=turned.diff_id)
    async with store.ingest(turned.layer, watch) as ingest:
        if ingest is None:
            return True
        await blobs[turned.layer.digest].feed(Poured(ingest, turned.layer, unheard))
        await ingest.commit()
    await store.prove(turned.layer.digest, replace(watch.facts, verified=True))
    return False


async def _put(store: DiskStore, descriptor: Descriptor, raw: bytes) -> None:
    async with store.ingest(descriptor) as ingest:
        if ingest is not None:
            await ingest.write(raw)
            await ingest.commit()
    await store.prove(descriptor.digest, Facts(verified=True))
