"""pull: bring what a reference names into a store, every byte verified, the tag moved last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio

from puller.contracts.content import ContentStore, Lease, Source
from puller.errors import ContentCorrupt, ContentMissing, PullerError, Unsupported
from puller.model.config import parse_config
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.event import Planned, Report, Resolved, unheard
from puller.model.facts import Facts
from puller.model.manifest import Index, Manifest, parse_manifest, schema1_refusal
from puller.model.mediatype import OCTETS, SCHEMA1_MANIFESTS, compression_of
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.model.report import PullReport
from puller.ops.ledger import Ledger, content_checks, layer_checks
from puller.ops.plan import Depth, Image, Step, plan
from puller.ops.tasks import one_error
from puller.ops.transfer import Transferred, copy_blob
from puller.ops.watch import DocumentWatch, LayerWatch, check_diff_id
from puller.stream.layer import LayerReader

MAX_NESTING = 4  # an index of indexes of … (THREATS C10)
MAX_DOCUMENTS = 1_000
DEFAULT_JOBS = 3  # as docker does

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a reference is wanted: `platforms` None means all of them."""

    platforms: Sequence[Platform] | None
    depth: Depth = Depth.FULL


async def pull(
    reference: Reference,
    source: Source,
    store: ContentStore,
    wish: Wish,
    *,
    limiter: anyio.CapacityLimiter | None = None,
    report: Report = unheard,
) -> PullReport:
    """Pull `reference` from `source` into `store`; `limiter` bounds how many blobs flow at once (3 without one).

    A digest decides over a tag that stands beside it; a digest-pinned reference that is wholly in the store makes no
    request. Blobs that were verified stay in the store when the pull fails, so a second try does not fetch them again;
    the tag moves only when everything it needs is here. Raises any PullerError; of several the gravest.
    """
    reference = reference.tagged()
    ledger = Ledger(reference, report)
    reports: list[PullReport] = []

    async def work() -> None:
        async with store.lease() as lease:
            blobs = limiter or anyio.CapacityLimiter(DEFAULT_JOBS)
            reports.append(await _Pull(reference, source, store, wish, blobs, ledger, lease).run())

    try:
        # In a task of its own: asyncio's own cancel breaks through the shields of clean-up, a task group's does not.
        with one_error():
            async with anyio.create_task_group() as group:
                group.start_soon(work)
    except PullerError as error:
        error.at(reference=reference)
        ledger.failed(error)
        raise
    return reports[0]


class _Pull:
    def __init__(
        self,
        reference: Reference,
        source: Source,
        store: ContentStore,
        wish: Wish,
        limiter: anyio.CapacityLimiter,
        ledger: Ledger,
        lease: Lease,
    ) -> None:
        self._reference = reference
        self._source = source
        self._store = store
        self._wish = wish
        self._limiter = limiter
        self._ledger = ledger
        self._lease = lease
        self._documents = 0
        self._indexes: list[tuple[Descriptor, Index]] = []
        self._complete: set[Digest] = set()

    async def run(self) -> PullReport:
        root = await self._resolve()
        document = await self._manifest("index or manifest", root)
        root = replace(root, media_type=document.media_type, size=len(document.raw))
        self._ledger.root = root
        self._ledger.tell(Resolved(self._reference, root))
        manifests = await self._select(root, document, nesting=0)
        images = [await self._image(descriptor, manifest) for descriptor, manifest in manifests]
        platforms = tuple(i.config.platform for i in images if i.config is not None and i.config.platform is not None)
        self._ledger.platforms = platforms
        steps = plan(images)
        self._ledger.tell(Planned(self._reference, root, platforms, tuple((s.role, s.descriptor) for s in steps)))
        await self._layers(steps)
        await self._record_absent()
        await self._tag(root)
        return self._ledger.done()

    async def _resolve(self) -> Descriptor:
        pinned = self._reference.digest
        if pinned is None:
            return await self._source.resolve(self._reference)
        if self._reference.tag is not None:
            self._ledger.warn(f"the digest decides: tag {self._reference.tag} was neither asked for nor moved")
        await self._lease.hold([pinned])
        try:
            return await self._store.resolve(_pin(self._reference))
        except (ContentMissing, ContentCorrupt):
            return await self._source.resolve(self._reference)

    # -- documents: small, decoded before they exist ------------------------------------------------------------

    async def _manifest(self, role: str, wanted: Descriptor) -> Manifest | Index:
        self._documents += 1
        if self._documents > MAX_DOCUMENTS:
            raise Unsupported("too many manifests under one name", wanted=f"at most {MAX_DOCUMENTS}")
        if wanted.media_type in SCHEMA1_MANIFESTS:
            # Its digest is that of its payload without signatures, so no gate could find these bytes right.
            raise schema1_refusal(wanted.media_type)
        claimed = None if wanted.media_type in ("", OCTETS) else wanted.media_type
        return await self._document(role, wanted, lambda raw: parse_manifest(raw, claimed))

    async def _document(self, role: str, wanted: Descriptor, decode: Callable[[bytes], T]) -> T:
        if wanted.size is not None and wanted.size > MAX_BYTES:
            raise Unsupported(f"{role} is too large", wanted=f"at most {MAX_BYTES} bytes", got=wanted.size)
        started = self._ledger.now()
        await self._lease.hold([wanted.digest])
        value, transferred = await self._decoded(role, wanted, decode)
        self._ledger.add(
            Step(role, wanted),
            transferred,
            content_checks(wanted, transferred.descriptor if transferred else wanted),
            started,
        )
        return value

    async def _decoded(
        self, role: str, wanted: Descriptor, decode: Callable[[bytes], T]
    ) -> tuple[T, Transferred | None]:
        watches: list[DocumentWatch[T]] = []

        def watch() -> list[DocumentWatch[T]]:
            watches[:] = [DocumentWatch(decode, what=role)]
            return watches

        try:
            transferred = await self._copy(wanted, watch)
            if transferred is None:
                return decode(await self._store.read(wanted, limit=MAX_BYTES)), None
        except ContentCorrupt:
            await self._store.delete(wanted.digest)
            transferred = await self._copy(wanted, watch)
        except PullerError as error:
            raise error.at(digest=wanted.digest, phase=role) from error.__cause__
        value = watches[0].value
        assert value is not None  # commit has finished the watch
        return value, transferred

    async def _copy(self, wanted: Descriptor, watch: Callable[[], list[DocumentWatch[T]]]) -> Transferred | None:
        return await copy_blob(self._source, self._store, wanted, watch, report=self._ledger.tell)

    # -- which images ---------------------------------------------------------------------------------------------

    async def _select(
        self, root: Descriptor, document: Manifest | Index, *, nesting: int
    ) -> list[tuple[Descriptor, Manifest]]:
        if isinstance(document, Manifest):
            return [(root, document)]
        if nesting >= MAX_NESTING:
            raise Unsupported("index within index", wanted=f"at most {MAX_NESTING} deep", digest=root.digest)
        self._indexes.append((root, document))
        found: list[tuple[Descriptor, Manifest]] = []
        for entry in self._chosen(document):
            if entry.digest in self._complete:
                continue
            self._complete.add(entry.digest)
            role = "index" if entry.platform is None else f"manifest {entry.platform}"
            inner = await self._manifest(role, entry)
            found += await self._select(entry, inner, nesting=nesting + 1)
        return found

    def _chosen(self, index: Index) -> Sequence[Descriptor]:
        if self._wish.platforms is None:
            return index.manifests
        return [index.choose(platform) for platform in self._wish.platforms]

    async def _image(self, descriptor: Descriptor, manifest: Manifest) -> Image:
        if not manifest.is_image or manifest.config is None:
            return Image(manifest, None)
        config = await self._document("config", manifest.config, parse_config)
        if config.platform is not None:
            self._compare_platforms(descriptor.platform, config.platform)
        return Image(manifest, config)

    def _compare_platforms(self, promised: Platform | None, actual: Platform) -> None:
        if promised is not None and actual.serves(promised) is None:
            self._ledger.warn(f"the index promises {promised}, the image's config says {actual}")
        wishes = self._wish.platforms or ()
        if promised is None and wishes and all(actual.serves(wanted) is None for wanted in wishes):
            wanted = ", ".join(map(str, wishes))
            self._ledger.warn(f"the image is for {actual}, not for {wanted}; it comes in no other")

    # -- layers: large, in parallel ----------------------------------------------------------------------------------

    async def _layers(self, steps: Sequence[Step]) -> None:
        await self._lease.hold([step.descriptor.digest for step in steps])
        with one_error():
            async with anyio.create_task_group() as group:
                for step in steps:
                    group.start_soon(self._layer, step)

    async def _layer(self, step: Step) -> None:
        async with self._limiter:
            started = self._ledger.now()
            try:
                transferred, facts = await self._proved(step)
            except PullerError as error:
                raise error.at(digest=step.descriptor.digest, phase=step.role) from error.__cause__
        actual = transferred.descriptor if transferred else step.descriptor
        checks = layer_checks(step.diff_id, facts, self._wish.depth, step.reason)
        self._ledger.add(step, transferred, content_checks(step.descriptor, actual) + checks, started)

    async def _proved(self, step: Step) -> tuple[Transferred | None, Facts]:
        watches: list[LayerWatch] = []

        def watch() -> list[LayerWatch]:
            watches[:] = [self._watch(step)] if self._looks_into(step) else []
            return watches

        wanted = step.descriptor
        transferred = await copy_blob(self._source, self._store, wanted, watch, report=self._ledger.tell)
        if transferred is None:
            try:
                return None, await self._known(step)
            except ContentCorrupt:
                await self._store.delete(wanted.digest)
                transferred = await copy_blob(self._source, self._store, wanted, watch, report=self._ledger.tell)
        return transferred, await self._prove(wanted.digest, watches)

    async def _known(self, step: Step) -> Facts:
        """The facts of a blob that was here before; read again only where something is not known yet."""
        facts = await self._store.facts(step.descriptor.digest)
        if self._looks_into(step) and not self._suffices(facts, step):
            watch = self._watch(step)
            await self._store.watch(step.descriptor, watch)
            return await self._prove(step.descriptor.digest, [watch])
        check_diff_id(step.diff_id, facts)
        return facts

    async def _prove(self, digest: Digest, watches: Sequence[LayerWatch]) -> Facts:
        if not watches:
            return await self._store.facts(digest)
        await self._store.prove(digest, watches[0].facts)
        return watches[0].facts

    def _suffices(self, facts: Facts, step: Step) -> bool:
        if facts.diff_id is None or (step.diff_id is not None and facts.diff_id.algorithm != step.diff_id.algorithm):
            return False
        return self._wish.depth is not Depth.FULL or bool(facts.tarsum or facts.tarsum_refusal)

    def _looks_into(self, step: Step) -> bool:
        return step.is_layer and self._wish.depth is not Depth.DIGEST_ONLY

    def _watch(self, step: Step) -> LayerWatch:
        reader = LayerReader(
            promised=compression_of(step.descriptor.media_type),
            tarsum=self._wish.depth is Depth.FULL,
            algorithm=step.diff_id.algorithm if step.diff_id else "sha256",
        )
        return LayerWatch(reader, expected=step.diff_id)

    # -- the end -------------------------------------------------------------------------------------------------------

    async def _record_absent(self) -> None:
        """Of every index: what nobody has asked for so far is absent, not missing (RELIABILITY R2)."""
        for descriptor, index in self._indexes:
            before = (await self._store.facts(descriptor.digest)).absent
            absent = before if before is not None else [entry.digest for entry in index.manifests]
            left = tuple(digest for digest in absent if digest not in self._complete)
            await self._store.prove(descriptor.digest, Facts(absent=left))

    async def _tag(self, root: Descriptor) -> None:
        name = self._reference if self._reference.digest is None else _pin(self._reference)
        await self._store.tag(name, root)


def _pin(reference: Reference) -> Reference:
    """The name of a pinned pull: without the tag, which nobody looked at (THREATS C2)."""
    return replace(reference, tag=None)
