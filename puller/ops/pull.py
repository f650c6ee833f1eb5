"""pull: bring what a reference names into a store, every byte verified, the tag moved last."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import anyio

from puller.contracts.content import ContentStore, Source
from puller.contracts.lending import Lender
from puller.errors import ContentCorrupt, ContentMissing, PullerError, Unsupported
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_NESTING
from puller.model.event import Planned, Report, Resolved, unheard
from puller.model.facts import Facts
from puller.model.manifest import Index, Manifest
from puller.model.mediatype import SCHEMA1_MANIFESTS
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.model.report import PullReport
from puller.ops.graphs.door import GraphDoor
from puller.ops.pulling.documents import Documents
from puller.ops.pulling.gate import Gate
from puller.ops.pulling.hints import hint_for
from puller.ops.pulling.layers import Layers
from puller.ops.pulling.ledger import Ledger
from puller.ops.pulling.plan import Image, Wish, plan
from puller.ops.tasks import apart, one_error
from puller.ops.unpacking.shelves import Shelves
from puller.ops.unpacking.shelving import Shelving

if TYPE_CHECKING:
    from puller.ops.graphs.graph import Graph
    from puller.ops.pulling.reuse import GraphReuse

DEFAULT_JOBS = 3  # as docker does

T = TypeVar("T")
U = TypeVar("U")


async def pull(
    reference: Reference,
    source: Source,
    store: ContentStore,
    wish: Wish,
    *,
    shelves: Shelves | None = None,
    graph: GraphDoor | None = None,
    limiter: anyio.CapacityLimiter | None = None,
    places: Sequence[Lender] = (),
    report: Report = unheard,
) -> PullReport:
    """Pull `reference` from `source` into `store`; `limiter` bounds how many blobs flow at once (3 without one).

    With `shelves` every layer is unpacked there too, from its verified blob, while others still flow. With `graph` the
    images of a schema 1 manifest are registered there if anything is unpacked, and layers that it has are not fetched
    again. What `places` hold by digest is taken from there, verified like all else, and not fetched.

    A digest decides over a tag that stands beside it; a digest-pinned reference that is wholly in the store makes no
    request. Blobs that were verified stay in the store when the pull fails, so a second try does not fetch them again;
    the tag moves only when everything it needs is here. Raises any PullerError; of several the gravest.
    """
    reference = reference.tagged()
    ledger = Ledger(reference, report)
    if places:
        from puller.ops.pulling.nearby import Nearby  # seldom needed

        source = Nearby(places, source, warn=ledger.warn)

    async def work() -> PullReport:
        async with store.lease() as lease:
            blobs = limiter or anyio.CapacityLimiter(DEFAULT_JOBS)
            return await _Pull(reference, wish, Gate(source, store, lease, ledger), blobs, shelves, graph).run()

    try:
        return await apart(work)
    except PullerError as error:
        error.at(reference=reference)
        error.hint = error.hint or hint_for(error)
        ledger.failed(error)
        raise


class _Pull:
    def __init__(
        self,
        reference: Reference,
        wish: Wish,
        gate: Gate,
        limiter: anyio.CapacityLimiter,
        shelves: Shelves | None,
        graph: GraphDoor | None,
    ) -> None:
        self._graph = graph
        self._shelves = shelves
        self._reference = reference
        self._shelving = Shelving(gate, shelves)
        self._wish = wish
        self._gate = gate
        self._limiter = limiter
        self._documents = Documents(gate)
        self._layers = Layers(gate, wish.depth, limiter, max_unpacked=wish.max_unpacked)
        self._indexes: list[tuple[Descriptor, Index]] = []
        self._chosen: set[Digest] = set()

    async def run(self) -> PullReport:
        ledger = self._gate.ledger
        root = await self._resolve()
        if root.media_type in SCHEMA1_MANIFESTS:
            return await self._schema1(root)
        document = await self._documents.manifest("index or manifest", root)
        root = replace(root, media_type=document.media_type, size=len(document.raw))
        ledger.root = root
        ledger.tell(Resolved(self._reference, root))
        chosen = await self._select(root, document, nesting=0)
        images = await self._all(self._image, chosen)
        ledger.platforms = tuple(i.config.platform for i in images if i.config is not None and i.config.platform)
        door = self._graph
        graph = None if door is None else door.open_if_used()
        named = [(descriptor, image) for (descriptor, _), image in zip(chosen, images, strict=True)]
        plan(images)  # what contradicts itself is refused before a byte of it is looked for
        if door is None or graph is None:
            await self._bring(root, named, None)
            await self._gate.store.tag(_name_of(self._reference), root)
        else:
            await self._bring_with(graph, root, named, thorough=door.is_chosen)
        return ledger.done()

    async def _bring_with(
        self, graph: "Graph", root: Descriptor, images: Sequence[tuple[Descriptor, Image]], *, thorough: bool
    ) -> None:
        """The same where a graph is at hand: it may have layers, and the name."""
        from puller.ops.graphs.names import name_content
        from puller.ops.graphs.places import place_of
        from puller.ops.pulling.reuse import reusing

        async with reusing(self._gate, graph, self._shelves, thorough=thorough) as reuse:
            await self._bring(root, [(named, await reuse.substituted(named, image)) for named, image in images], reuse)
        name = _name_of(self._reference)
        if await graph.run(graph.tags.get, *place_of(name)) is None:  # nothing to change in what may be read-only
            await self._gate.store.tag(name, root)
        else:
            await name_content(name, root, graph.store, graph)

    async def _bring(
        self, root: Descriptor, images: Sequence[tuple[Descriptor, Image]], reuse: "GraphReuse | None"
    ) -> None:
        """All blobs of these images, each named by its descriptor, and their trees."""
        ledger = self._gate.ledger
        steps = await self._shelving.spared(plan(image for _, image in images), images)
        ledger.tell(Planned(self._reference, root, ledger.platforms, tuple((s.role, s.descriptor) for s in steps)))
        if reuse is not None:
            for archive in reuse.taken.values():
                self._shelving.arrived(archive)
            steps = [step for step in steps if not reuse.has(step)]
        with one_error():
            async with anyio.create_task_group() as group:
                group.start_soon(self._layers.bring, steps, self._shelving.arrived)
                group.start_soon(self._shelving.put, self._layers.again)
        await self._shelving.record_present()
        if reuse is not None:
            await reuse.record_lacking()
        await self._record_absent()

    async def _schema1(self, root: Descriptor) -> PullReport:
        from puller.ops.pulling.schema1 import Schema1Pull  # the old world is seldom needed

        door = self._graph
        graph = door.open() if door is not None and (self._shelves is not None or door.always) else None
        other = door.open_if_used() if door is not None and graph is None else None
        return await Schema1Pull(
            self._reference, self._wish, self._gate, self._layers, graph, limiter=self._limiter, beside=other
        ).run(root)

    async def _resolve(self) -> Descriptor:
        gate, reference = self._gate, self._reference
        if reference.digest is None:
            return await gate.source.resolve(reference)
        if reference.tag is not None:
            gate.ledger.warn(f"the digest decides: tag {reference.tag} was neither asked for nor moved")
        await gate.lease.hold([reference.digest])
        try:
            return await gate.store.resolve(_name_of(reference))
        except (ContentMissing, ContentCorrupt):
            return await gate.source.resolve(reference)

    async def _select(
        self, root: Descriptor, document: Manifest | Index, *, nesting: int
    ) -> list[tuple[Descriptor, Manifest]]:
        """The manifests that are wanted, each with the descriptor that named it."""
        if isinstance(document, Manifest):
            return [(root, document)]
        if nesting >= MAX_NESTING:
            raise Unsupported("index within index", wanted=f"at most {MAX_NESTING} deep", digest=root.digest)
        self._indexes.append((root, document))
        entries = [entry for entry in self._choose(document) if entry.digest not in self._chosen]
        self._chosen.update(entry.digest for entry in entries)
        found: list[tuple[Descriptor, Manifest]] = []
        for entry, inner in zip(entries, await self._all(self._entry, entries), strict=True):
            found += await self._select(entry, inner, nesting=nesting + 1)
        return found

    def _choose(self, index: Index) -> Iterable[Descriptor]:
        if self._wish.platforms is None:
            chosen: Iterable[Descriptor] = index.readable
            if len(index.readable) < len(index.manifests):
                kinds = sorted({e.media_type for e in index.manifests} - {e.media_type for e in index.readable})
                self._gate.ledger.warn(f"left out of the index, being of unknown kind: {', '.join(kinds)}")
        else:
            chosen = [index.choose(platform) for platform in self._wish.platforms]
        return {entry.digest: entry for entry in chosen}.values()

    async def _entry(self, entry: Descriptor) -> Manifest | Index:
        role = "index" if entry.platform is None else f"manifest {entry.platform}"
        return await self._documents.manifest(role, entry)

    async def _image(self, named: tuple[Descriptor, Manifest]) -> Image:
        descriptor, manifest = named
        if not manifest.is_image or manifest.config is None:
            return Image(manifest, None)
        config = await self._documents.config(manifest.config)
        if config.platform is not None:
            self._compare_platforms(descriptor.platform, config.platform)
        return Image(manifest, config)

    def _compare_platforms(self, promised: Platform | None, actual: Platform) -> None:
        if promised is not None and actual.serves(promised) is None:
            self._gate.ledger.warn(f"the index promises {promised}, the image's config says {actual}")
        wishes = self._wish.platforms or ()
        if promised is None and wishes and all(actual.serves(wanted) is None for wanted in wishes):
            wanted = ", ".join(map(str, wishes))
            self._gate.ledger.warn(f"the image is for {actual}, not for {wanted}; it comes in no other")

    async def _all(self, work: Callable[[T], Awaitable[U]], items: Sequence[T]) -> list[U]:
        """`work` done on every item, a few at a time; the results in order."""
        results: dict[int, U] = {}

        async def one(position: int, item: T) -> None:
            async with self._limiter:
                results[position] = await work(item)

        with one_error():
            async with anyio.create_task_group() as group:
                for position, item in enumerate(items):
                    group.start_soon(one, position, item)
        return [results[position] for position in range(len(items))]

    async def _record_absent(self) -> None:
        """Of every index: what nobody asked for, now or earlier, is absent and not missing (RELIABILITY R2)."""
        for descriptor, index in self._indexes:
            absent = tuple(entry.digest for entry in index.manifests if entry.digest not in self._chosen)
            await self._gate.store.prove(descriptor.digest, Facts(absent=absent))


def _name_of(reference: Reference) -> Reference:
    """The name a pull gives: of a pinned one without the tag, which nobody looked at (THREATS C2)."""
    return replace(reference, tag=None) if reference.digest is not None else reference
