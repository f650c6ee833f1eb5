"""Pulling: what `puller pull` does with its words, from references to exit code."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio

from puller.cli import interrupt
from puller.cli.environment import host_platform, processors
from puller.cli.failure import exit_code, gravest
from puller.cli.lines import counted, size_text
from puller.cli.logs import Show, unheard_of
from puller.cli.naming import meant, short_names, spelling
from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.cli.reporting import check_report_file, write_report
from puller.cli.rooms import open_store
from puller.cli.screen import Screen, Style, screen_for
from puller.cli.workbench import open_shelves
from puller.contracts.content import Source
from puller.contracts.lending import Lender
from puller.errors import InvalidReference, NotFound, PullerError, Unauthorized
from puller.model.descriptor import Descriptor
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
    from puller.mirror.lockfile import Lock
    from puller.registry.client import RegistryClient

T = TypeVar("T")


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
    places: tuple[Path, ...] = ()
    foreign_layers: bool = False
    lock: Path | None = None

    def wish(self) -> Wish:
        """What is wanted of each reference."""
        chosen = None if self.platforms is None else tuple(map(Platform.parse, self.platforms))
        platforms = (host_platform(),) if chosen == () else chosen
        depth = Depth.DIGEST_ONLY if self.digest_only else Depth.FULL if self.tarsum else Depth.NO_TARSUM
        return Wish(platforms, depth, strong=self.strong, signed=self.signed, verify_disk=self.verify_disk)

    def parsed(self, locked: "Lock | None" = None) -> list[tuple[Reference, ...]]:
        """What each word may stand for, each once. Raises InvalidReference before anything is fetched.

        With a lock each word stands for one name that is in it; without words, all of them are meant.
        """
        names = short_names()
        if locked is not None:
            from puller.ops.lock import locked_name

            if not self.references:
                return [(name,) for name in locked.images]
            file = str(self.lock)
            wanted = (locked_name(names.to_ask(text), locked, file=file) for text in self.references)
            return [(name,) for name in dict.fromkeys(wanted)]
        words = dict.fromkeys(map(names.to_ask, self.references))
        for reference, *_ in words:
            if self.all_tags and (reference.tag or reference.digest):
                hint = f"Leave out what follows the name: {reference.name}"
                raise InvalidReference("--all-tags wants a repository", got=reference, hint=hint)
        return list(words)


def pull_all(order: Order, *, store: Path | None, report_file: Path | None, style: Style) -> int:
    """Pull every reference of `order`, going on after failures; the exit code. Ctrl-C keeps what was received."""
    locked = _lock(order.lock)
    references, wish = order.parsed(locked), order.wish()
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
                GraphDoor(place, order.graph, workers=processors(), spelling=spelling()) as graph,
            ):
                async with (
                    _lenders(order.places, place) as lenders,
                    open_client(
                        order.access, jobs=order.jobs, report=listen, foreign_layers=order.foreign_layers
                    ) as client,
                ):
                    pulls = _Pulls(client, place, wish, screen, order, shelves, graph, say, lenders, locked)
                    return await pulls.run(references, report=listen)

        try:
            return interrupt.run(main, warn=say, left="what was received is kept for the next try")
        finally:
            write_report(report_file, {"schema": SCHEMA, "pulls": [report.encode() for report in reports]})


def _lock(file: Path | None) -> "Lock | None":
    if file is None:
        return None
    from puller.cli.locking import read_lock  # seldom needed

    return read_lock(file)


def _lenders(paths: Sequence[Path], store: DiskStore) -> AbstractAsyncContextManager[Sequence[Lender]]:
    """The places to take blobs from; what has to be unpacked for that lies beside the store's unfinished blobs."""
    if not paths:
        return nullcontext(())
    from puller.ops.pulling.lenders import lenders  # seldom needed

    return lenders(paths, store.layout.ingests)


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
        lenders: Sequence[Lender],
        locked: "Lock | None",
    ) -> None:
        self._lenders = lenders
        self._locked = locked
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

    async def run(self, words: Sequence[Sequence[Reference]], *, report: Report) -> int:
        async with anyio.create_task_group() as group:
            for candidates in words:
                group.start_soon(self._repository if self._order.all_tags else self._meant, candidates, report)
        return gravest(self._codes)

    async def _repository(self, candidates: Sequence[Reference], report: Report) -> None:
        async def listed(reference: Reference) -> list[str]:
            return [tag async for tag in self._client.repository(reference).tags()]

        found = await self._first(candidates, listed, report)
        if found is not None:
            reference, tags = found
            async with anyio.create_task_group() as group:
                for tag in tags:
                    group.start_soon(self._one, reference.with_tag(tag), report)

    async def _meant(self, candidates: Sequence[Reference], report: Report) -> None:
        async def resolved(reference: Reference) -> Descriptor:
            return await self._client.source(reference).resolve(reference.tagged())

        found: tuple[Reference, object] | None = (candidates[0], None)
        if len(candidates) > 1:
            found = await self._first(candidates, resolved, report)
        if found is not None:
            await self._one(found[0], report)

    async def _first(
        self, candidates: Sequence[Reference], ask: Callable[[Reference], Awaitable[T]], report: Report
    ) -> tuple[Reference, T] | None:
        """The first of several that there is; None: none of them, which is told."""
        try:
            return await meant(candidates, ask)
        except PullerError as error:
            self._not_begun(candidates[0], error, report)
            return None

    async def _one(self, reference: Reference, report: Report) -> None:
        async with self._images:
            try:
                source = self._source(reference)
            except PullerError as error:  # settings forbid it, or cannot be read
                self._not_begun(reference, error, report)
                return
            try:
                await pull(
                    reference,
                    source,
                    self._store,
                    self._wish,
                    shelves=self._shelves,
                    graph=self._graph,
                    limiter=self._blobs,
                    places=self._lenders,
                    report=report,
                )
                await self._discard(reference)
            except PullerError as error:
                self._fail(doubted(reference, error))

    def _source(self, reference: Reference) -> Source:
        source = self._client.source(reference)
        if self._locked is None:
            return source
        from puller.ops.lock import Vouched

        return Vouched(source, self._locked.images)

    async def _discard(self, reference: Reference) -> None:
        if self._shelves is None or not self._order.discard:
            return
        collected = await discard_blobs(self._store, self._shelves, reference)
        others = f"; {counted(collected.kept, 'blob')} of others kept" if collected.kept else ""
        freed = counted(len(collected.freed), "blob")
        self._say(f"discarded {freed} of {reference}, {size_text(collected.size)}{others}")
        if collected.hindrance is not None:
            raise collected.hindrance

    def _not_begun(self, reference: Reference, error: PullerError, report: Report) -> None:
        Ledger(reference, report).failed(error.at(reference=reference))
        self._fail(error)

    def _fail(self, error: PullerError) -> None:
        self._codes.add(exit_code(error))
        self._screen.problem(error)


def doubted(reference: Reference, error: PullerError) -> PullerError:
    """The error, with the doubt that `reference` was one: a bare word that no registry knows may be a mistyped verb."""
    bare = "/" not in reference.familiar() and reference.tag is None and reference.digest is None
    if bare and isinstance(error, NotFound | Unauthorized):
        error.hint = f"{error.hint} `puller --help` lists the verbs, if {reference.familiar()} was to be one.".lstrip()
    return error
