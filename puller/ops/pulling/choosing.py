"""Choosing: which ID each image of a chain gets in a graph, judged by what the graph has (LEGACY.md c.7).

Theory of operation. The choice is made under the graph's lock of that name and the locks of every image it looks at, so
that what was judged is what is there. Before those are given back the chosen images are held: nobody removes what is
about to be built on. `choosing` is always taken before `making`, by everybody.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import TypeAlias

from anyio import CancelScope

from puller.contracts.graph import ImageGraph
from puller.errors import ContentCorrupt, ContentMissing, InputError, LayerError
from puller.legacy.idchain import Candidate
from puller.legacy.judge import judge
from puller.legacy.reuse import Choice, Judgement, Look, Verdict, choose_ids
from puller.model.digest import Digest
from puller.ops.graphs.graph import Graph
from puller.ops.pulling.watch import stop_when_cancelled
from puller.stream.sink import Digester, Sink, Tee
from puller.stream.tarsum import Tarsum, TarsumSink

Log: TypeAlias = Callable[[str], None]
# Why the layer on the disk is not the candidate's; None where it is.
Verify: TypeAlias = Callable[[str, Candidate], Awaitable[str | None]]


async def choose(chain: Sequence[Candidate], graph: Graph, *, verify: Verify | None = None, log: Log) -> list[Choice]:
    """An ID for every candidate, base first. `log` hears the original's debug lines, `verify` is asked for each image
    that would be reused.

    Raises ContentCorrupt where a text that the original made of its images cannot be made: it then registered children
    without their parents.
    """
    async with chosen(chain, graph, verify=verify, log=log) as choices:
        return choices


@asynccontextmanager
async def chosen(
    chain: Sequence[Candidate], graph: Graph, *, verify: Verify | None = None, log: Log
) -> AsyncIterator[list[Choice]]:
    """As `choose`; for the block all chosen images are held, those too that are not here yet."""
    with ExitStack() as stack:
        async with graph.choosing(), AsyncExitStack() as locks:
            ids = {name for candidate in chain for name in (candidate.strong_id, candidate.legacy_id)}
            for image_id in sorted(ids):
                await locks.enter_async_context(graph.making(image_id))
            for candidate in reversed(chain):
                await _migrate(graph, candidate.legacy_id, log)
            choices = await _answered(choose_ids(chain), _Judge(graph, locks, ids, verify), log)
            holding = graph.images.holding([choice.image_id for choice in choices])
            with CancelScope(shield=True):  # a thread that took the locks must not be left with them
                await graph.run(stack.enter_context, holding)
        yield choices


async def _migrate(graph: Graph, image_id: str, log: Log) -> None:
    """Have the v1Compatibility text of an image that is here, and of all below it."""
    if not await graph.run(graph.images.has, image_id):
        return
    try:
        await graph.run(graph.images.generate_v1_compatibility, image_id)
    except (ContentMissing, ContentCorrupt) as error:
        log(f"Migration v1Compatibility generation error: {error.what}")
        raise ContentCorrupt(
            "an image of the graph, or one below it, is damaged",
            where=image_id,
            got=error.what,
            hint="Remove it (`puller rm`), or pull without the graph: Docker itself lost parents here.",
        ) from error


class _Judge:
    """Answers what `choose_ids` asks; every image is looked at under its lock."""

    def __init__(self, graph: Graph, locks: AsyncExitStack, locked: set[str], verify: Verify | None) -> None:
        self._graph = graph
        self._locks = locks
        self._locked = locked
        self._verify = verify

    async def __call__(self, look: Look) -> Judgement:
        if look.image_id not in self._locked:
            self._locked.add(look.image_id)
            await self._locks.enter_async_context(self._graph.making(look.image_id))
        images = self._graph.images
        try:
            stored = await self._graph.run(images.stored, look.image_id)
            missing = f"could not find image: no such id: {look.image_id}"
        except ContentCorrupt as error:
            stored, missing = None, error.what
        found = judge(look, stored, missing=missing)
        if found.verdict is Verdict.MATCHES and self._verify is not None:
            reason = await self._verify(look.image_id, look.candidate)
            if reason is not None:
                return Judgement(Verdict.CLASHES, f"disk: {reason}")
        return found


async def _answered(choosing: Generator[Look, Judgement, list[Choice]], judged: _Judge, log: Log) -> list[Choice]:
    try:
        look = next(choosing)
        while True:
            look = choosing.send(await judged(look))
    except StopIteration as done:
        choices: list[Choice] = done.value
    for choice in choices:
        for line in choice.log:
            log(line)
    return choices


async def disk_proof(graph: Graph, image_id: str, *, diff_id: Digest | None, checksum: str) -> str | None:
    """Why the layer of an image is not, on the disk, what it was; None where it is, as far as can be proved.

    It is put together again from the tree: each file is held to its own checksum in `tar-data.json.gz`, the whole to
    its diff ID (`diff_id`, else what the driver knows of it), and to `checksum` where that is a tarsum. A checksum of
    compressed bytes says nothing of a layer that is not compressed.
    """
    return await graph.run(_proof, graph.images, image_id, diff_id, checksum)


def _proof(images: ImageGraph, image_id: str, diff_id: Digest | None, checksum: str) -> str | None:
    wanted = diff_id or images.driver.diff_id(image_id)
    digester = Digester() if wanted is None else Digester(wanted.algorithm)
    try:
        if not images.is_exact(image_id):
            return "no tar-data.json.gz tells how to put the layer together"
        label = checksum.partition(":")[0]
        tarsum = Tarsum.for_label(label, pulse=stop_when_cancelled) if checksum.startswith("tarsum") else None
        sink: Sink = digester if tarsum is None else Tee(digester, TarsumSink(tarsum))
        for chunk in images.layer_tar(image_id):
            stop_when_cancelled()
            sink.write(chunk)
        sink.finish()
    except (ContentMissing, ContentCorrupt, LayerError, InputError) as error:
        return str(error)
    if wanted is not None and digester.digest != wanted:
        return f"diff ID mismatch: {digester.digest} {wanted}"
    if tarsum is not None and tarsum.sum().lower() != checksum.lower():
        return f"tarsum mismatch: {tarsum.sum()} {checksum}"
    return None
