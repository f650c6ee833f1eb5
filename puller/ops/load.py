"""load: the images of an archive, brought into the graph or the store under the IDs they have; all of them or none."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager

from anyio import CancelScope

from puller.archive.content import Prover
from puller.archive.opened import Archive, opened
from puller.archive.spool import Bounds
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import check_new
from puller.ops.loading.blame import said_by_archive
from puller.ops.loading.compat import load_as_docker
from puller.ops.loading.content import ContentLoading
from puller.ops.loading.graph import GraphLoading, check_writable
from puller.ops.loading.names import LoadNames
from puller.ops.loading.news import Hear, Landed, Teller, unheard
from puller.ops.loading.plan import LoadPlan, plan_load
from puller.ops.loading.present import as_present
from puller.ops.pulling.watch import stop_when_cancelled
from puller.ops.tasks import apart


async def load(
    source: int,
    graph: Graph,
    *,
    retag: bool = True,
    compat: bool = False,
    bounds: Bounds | None = None,
    hear: Hear = unheard,
) -> tuple[Landed, ...]:
    """Load the archive that the descriptor `source` gives: a file, a pipe; its caller closes it.

    Images of the old format become graph images under the IDs they have; images of today become content of the graph's
    store, every layer held to its diff ID. What is here already is not read again. All of the archive is read and
    proved before anything is changed; whatever fails later is undone; names come last. `retag` False refuses an archive
    whose names are in use for other images. `compat`: as Docker 1.9 loaded the old format, checks left out (LEGACY.md
    d.7). Raises any PullerError; InvalidArchive where documents of the archive do not follow their rules.
    """

    async def work() -> Sequence[Landed]:
        async with _opened(source, graph, bounds, hear) as archive:
            if compat:
                return await load_as_docker(archive, graph, hear)
            return await _load(archive, graph, retag=retag, hear=hear)

    landed = await apart(work)
    for image in landed:
        hear(image)
    return tuple(landed)


@asynccontextmanager
async def _opened(source: int, graph: Graph, bounds: Bounds | None, hear: Hear) -> AsyncIterator[Archive]:
    stack = ExitStack()
    told = Teller(hear, "archive", None)
    folder = graph.store.layout.ingests

    def enter() -> Archive:
        return stack.enter_context(opened(source, folder, bounds=bounds, told=told, pulse=stop_when_cancelled))

    try:
        yield await graph.run(enter)
    finally:
        stack.close()


async def _load(archive: Archive, graph: Graph, *, retag: bool, hear: Hear) -> list[Landed]:
    told = Teller(hear, "layers", archive.size)

    def planned() -> LoadPlan:
        with said_by_archive():
            plan = plan_load(archive, graph.images, Prover(archive, told=told, pulse=stop_when_cancelled))
            for name in (*plan.names, *(name for image in plan.content for name in image.names)):
                check_new(name)
        return plan

    plan = await graph.run(planned)
    if plan.folders:
        check_writable(graph)
    await LoadNames(graph, plan.names, plan.content, hear).check(retag=retag)
    with GraphLoading(graph, archive, hear) as images:
        content = ContentLoading(graph, archive, hear)
        try:
            async with graph.store.lease() as lease:
                await images.run(plan)
                present = await as_present(plan.content, graph.store, lease, hear)
                await content.run(present, lease)
                await graph.run(archive.file.check_unchanged)
                with CancelScope(shield=True):  # names are set, or they are not: there is no half of it
                    await LoadNames(graph, plan.names, present, hear).set(retag=retag)
        except BaseException:
            await images.undo()
            await content.undo()
            raise
    return [*_graph_lines(plan), *_content_lines(plan)]


def _graph_lines(plan: LoadPlan) -> Iterator[Landed]:
    for name in sorted(plan.names):
        yield Landed(str(name), plan.names[name], "graph")
    named = set(plan.names.values())
    for image_id in plan.tops:
        if image_id not in named:
            yield Landed(None, image_id, "graph")


def _content_lines(plan: LoadPlan) -> Iterator[Landed]:
    for image in plan.content:
        for name in image.names or (None,):
            yield Landed(None if name is None else str(name), str(image.image_id), "content")
