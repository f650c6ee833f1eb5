"""Pulling: what `puller pull` does with its words, from references to exit code."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from puller.cli import interrupt
from puller.cli.environment import host_platform, processors
from puller.cli.failure import exit_code, gravest
from puller.cli.lines import counted, size_text
from puller.cli.logs import Show, unheard_of
from puller.cli.options import Access
from puller.cli.reporting import check_report_file, write_report
from puller.cli.rooms import open_store
from puller.cli.screen import Screen, Style, screen_for
from puller.cli.workbench import open_shelves
from puller.errors import InvalidReference, NotFound, PullerError, Unauthorized
from puller.model.event import Event, Failed, Pulled, Report
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.model.report import SCHEMA, PullReport
from puller.ops.collect import discard_blobs
from puller.ops.graphs.door import GraphDoor
from puller.ops.pull import pull
from puller.ops.pulling.ledger import Ledger
from puller.ops.pulling.plan import Depth, Wish
from puller.ops.unpacking.shelves import Shelves
from puller.store.disk import DiskStore

if TYPE_CHECKING:
    from puller.registry.client import RegistryClient


@dataclass(frozen=True, slots=True)
class Order:
    """The words of one `puller pull`. `platforms` empty means this machine's, None all of them."""

    references: tuple[str, ...]
    platforms: tuple[str, ...] | None
    all_tags: bool
    tarsum: bool
    digest_only: bool
    strong: bool
    signed: bool
    jobs: int
    access: Access
    unpack: bool = False
    driver: str | None = None
    discard: bool = False
    graph: Path | None = None
    verify_disk: bool = False

    def wish(self) -> Wish:
        """What is wanted of each reference."""
        chosen = None if self.platforms is None else tuple(map(Platform.parse, self.platforms))
        platforms = (host_platform(),) if chosen == () else chosen
        depth = Depth.DIGEST_ONLY if self.digest_only else Depth.FULL if self.tarsum else Depth.NO_TARSUM
        return Wish(platforms, depth, strong=self.strong, signed=self.signed, verify_disk=self.verify_disk)

    def parsed(self) -> list[Reference]:
        """The references, each once. Raises InvalidReference before anything is fetched."""
        references = dict.fromkeys(map(Reference.parse, self.references))
        for reference in references:
            if self.all_tags and (reference.tag or reference.digest):
                hint = f"Leave out what follows the name: {reference.name}"
                raise InvalidReference("--all-tags wants a repository", got=reference, hint=hint)
        return list(references)


def pull_all(order: Order, *, store: Path | None, report_file: Path | None, style: Style) -> int:
    """Pull every reference of `order`, going on after failures; the exit code. Ctrl-C keeps what was received."""
    references, wish = order.parsed(), order.wish()
    check_report_file(report_file)
    reports: list[PullReport] = []
    with screen_for(style, several=len(references) > 1 or order.all_tags) as screen:
        say = unheard_of if style == "quiet" else screen.note

        def listen(event: Event) -> None:
            if isinstance(event, Pulled | Failed):
                reports.append(event.report)
            screen.show(event)

        async def main() -> int:
            place = await open_store(store)
            with (
                open_shelves(place, only=order.driver) if order.unpack else nullcontext() as shelves,
                GraphDoor(place, order.graph, workers=processors()) as graph,
            ):
                from puller.cli.registries import open_client  # while the process that unpacks gets ready

                async with open_client(order.access, jobs=order.jobs, report=listen) as client:
                    pulls = _Pulls(client, place, wish, screen, order, shelves, graph, say)
                    return await pulls.run(references, report=listen)

        try:
            return interrupt.run(main, warn=say, left="what was received is kept for the next try")
        finally:
            write_report(report_file, {"schema": SCHEMA, "pulls": [report.encode() for report in reports]})


class _Pulls:
    def __init__(
        self,
        client: "RegistryClient",
        store: DiskStore,
        wish: Wish,
        screen: Screen,
        order: Order,
        shelves: Shelves | None,
        graph: GraphDoor,
        say: Show,
    ) -> None:
        self._say = say
        self._graph = graph
        self._client = client
        self._store = store
        self._wish = wish
        self._screen = screen
        self._order = order
        self._shelves = shelves
        self._blobs = anyio.CapacityLimiter(order.jobs)
        self._images = anyio.CapacityLimiter(order.jobs)
        self._codes: set[int] = {0}

    async def run(self, references: Sequence[Reference], *, report: Report) -> int:
        async with anyio.create_task_group() as group:
            for reference in references:
                group.start_soon(self._repository if self._order.all_tags else self._one, reference, report)
        return gravest(self._codes)

    async def _repository(self, reference: Reference, report: Report) -> None:
        try:
            tags = [tag async for tag in self._client.repository(reference).tags()]
        except PullerError as error:
            Ledger(reference, report).failed(error.at(reference=reference))
            self._fail(error)
            return
        async with anyio.create_task_group() as group:
            for tag in tags:
                group.start_soon(self._one, reference.with_tag(tag), report)

    async def _one(self, reference: Reference, report: Report) -> None:
        async with self._images:
            source = self._client.repository(reference)
            try:
                await pull(
                    reference,
                    source,
                    self._store,
                    self._wish,
                    shelves=self._shelves,
                    graph=self._graph,
                    limiter=self._blobs,
                    report=report,
                )
                await self._discard(reference)
            except PullerError as error:
                self._fail(doubted(reference, error))

    async def _discard(self, reference: Reference) -> None:
        if self._shelves is None or not self._order.discard:
            return
        collected = await discard_blobs(self._store, self._shelves, reference)
        others = f"; {counted(collected.kept, 'blob')} of others kept" if collected.kept else ""
        freed = counted(len(collected.freed), "blob")
        self._say(f"discarded {freed} of {reference}, {size_text(collected.size)}{others}")
        if collected.hindrance is not None:
            raise collected.hindrance

    def _fail(self, error: PullerError) -> None:
        self._codes.add(exit_code(error))
        self._screen.problem(error)


def doubted(reference: Reference, error: PullerError) -> PullerError:
    """The error, with the doubt that `reference` was one: a bare word that no registry knows may be a mistyped verb."""
    bare = "/" not in reference.familiar() and reference.tag is None and reference.digest is None
    if bare and isinstance(error, NotFound | Unauthorized):
        error.hint = f"{error.hint} `puller --help` lists the verbs, if {reference.familiar()} was to be one.".lstrip()
    return error
