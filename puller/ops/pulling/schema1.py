"""The part of a pull that a schema 1 manifest takes: verified, its IDs computed, its images reused or registered.

The manifest is held to what names it and to its signatures first, and only its payload is read (LEGACY.md c.3). Its
IDs follow from content; what the graph has under them, or under the IDs that old programs gave, is judged before it is
reused (c.6, c.7). Layers that nobody has are fetched, verified and registered, base first. The names come last: the
graph's, then the store's own, which stands for the manifest as it was served.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

import anyio

from puller.errors import (
    DigestMismatch,
    InvalidConfig,
    InvalidManifest,
    MediaTypeMismatch,
    SizeMismatch,
    Unsupported,
    WeakDigest,
)
from puller.legacy.idchain import Candidate, id_chain
from puller.legacy.reuse import Choice
from puller.legacy.schema1 import SignedManifest, parse_signed_manifest
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest, TarsumDigest
from puller.model.document import MAX_BYTES
from puller.model.event import Planned, Resolved, unheard
from puller.model.facts import Facts
from puller.model.manifest import kind_of
from puller.model.mediatype import OCTETS, SCHEMA1_MANIFESTS
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.model.report import WEAK, Check, Origin, PullReport
from puller.model.text import printable
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import name_content, name_pulled
from puller.ops.graphs.places import place_of
from puller.ops.pulling.chain import Link, Registrar
from puller.ops.pulling.choosing import chosen, disk_proof
from puller.ops.pulling.gate import Gate
from puller.ops.pulling.labelled import Labelled
from puller.ops.pulling.layers import Layers
from puller.ops.pulling.plan import Step, Wish
from puller.ops.pulling.transfer import Transferred, copy_blob
from puller.ops.tasks import one_error
from puller.registry.download.kept import KeptBody

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """A manifest as it came: from a registry, or out of the store."""

    raw: bytes
    media_type: str
    manifest: SignedManifest
    origin: Origin | None


class Schema1Pull:
    """Pulls one reference whose manifest is of schema 1. `graph` None: blobs and manifest only, nothing is unpacked;
    then `beside` is a graph that may have another image under the name.
    """

    def __init__(
        self,
        reference: Reference,
        wish: Wish,
        gate: Gate,
        layers: Layers,
        graph: Graph | None,
        *,
        limiter: anyio.CapacityLimiter,
        beside: Graph | None = None,
    ) -> None:
        self._reference = reference
        self._wish = wish
        self._gate = gate
        self._layers = layers
        self._labelled = Labelled(gate, limiter, reference.registry, max_unpacked=wish.max_unpacked)
        self._graph = graph
        self._beside = beside
        self._arrived: dict[str, Descriptor] = {}
        self._news: dict[str, anyio.Event] = {}

    async def run(self, root: Descriptor) -> PullReport:
        """Pull what `root` describes: by the registry's word, or as the store has it."""
        gate = self._gate
        started = gate.ledger.now()
        served = await self._manifest(root)
        manifest = served.manifest
        named = Descriptor(served.media_type, manifest.digest, len(served.raw))
        gate.ledger.root = named
        gate.ledger.tell(Resolved(self._reference, named))
        self._tell_manifest(served, named, started)
        blobs = dict(zip(manifest.blobs, manifest.blob_names(), strict=True))
        self._tell_weakness([blob for blob in blobs.values() if isinstance(blob, TarsumDigest)])
        chain = id_chain(manifest.layers())
        async with self._choosing(chain) as choices:
            links = [
                Link(f"layer {place}", candidate, choice, blobs[candidate.layer.blob])
                for place, (candidate, choice) in enumerate(zip(chain, choices, strict=True), 1)
            ]
            registrar = None if self._graph is None else Registrar(self._graph, gate.ledger)
            self._refuse_what_cannot_be_written(choices)
            await self._bring(named, links, registrar)
            gate.ledger.warn_of_altered_images()
            await self._keep(served)
            if self._graph is not None and registrar is not None:
                await self._name(self._graph, served, links[-1].choice.image_id, is_new=registrar.is_new)
            elif self._beside is not None:
                await name_content(self._reference, _stored(served), self._beside.store, self._beside)
            else:
                await gate.store.tag(self._reference, _stored(served))
        return gate.ledger.done()

    def _refuse_what_cannot_be_written(self, choices: Sequence[Choice]) -> None:
        """Before anything is fetched for a graph that takes no images."""
        if self._graph is None or self._graph.images.driver.is_writable:
            return
        lacking = [choice.image_id for choice in choices if not choice.is_present]
        if lacking:
            raise Unsupported(
                f"images of Docker's {self._graph.images.driver.name} driver can only be read",
                where=self._graph.place,
                wanted=f"{lacking[0]}, which is not there",
                hint="Leave out --graph; or have that Docker write them with `docker save`, and `puller load` that.",
            )

    async def _manifest(self, root: Descriptor) -> Served:
        gate, pinned = self._gate, self._reference.digest
        origin: Origin | None = None
        if await gate.store.exists(root):
            raw = await gate.store.read(root, limit=MAX_BYTES)
            expected = pinned
        else:
            raw, origin = await self._fetched(root)
            # Where a registry names no digest its client makes one of all bytes, signatures included.
            expected = pinned or (None if root.digest == Digest.of(raw) else root.digest)
        manifest = parse_signed_manifest(raw, expected=expected, require_signature=self._wish.signed)
        if kind_of(manifest.payload) not in SCHEMA1_MANIFESTS:  # THREATS C4: not one of today's under an old name
            raise MediaTypeMismatch("the document is of another kind", wanted=root.media_type)
        return Served(raw, root.media_type, manifest, origin)

    async def _fetched(self, root: Descriptor) -> tuple[bytes, Origin]:
        raw = bytearray()
        async with self._gate.source.fetch(root) as body:
            async for chunk in body:
                raw += chunk
                if len(raw) > MAX_BYTES:
                    raise InvalidManifest("schema 1 manifest is too large", wanted=f"at most {MAX_BYTES} bytes")
            return bytes(raw), body.origin

    def _tell_manifest(self, served: Served, named: Descriptor, started: float) -> None:
        manifest, ledger = served.manifest, self._gate.ledger
        fetched = None if served.origin is None else Transferred(named, 0, len(served.raw), served.origin)
        signers = ", ".join(manifest.key_ids)
        checks = (
            Check("digest", str(self._reference.digest or named.digest), str(named.digest), passed=True),
            Check("signature", None, signers or None, True if signers else None, note="" if signers else "not signed"),
        )
        ledger.add(Step("manifest", named), fetched, checks, started)
        if not signers:
            ledger.warn("the manifest is not signed")
        if manifest.ignored:
            ledger.warn(f"keys outside of what was signed were not read: {', '.join(manifest.ignored)}")
        own = self._platform(manifest.architecture)
        if own is not None:
            ledger.platforms = (own,)
            wishes = self._wish.platforms or ()
            if wishes and all(own.serves(wanted) is None for wanted in wishes):
                wanted = ", ".join(map(str, wishes))
                ledger.warn(f"the image is for {own}, not for {wanted}, and there is no other")

    def _platform(self, architecture: str) -> Platform | None:
        """What the manifest says it is for; Docker did not ask."""
        try:
            return Platform.parse(f"linux/{architecture}") if architecture else None
        except InvalidConfig:
            self._gate.ledger.warn(
                f"the manifest names an impossible architecture: {printable(architecture, limit=80)}"
            )
            return None

    def _tell_weakness(self, weak: Sequence[TarsumDigest]) -> None:
        if not weak:
            return
        if self._wish.strong:
            raise WeakDigest(
                "the manifest names a layer by tarsum only",
                wanted="sha256 or sha512 digests",
                got=weak[0],
                hint="Ask for an image of schema 2 or OCI: its owner can push it again with a tool of today.",
            )
        self._gate.ledger.warn(f"{WEAK}: {len(weak)} of the layers are named by nothing else")

    def _choosing(self, chain: Sequence[Candidate]) -> AbstractAsyncContextManager[Sequence[Choice]]:
        graph = self._graph
        if graph is None:
            below = [None, *(candidate.strong_id for candidate in chain)]
            plain = [
                Choice(one.strong_id, parent, "strong ID", False) for one, parent in zip(chain, below, strict=False)
            ]
            return nullcontext(plain)
        return chosen(chain, graph, verify=self._proof if self._wish.verify_disk else None, log=logger.debug)

    async def _proof(self, image_id: str, candidate: Candidate) -> str | None:
        """Why the layer on the disk is not the one that the manifest names; None where it is."""
        assert self._graph is not None
        checksum = candidate.layer.blob
        diff_id = None
        if not checksum.startswith("tarsum"):
            diff_id = (await self._gate.store.facts(Digest.parse(checksum))).diff_id
        return await disk_proof(self._graph, image_id, diff_id=diff_id, checksum=checksum)

    async def _bring(self, named: Descriptor, links: Sequence[Link], registrar: Registrar | None) -> None:
        """Fetch what is missing, and register each image as soon as its layer and its parent are there."""
        ledger = self._gate.ledger
        missing = {str(link.blob): link for link in reversed(links) if not link.choice.is_present}
        wanted = [link for link in links if missing.get(str(link.blob)) is link]
        steps = [Step(link.role, Descriptor(OCTETS, link.blob)) for link in wanted if isinstance(link.blob, Digest)]
        labels = [link for link in wanted if isinstance(link.blob, TarsumDigest)]
        self._news = {str(link.blob): anyio.Event() for link in wanted}
        told = tuple((step.role, step.descriptor) for step in steps)
        ledger.tell(Planned(self._reference, named, ledger.platforms, told))
        logger.debug("Pulling from %s", self._reference.repository)
        with one_error():
            async with anyio.create_task_group() as group:
                group.start_soon(self._layers_by_digest, steps)
                for link in labels:
                    group.start_soon(self._layer_by_label, link)
                if registrar is not None:
                    group.start_soon(registrar.put, links, self._ready)

    async def _layers_by_digest(self, steps: Sequence[Step]) -> None:
        try:
            await self._layers.bring(steps, self._came)
        except (DigestMismatch, SizeMismatch) as error:
            error.what = f"filesystem layer verification failed for digest {error.digest}"
            raise

    async def _layer_by_label(self, link: Link) -> None:
        self._settle(str(link.blob), await self._labelled.bring(link.role, link.candidate.layer.blob))

    def _came(self, digest: Digest) -> None:
        self._settle(str(digest), Descriptor(OCTETS, digest))

    def _settle(self, blob: str, descriptor: Descriptor) -> None:
        self._arrived[blob] = descriptor
        self._news[blob].set()

    async def _ready(self, link: Link) -> Descriptor:
        await self._news[str(link.blob)].wait()
        return self._arrived[str(link.blob)]

    async def _keep(self, served: Served) -> None:
        """Have the manifest in the store, with what is to be known of the blobs it names."""
        store, stored = self._gate.store, _stored(served)
        await self._gate.lease.hold([stored.digest])
        await copy_blob(_Raw(served), store, stored, report=unheard)
        named = dict.fromkeys(served.manifest.blob_names())
        digests = [blob for blob in named if isinstance(blob, Digest)]
        lacking = [digest for digest in digests if not await store.exists(Descriptor(OCTETS, digest))]
        weak = [str(blob) for blob in named if isinstance(blob, TarsumDigest)]
        labels = {label: self._arrived[label].digest for label in weak if label in self._arrived}
        await store.prove(
            stored.digest, Facts(verified=True, labels=labels if weak else None, discarded=tuple(lacking))
        )

    async def _name(self, graph: Graph, served: Served, image_id: str, *, is_new: bool) -> None:
        """Give the image its names, and say what Docker said then."""
        reference = self._reference
        known = await graph.run(graph.tags.get, *place_of(reference))
        await name_pulled(reference, image_id, _stored(served), graph.store, graph)
        said = "Downloaded newer image for" if is_new or known is None else "Image is up to date for"
        self._gate.ledger.status = f"{said} {reference.familiar()}"


def _stored(served: Served) -> Descriptor:
    """The manifest as the store has it: under the digest of all its bytes, signatures included."""
    return Descriptor(served.media_type, Digest.of(served.raw), len(served.raw))


class _Raw:
    """A Fetcher of a manifest that is in memory."""

    def __init__(self, served: Served) -> None:
        self._served = served

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[KeptBody]:
        yield KeptBody(wanted, self._served.raw, self._served.origin or Origin("store")).after(offset)
