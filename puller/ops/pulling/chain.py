"""Chain: the images of a schema 1 manifest, and how they come to be in the graph, once their IDs are chosen."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from anyio import from_thread

from puller.contracts.graph import GraphImage, NewImage
from puller.contracts.layers import LayerBlob
from puller.errors import ContentCorrupt, PullerError
from puller.legacy.idchain import Candidate
from puller.legacy.judge import judge
from puller.legacy.reuse import Choice, Look, Verdict
from puller.model import event
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest, TarsumDigest
from puller.model.report import ImageReport
from puller.ops.graphs.graph import Graph
from puller.ops.pulling.ledger import Ledger
from puller.ops.pulling.watch import stop_when_cancelled

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Link:
    """One image of the chain with the ID that was chosen for it, and its layer by a name that can be verified."""

    role: str
    candidate: Candidate
    choice: Choice
    blob: Digest | TarsumDigest


class Registrar:
    """Puts the images of one chain into the graph, base first, each when its layer is in the store."""

    def __init__(self, graph: Graph, ledger: Ledger) -> None:
        self._graph = graph
        self._ledger = ledger
        self.is_new = False  # whether any image was registered

    async def put(self, links: Sequence[Link], ready: Callable[[Link], Awaitable[Descriptor]]) -> None:
        """All of `links`, base first; `ready` waits for the layer of one, and says as what the store has it.

        Of two who put one image there, in this process or another, the second waits and finds it (LEGACY.md c.8).
        """
        for link in links:
            try:
                await self._one(link, ready)
            except PullerError as error:
                raise error.at(phase=f"registering {link.role}") from error.__cause__

    async def _one(self, link: Link, ready: Callable[[Link], Awaitable[Descriptor]]) -> None:
        graph, choice = self._graph, link.choice
        started = self._ledger.now()
        if choice.is_present:
            logger.debug("Image already exists: %s", choice.image_id)
            await self._report(link, await graph.run(graph.images.get, choice.image_id), "reused", started)
            return
        blob = await ready(link)
        started = self._ledger.now()
        async with graph.making(choice.image_id):
            if await graph.run(graph.images.has, choice.image_id):
                await self._check(link)
                image, outcome = await graph.run(graph.images.get, choice.image_id), "reused"
            else:
                image, outcome = await self._register(link, blob), "registered"
                self.is_new = True
        await self._report(link, image, outcome, started)

    async def _check(self, link: Link) -> None:
        """Somebody was faster: what is there must be what would have been put there."""
        graph, choice = self._graph, link.choice
        stored = await graph.run(graph.images.stored, choice.image_id)
        found = judge(Look(choice.image_id, link.candidate, choice.parent), stored)
        if found.verdict is not Verdict.MATCHES:
            raise ContentCorrupt(f"image validation failed: {found.reason}", where=choice.image_id)
        logger.debug("%s", found.reason)

    async def _register(self, link: Link, blob: Descriptor) -> GraphImage:
        graph, choice, candidate = self._graph, link.choice, link.candidate
        new = NewImage(
            choice.image_id,
            choice.parent or "",
            config=candidate.config,
            checksum=candidate.layer.blob,
            v1_compatibility=candidate.layer.v1_compatibility,
        )
        facts = await graph.store.facts(blob.digest)
        async with graph.store.opened(blob.digest) as fd:
            layer = LayerBlob(fd, None, facts.diff_id)
            return await graph.run(graph.images.register, new, layer, self._teller(blob))

    def _teller(self, blob: Descriptor) -> Callable[[int], None]:
        def told(offset: int) -> None:
            stop_when_cancelled()
            from_thread.run_sync(self._ledger.tell, event.Unpacking(blob, offset))

        return told

    async def _report(self, link: Link, image: GraphImage, outcome: str, started: float) -> None:
        self._ledger.registered(
            ImageReport(
                link.choice.image_id,
                link.choice.parent or "",
                link.candidate.strong_id,
                link.candidate.legacy_id,
                str(link.blob),
                "registered" if outcome == "registered" else "reused",
                link.choice.reason,
                image.size,
                await self._graph.run(self._graph.images.driver.altered, image.image_id),
                round(self._ledger.now() - started, 3),
            )
        )
