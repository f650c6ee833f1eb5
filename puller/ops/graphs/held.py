"""held: images of a graph that nobody deletes while a verb reads them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager

from anyio import CancelScope

from puller.contracts.content import Lease
from puller.contracts.graph import GraphImage
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.layers import blob_of


@asynccontextmanager
async def held(graph: Graph, image_ids: Sequence[str]) -> AsyncIterator[None]:
    """Hold these images while the block runs."""
    with ExitStack() as stack:
        with CancelScope(shield=True):  # a thread that took the lock must not be left with it
            await graph.run(stack.enter_context, graph.images.holding(image_ids))
        yield


@asynccontextmanager
async def held_line(image_id: str, graph: Graph, lease: Lease) -> AsyncIterator[list[GraphImage]]:
    """An image and all below it, itself first, as they are once they are held; and the blobs they came in.

    Raises what `line` raises, also where one of them went before it could be held.
    """
    line = await graph.run(graph.images.line, image_id)
    async with held(graph, [image.image_id for image in line]):
        line = await graph.run(graph.images.line, image_id)
        await lease.hold([digest for image in line if (digest := blob_of(image)) is not None])
        yield line
