"""Pushing: what `puller push` does with its words, from names to exit code."""

from dataclasses import dataclass
from pathlib import Path

import anyio

from puller.cli import interrupt
from puller.cli.failure import exit_code, gravest
from puller.cli.logs import unheard_of
from puller.cli.naming import short_names
from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.cli.reporting import check_report_file, write_report
from puller.cli.rooms import open_graph, open_store
from puller.cli.screen import Style, screen_for
from puller.errors import InvalidReference, PullerError
from puller.model.event import Event, Pushed, PushFailed
from puller.model.push import SCHEMA, PushReport
from puller.model.reference import Reference
from puller.ops.graphs.graph import Graph
from puller.ops.push import Manner, push, tags_of
from puller.registry.repository import Repository


@dataclass(frozen=True, slots=True)
class Order:
    """The words of one `puller push`. `name` None: the image goes where its own name says."""

    text: str
    name: str | None
    all_tags: bool
    manner: Manner
    jobs: int
    access: Access
    graph: Path | None = None

    def target(self) -> Reference | None:
        """Where to. Raises InvalidReference before anything is looked for."""
        target = None if self.name is None else short_names().one(self.name)
        if self.all_tags:
            self.repository()
            if target is not None:
                raise InvalidReference(
                    "--all-tags goes where the names say", got=target, hint="Leave out the last word."
                )
        return target

    def repository(self) -> Reference:
        """The repository whose tags are all to be pushed."""
        repository = short_names().one(self.text)
        if repository.tag or repository.digest:
            hint = f"Leave out what follows the name: {repository.name}"
            raise InvalidReference("--all-tags wants a repository", got=repository, hint=hint)
        return repository


def push_all(order: Order, *, store: Path | None, report_file: Path | None, style: Style) -> int:
    """Push what `order` names, going on after failures; the exit code. What has arrived stays where it is."""
    target = order.target()
    check_report_file(report_file)
    reports: list[PushReport] = []
    with screen_for(style, several=order.all_tags) as screen:

        def listen(event: Event) -> None:
            if isinstance(event, Pushed | PushFailed):
                reports.append(event.report)
            screen.show(event)

        async def main() -> int:
            graph = open_graph(await open_store(store), order.graph)
            codes = {0}
            async with open_client(order.access, jobs=order.jobs, report=listen) as client:

                def opened(reference: Reference, lender: Reference | None) -> Repository:
                    return client.repository(reference, mount_from=None if lender is None else lender.repository)

                blobs = anyio.CapacityLimiter(order.jobs)
                for text in await _texts(order, graph):
                    try:
                        await push(text, target, graph, opened, order.manner, limiter=blobs, report=listen)
                    except PullerError as error:
                        codes.add(exit_code(error))
                        screen.problem(error)
            return gravest(codes)

        try:
            warn = unheard_of if style == "quiet" else screen.note
            return interrupt.run(main, warn=warn, left="layers that have arrived are not sent again")
        finally:
            write_report(report_file, {"schema": SCHEMA, "pushes": [report.encode() for report in reports]})


async def _texts(order: Order, graph: Graph) -> list[str]:
    if not order.all_tags:
        return [order.text]
    return [str(reference) for reference in await tags_of(order.repository(), graph)]
