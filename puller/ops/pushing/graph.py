"""pushgraph: an image of a graph, as schema 1 as Docker 1.8 and 1.9 pushed it, or as an image of today (LEGACY.md d.9).

A layer goes as the blob it came in while the store has that; else uncompressed, as the graph puts it together. Where
nobody has said a layer's digest it is computed now, once, and kept.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import anyio

from puller.archive.item import Stream
from puller.contracts.content import Lease
from puller.contracts.graph import GraphImage
from puller.contracts.images import ImageTarget
from puller.errors import ContentCorrupt, InvalidDigest
from puller.graph.checksum import layer_digest
from puller.graph.keyfile import signing_key
from puller.legacy.schema1 import encode_manifest
from puller.legacy.signing import Signer, SigningKey, sign
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest, TarsumDigest
from puller.model.event import Planned
from puller.model.facts import Facts
from puller.model.mediatype import DOCKER_PLAIN_LAYER, OCTETS, SCHEMA1_SIGNED
from puller.model.push import Arrival, Form
from puller.model.reference import Reference
from puller.ops.copying.sending import put_once, send_blob, send_bytes, send_stream
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.held import held_line
from puller.ops.graphs.layers import GraphLayers, blob_of
from puller.ops.pulling.watch import stop_when_cancelled
from puller.ops.pushing.ledger import PushLedger
from puller.ops.saving.modernise import Modern, graph_chain, modernised
from puller.ops.tasks import one_error

Clock: TypeAlias = Callable[[], datetime]


def _utc() -> datetime:
    return datetime.now(UTC)


class GraphPush:
    """Pushes one graph image to one name. `now` is what its signature claims."""

    def __init__(
        self,
        reference: Reference,
        graph: Graph,
        lease: Lease,
        registry: ImageTarget,
        ledger: PushLedger,
        *,
        limiter: anyio.CapacityLimiter,
        now: Clock = _utc,
    ) -> None:
        self._reference = reference
        self._graph = graph
        self._store = graph.store
        self._lease = lease
        self._registry = registry
        self._ledger = ledger
        self._limiter = limiter
        self._now = now
        self._layers = GraphLayers(graph)

    async def run(self, image_id: str, form: Form) -> None:
        """Push the image and all below it. Raises any PullerError; then the name has not moved."""
        async with held_line(image_id, self._graph, self._lease) as line:
            self._ledger.graph_id = image_id
            line = [await self._with_checksum(image) for image in line]
            if form == "schema1":
                await self._as_schema1(line)
            else:
                await self._as_modern(line, form)

    async def _with_checksum(self, image: GraphImage) -> GraphImage:
        """The image with a digest of its layer, computed now where nobody has said one (lazily, as d.9)."""
        if _checksum_of(image) is not None:
            return image
        graph, read = self._graph, 0

        def told(size: int) -> None:
            nonlocal read
            stop_when_cancelled()
            read = size

        async with graph.making(image.image_id):
            if image.checksum is not None:
                # A tarsum that Docker before 1.6 kept: registries of today know no such names.
                stream = await self._layers.stream(image)
                read = stream.size
                await graph.run(graph.images.set_checksum, image.image_id, str(stream.digest))
            else:
                await graph.run(layer_digest, graph.images, image.image_id, told)
            image = await graph.run(graph.images.get, image.image_id)
        digest = blob_of(image)
        self._ledger.hashed += read
        if read and digest is not None:
            await self._store.prove(digest, Facts(diff_id=digest, unpacked_size=read, verified=True))
        return image

    # --- schema 1 --------------------------------------------------------------------------------------------------

    async def _as_schema1(self, line: Sequence[GraphImage]) -> None:
        graph, ledger = self._graph, self._ledger
        digests: dict[str, Digest] = {}

        async def bring(role: str, image: GraphImage) -> None:
            async with self._limiter:
                digests[image.image_id] = await self._old_layer(role, image)

        with one_error():
            async with anyio.create_task_group() as group:
                for place, image in enumerate(reversed(line), 1):
                    group.start_soon(bring, f"layer {place}", image)
        texts = {}
        for image in reversed(line):
            async with graph.making(image.image_id):
                text = await graph.run(graph.images.generate_v1_compatibility, image.image_id)
            texts[image.image_id] = text
        key = await graph.run(signing_key, self._store.layout.root / "key.json")
        descriptor, raw = self._signed(line, digests, texts, key)
        ledger.root, ledger.image_id = descriptor, line[0].image_id
        name = self._reference.tag or "latest"
        started = ledger.now()
        ledger.add("manifest", descriptor, await put_once(raw, self._registry, descriptor, name), started)

    def _signed(
        self, line: Sequence[GraphImage], digests: dict[str, Digest], texts: dict[str, bytes], key: SigningKey
    ) -> tuple[Descriptor, bytes]:
        payload = encode_manifest(
            self._reference.repository,
            self._reference.tag or "latest",
            str(line[0].image.values["architecture"]),
            [str(digests[image.image_id]) for image in line],
            [texts[image.image_id] for image in line],
        )
        raw = sign(payload, [Signer(key)], at=self._now())
        return Descriptor(SCHEMA1_SIGNED, Digest.of(payload), len(raw)), raw

    async def _old_layer(self, role: str, image: GraphImage) -> Digest:
        """Have the layer of an image in the registry; the digest it has there."""
        ledger, digest = self._ledger, _digest_of(image)
        started = ledger.now()
        wanted = Descriptor(OCTETS, digest, await self._store.size(digest))
        arrival: tuple[Arrival, int] = ("exists", 0)
        if wanted.size is not None:
            arrival = await send_blob(self._store, self._registry, wanted, report=ledger.tell)
        if wanted.size is not None or await self._registry.exists(wanted):
            ledger.add(role, wanted, arrival, started, image_id=image.image_id)
            return digest
        plain = await self._plain(image)
        plain_descriptor = Descriptor(DOCKER_PLAIN_LAYER, plain.digest, plain.size)
        arrival = await send_stream(plain, self._registry, OCTETS, report=ledger.tell)
        ledger.add(role, plain_descriptor, arrival, started, image_id=image.image_id)
        if plain.digest != digest:
            async with self._graph.making(image.image_id):
                await self._graph.run(self._graph.images.set_checksum, image.image_id, str(plain.digest))
            ledger.warn(
                f"the layer of {image.image_id[:12]} went uncompressed, since its blob {digest.short} is not here:"
                f" its checksum is {plain.digest} now, and a pull of what it was pulled from takes it for another image"
            )
        return plain.digest

    # --- schema 2 and OCI ------------------------------------------------------------------------------------------

    async def _as_modern(self, line: Sequence[GraphImage], form: Form) -> None:
        ledger = self._ledger
        for image in line:
            await self._count(image)
        modern = modernised(await graph_chain(line, self._layers, self._store), "oci" if form == "oci" else "docker")
        ids = {turned.layer.digest: turned.image_id for turned in reversed(modern.turned) if turned.layer is not None}
        steps = [(f"layer {place}", layer) for place, layer in enumerate(_layers_of(modern), 1)]
        ledger.root, ledger.image_id = modern.descriptor, str(modern.config.digest)
        await self._lease.hold([layer.digest for _, layer in steps])
        ledger.tell(Planned(self._reference, modern.descriptor, (), tuple(steps)))

        async def bring(role: str, layer: Descriptor) -> None:
            async with self._limiter:
                started = ledger.now()
                arrival = await send_stream(
                    modern.blobs[layer.digest], self._registry, layer.media_type, report=ledger.tell
                )
                ledger.add(role, layer, arrival, started, image_id=ids[layer.digest])

        with one_error():
            async with anyio.create_task_group() as group:
                for role, layer in steps:
                    group.start_soon(bring, role, layer)
        started = ledger.now()
        arrival = await send_bytes(modern.config_raw, self._registry, modern.config, report=ledger.tell)
        ledger.add("config", modern.config, arrival, started)
        name = self._reference.tag or "latest"
        started = ledger.now()
        put = await put_once(modern.manifest, self._registry, modern.descriptor, name)
        ledger.add("manifest", modern.descriptor, put, started)

    # --- layers ----------------------------------------------------------------------------------------------------

    async def _plain(self, image: GraphImage) -> Stream:
        await self._count(image)
        return await self._layers.stream(image)

    async def _count(self, image: GraphImage) -> None:
        """Note what `GraphLayers` is about to read because nobody knows what the layer is, uncompressed."""
        digest = _digest_of(image)
        known = await self._store.facts(digest)
        stored = await self._store.size(digest)
        if stored is not None:
            self._ledger.hashed += 0 if known.verified and known.diff_id is not None else stored
            return
        stream = await self._layers.stream(image)
        exact = await self._graph.run(self._graph.images.is_exact, image.image_id)
        if not (exact and known.verified and known.diff_id is not None and known.unpacked_size is not None):
            self._ledger.hashed += stream.size


def _checksum_of(image: GraphImage) -> Digest | None:
    """What the file `checksum` says; None where it says nothing of use. Raises ContentCorrupt for any other text."""
    digest = blob_of(image)
    if digest is None and image.checksum:
        try:
            TarsumDigest.parse(image.checksum)
        except InvalidDigest as error:
            what = f"error getting image checksum: {error.what}"
            raise ContentCorrupt(what, where=image.image_id, got=image.checksum[:80]) from error
    return digest


def _digest_of(image: GraphImage) -> Digest:
    digest = blob_of(image)
    if digest is None:
        raise ContentCorrupt("the image has no checksum", where=image.image_id)
    return digest


def _layers_of(modern: Modern) -> list[Descriptor]:
    """The layers of an image, each once, base first."""
    found = {turned.layer.digest: turned.layer for turned in modern.turned if turned.layer is not None}
    return list(found.values())
