"""pushcontent: an image or index of the store as it is, byte for byte: blobs first, then manifests, the name last."""

from dataclasses import dataclass, field

import anyio

from puller.contracts.content import ContentStore, Lease
from puller.errors import ContentMissing, Unsupported
from puller.legacy.schema1 import parse_signed_manifest
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest, TarsumDigest
from puller.model.document import MAX_BYTES
from puller.model.event import Planned
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.model.push import Arrival
from puller.model.reference import Reference
from puller.ops.pushing.ledger import PushLedger
from puller.ops.pushing.uploading import Registry, send_blob
from puller.ops.tasks import one_error
from puller.ops.unpacking.stored import MAX_NESTING

_PULL = "Pull it again: only what is missing is fetched."


@dataclass(slots=True)
class _Plan:
    """What there is to bring: documents with what they refer to before them, and blobs, each once."""

    documents: dict[Digest, tuple[str, Descriptor, bytes]] = field(default_factory=dict)
    blobs: dict[Digest, tuple[str, Descriptor]] = field(default_factory=dict)


class ContentPush:
    """Pushes one content image to one name. `sparse`: of an index, leave out what is not here."""

    def __init__(
        self,
        reference: Reference,
        store: ContentStore,
        lease: Lease,
        registry: Registry,
        ledger: PushLedger,
        *,
        limiter: anyio.CapacityLimiter,
        sparse: bool = False,
    ) -> None:
        self._reference = reference
        self._store = store
        self._lease = lease
        self._registry = registry
        self._ledger = ledger
        self._limiter = limiter
        self._sparse = sparse

    async def run(self, root: Descriptor) -> None:
        """Push all of `root`. Raises any PullerError; then the name has not moved."""
        plan = _Plan()
        await self._lease.hold([root.digest])
        await self._gather(root, "", plan, nesting=0)
        ledger = self._ledger
        *inner, (role, root, raw) = plan.documents.values()  # with its payload's digest, where that is its name
        ledger.root = root
        ledger.tell(Planned(self._reference, root, (), tuple(plan.blobs.values())))
        with one_error():
            async with anyio.create_task_group() as group:
                for name, blob in plan.blobs.values():
                    group.start_soon(self._blob, name, blob)
        for name, descriptor, document in inner:
            await self._document(name, descriptor, document, str(descriptor.digest))
        await self._document(role, root, raw, self._reference.tag or str(root.digest))

    async def _gather(self, descriptor: Descriptor, role: str, plan: _Plan, *, nesting: int) -> None:
        if nesting > MAX_NESTING:
            raise Unsupported("index within index", wanted=f"at most {MAX_NESTING} deep", digest=descriptor.digest)
        if descriptor.digest in plan.documents:
            return
        raw = await self._store.read(descriptor, limit=MAX_BYTES)
        if descriptor.media_type in mediatype.SCHEMA1_MANIFESTS:
            await self._gather_schema1(descriptor, raw, plan)
            return
        document = parse_manifest(raw, descriptor.media_type)
        await self._lease.hold([child.digest for child in document.children])
        if isinstance(document, Index):
            for entry in document.manifests:
                await self._entry(entry, plan, nesting=nesting)
        else:
            self._gather_blobs(document, role, plan)
        kind = "index" if isinstance(document, Index) else "manifest"
        sized = Descriptor(document.media_type, descriptor.digest, len(raw))
        plan.documents[descriptor.digest] = f"{kind} {role}".rstrip(), sized, raw

    async def _entry(self, entry: Descriptor, plan: _Plan, *, nesting: int) -> None:
        role = str(entry.platform) if entry.platform is not None else ""
        if await self._store.exists(entry):
            await self._gather(entry, role, plan, nesting=nesting + 1)
        elif not self._sparse and not await self._registry.exists(entry):
            raise ContentMissing(
                "an image of the index is not here, nor in the registry",
                where=role or None,
                digest=entry.digest,
                hint="Pull it with --all-platforms first, or push what is here: --sparse.",
            )

    def _gather_blobs(self, manifest: Manifest, role: str, plan: _Plan) -> None:
        what = "layer" if manifest.is_image else "blob"
        if manifest.config is not None:
            plan.blobs.setdefault(manifest.config.digest, ("config", manifest.config))
        for place, layer in enumerate(manifest.layers, 1):
            name = f"{what} {place}" if len(manifest.layers) > 1 else what
            # What its registry may not hand out lies elsewhere (image-spec layer.md): nobody pushes it.
            if not (mediatype.is_foreign(layer.media_type) and layer.urls):
                plan.blobs.setdefault(layer.digest, (name, layer))

    async def _gather_schema1(self, descriptor: Descriptor, raw: bytes, plan: _Plan) -> None:
        manifest = parse_signed_manifest(raw)
        for place, name in enumerate(dict.fromkeys(reversed(manifest.blob_names())), 1):
            if isinstance(name, TarsumDigest):
                what = "layers that are named by tarsum cannot be pushed as they are"
                raise Unsupported(what, got=name, hint="Registries of today know no such names: --format schema2.")
            await self._lease.hold([name])
            plan.blobs.setdefault(name, (f"layer {place}", Descriptor(mediatype.OCTETS, name)))
        named = Descriptor(descriptor.media_type, manifest.digest, len(raw))
        plan.documents[named.digest] = "manifest", named, raw

    async def _blob(self, role: str, blob: Descriptor) -> None:
        async with self._limiter:
            started = self._ledger.now()
            if await self._store.exists(blob):
                arrival: tuple[Arrival, int] = await send_blob(
                    self._store, self._registry, blob, report=self._ledger.tell
                )
            elif await self._registry.exists(blob):
                arrival = "exists", 0
            else:
                what = "a blob is not in the store, nor in the registry"
                raise ContentMissing(what, where=role, digest=blob.digest, hint=_PULL)
            self._ledger.add(role, blob, arrival, started)

    async def _document(self, role: str, descriptor: Descriptor, raw: bytes, name: str) -> None:
        self._ledger.add(role, descriptor, *await put_once(self._registry, descriptor, raw, name, self._ledger))


async def put_once(
    registry: Registry, descriptor: Descriptor, raw: bytes, name: str, ledger: PushLedger
) -> tuple[tuple[Arrival, int], float]:
    """Put a manifest where the registry has not that very one under `name`; how it is there, and since when."""
    started = ledger.now()
    pinned = name == str(descriptor.digest)
    there = await registry.exists(descriptor) if pinned else await registry.named(name) == descriptor.digest
    if there:
        return ("exists", 0), started
    await registry.put_manifest(raw, descriptor, name)
    return ("pushed", len(raw)), started
