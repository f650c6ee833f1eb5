"""Bringing: what was gathered, to where it belongs: blobs first, then documents after what they need, names last."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import anyio

from puller.contracts.content import Fetcher
from puller.contracts.images import Held, Housekeeper
from puller.errors import ContentUnknown, DigestMismatch
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Report
from puller.model.facts import Facts
from puller.model.manifest import Index
from puller.model.mediatype import DOCUMENTS
from puller.model.push import Arrival
from puller.ops.copying.document import Document
from puller.ops.copying.gathering import ABREAST, Gathered, Gathering
from puller.ops.copying.looking import Looking
from puller.ops.copying.place import registry_of
from puller.ops.copying.reading import LOST
from puller.ops.copying.sending import send_blob
from puller.ops.copying.tally import Metered, Tally
from puller.ops.pulling.watch import LayerWatch
from puller.ops.tasks import abreast

TAKEN = "the name was free, and stands for something else by now"
HEALS = 2  # how often what a place has lost is brought again before it is believed to want something else


@runtime_checkable
class Recorder(Protocol):
    """A target that keeps what was proved of blobs."""

    async def prove(self, digest: Digest, facts: Facts) -> None:
        """Keep `facts` beside the blob, merged with what is known."""
        ...


@dataclass(slots=True)
class Bringing:
    """Of one image and what comes with it. `limiter` bounds the blobs that flow at once; `looking` into layers."""

    gathering: Gathering
    tally: Tally
    limiter: anyio.CapacityLimiter
    report: Report
    looking: Looking | None = None
    _sent: set[Digest] = field(default_factory=set)
    _partial: set[Digest] = field(default_factory=set)

    async def bring(self, gathered: Gathered) -> None:
        """All blobs, and all documents but the root. Raises any PullerError, of several the gravest."""
        await self._blobs(gathered.blobs.values())
        heights = _heights(gathered)
        for height in range(heights[gathered.root.digest]):
            level = [document for document in gathered.documents[:-1] if heights[document.digest] == height]

            async def put(document: Document) -> None:
                await self._put(document, gathered, None)

            await abreast(level, put, width=ABREAST)

    async def put(self, gathered: Gathered) -> None:
        """Put the root by its digest, when the rest is there."""
        await self._put(gathered.root, gathered, None)

    async def name(
        self, gathered: Gathered, names: Sequence[str], free: Collection[str] = ()
    ) -> Mapping[str, Digest | None]:
        """Put the root under its names, by its digest if there are none; what these have named before.

        Raises DigestMismatch where one of the `free` ones names something else by now, which nobody has kept.
        """
        before: dict[str, Digest | None] = {}
        target = self.gathering.target
        for name in names:
            found = before[name] = await target.named(name)
            is_named = found == gathered.root.digest
            if name in free and found is not None and not is_named:
                raise DigestMismatch(TAKEN, where=target.place, reference=name, wanted="no such tag", got=found)
            await self._put(gathered.root, gathered, name, is_named=is_named)
        if not names:
            await self.put(gathered)
            if isinstance(target, Housekeeper):
                await target.keep(gathered.root.descriptor)
        return before

    # --- blobs -----------------------------------------------------------------------------------------------------

    async def _blobs(self, blobs: Iterable[tuple[str, Descriptor]], *, again: bool = False) -> None:
        async def one(blob: tuple[str, Descriptor]) -> None:
            await self._blob(*blob, again=again)

        # More than may flow, since some wait for others who have them.
        await abreast(blobs, one, width=2 * int(self.limiter.total_tokens))

    async def _blob(self, role: str, blob: Descriptor, *, again: bool) -> None:
        """`again`: whatever the run remembers of it, the target is asked."""
        gathering, tally = self.gathering, self.tally
        place = gathering.target.place
        started = tally.now()
        async with gathering.claims.claim(blob.digest) as held:
            arrival: tuple[Arrival, int] = ("exists", 0)
            if again or not held.is_at(place):
                async with self.limiter:
                    started = tally.now()
                    arrival = await self._send(held, role, blob)
                await held.arrived(place)
        if arrival[0] != "exists":
            self._sent.add(blob.digest)
        if not again or arrival[0] != "exists":
            tally.add(role, blob, arrival, started)

    async def _send(self, held: Held, role: str, blob: Descriptor) -> tuple[Arrival, int]:
        gathering = self.gathering
        source, target = gathering.source, gathering.target
        if blob.media_type in DOCUMENTS:  # a registry would take it for a manifest, which nobody has read
            blob = replace(blob, media_type="application/octet-stream")
        near = held.fetcher
        if near is not None:
            try:
                return await self._flow(Metered(near, gathering.took_near), blob)
            except LOST:
                pass
        if not await source.holds(blob):
            if await target.exists(blob):
                return "exists", 0
            raise gathering.lacking("blob", role, blob.digest)
        if registry_of(source.place) == registry_of(target.place) is not None:
            await held.arrived(source.place)  # so that it may be lent from there
        return await self._flow(Metered(source, gathering.took), blob)

    async def _flow(self, fetcher: Fetcher, blob: Descriptor) -> tuple[Arrival, int]:
        target, looking = self.gathering.target, self.looking
        watches: list[LayerWatch] = []

        def watch() -> Sequence[LayerWatch]:
            watches[:] = [] if looking is None else looking.watches(blob.digest)
            return watches

        arrival = await send_blob(fetcher, target, blob, watch, report=self.report)
        if watches and arrival[0] == "pushed" and isinstance(target, Recorder):
            await target.prove(blob.digest, replace(watches[0].facts, verified=True))
        return arrival

    # --- documents -------------------------------------------------------------------------------------------------

    async def _put(self, document: Document, gathered: Gathered, name: str | None, *, is_named: bool = False) -> None:
        """Put it under a tag, or by its digest, if the target has not that very one there."""
        gathering, tally = self.gathering, self.tally
        target = gathering.target
        started = tally.now()
        if _lacks(document) or not self._partial.isdisjoint(entry.digest for _, entry in document.entries):
            self._partial.add(document.digest)
        async with gathering.claims.claim(document.digest) as held:
            arrival: tuple[Arrival, int] = ("exists", 0)
            if not await self._has(document, held, name, is_named=is_named):
                await self._healing(document, gathered, name)
                arrival = "pushed", len(document.raw)
            if document.digest not in self._partial:
                held.lend(document.raw)
                await held.arrived(target.place)
        if arrival[0] == "pushed":
            self._sent.add(document.digest)
        tally.add(document.role, document.descriptor, arrival, started)

    async def _has(self, document: Document, held: Held, name: str | None, *, is_named: bool) -> bool:
        """Whether the target has it under that name; asked only where it may be."""
        target = self.gathering.target
        if isinstance(target, Housekeeper) and isinstance(document.manifest, Index):
            return False  # what it has of the index may be more by now, and it is to know
        if name is not None:
            return is_named
        if held.is_at(target.place):
            return True
        if document.subject is not None:
            return False  # who has put it may not have come to listing it; that is done with it
        needs = (inner.digest for _, inner in (*document.blobs, *document.entries))
        return self._sent.isdisjoint(needs) and await target.exists(document.descriptor)

    async def _healing(self, document: Document, gathered: Gathered, name: str | None) -> None:
        """Put it. What the target misses of what it needs, whatever was said before, is brought again, a few times."""
        target = self.gathering.target
        for turn in range(HEALS + 1):
            try:
                if isinstance(target, Housekeeper):
                    await target.leave_out(document.descriptor, document.absent)
                await target.put_manifest(document.raw, document.descriptor, name or str(document.digest))
                return
            except ContentUnknown as error:
                if turn == HEALS:
                    if document.digest in self._partial:
                        error.hint = (
                            "It may want all images of an index: bring all, or have the index rewritten"
                            " (--rewrite-index; for a mirror, `index: rewritten`)."
                        )
                    raise
                await self._again(document, gathered)

    async def _again(self, document: Document, gathered: Gathered) -> None:
        """Have all that it needs at the target, and believe no memory of that."""
        below = gathered.rooted(document).documents
        blobs = {blob.digest: (role, blob) for inner in below for role, blob in inner.blobs}
        await self._blobs(blobs.values(), again=True)
        target = self.gathering.target
        for inner in below[:-1]:
            if not await target.exists(inner.descriptor):
                await target.put_manifest(inner.raw, inner.descriptor, str(inner.digest))


def _lacks(document: Document) -> bool:
    return isinstance(document.manifest, Index) and bool(document.absent)


def _heights(gathered: Gathered) -> dict[Digest, int]:
    """How far each document stands above those that need no other."""
    found: dict[Digest, int] = {}
    for document in gathered.documents:
        found[document.digest] = 1 + max((found.get(e.digest, -1) for _, e in document.entries), default=-1)
    return found
