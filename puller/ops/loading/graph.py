"""The part of a load that registers graph images: parents first, all of them or none."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import anyio
from anyio import CancelScope

from puller.archive.opened import Archive
from puller.archive.read_graph import Folder
from puller.contracts.graph import NewImage
from puller.errors import ContentMissing, PullerError, TruncatedArchive, Unsupported
from puller.ops.graphs.graph import Graph
from puller.ops.loading.news import Hear, Registered, Said, Teller
from puller.ops.loading.plan import LoadPlan
from puller.ops.pulling.ledger import alteration_texts
from puller.store.locks import patiently

# What Docker's reader has to see before it says how a layer is packed.
LEAST = 10  # bytes


def check_writable(graph: Graph) -> None:
    """Raise Unsupported, before anything is read or made, for a graph that takes no images."""
    driver = graph.images.driver
    if not driver.is_writable:
        what = f"images of Docker's {driver.name} driver can only be read"
        hint = "Leave out --graph, or `puller save --graph DIR` first."
        raise Unsupported(what, where=graph.place, hint=hint)


class GraphLoading:
    """Registers the images of a plan. Each is held from before it is looked for until a child or its name keeps it, so
    that no other process takes it away again. A context manager: leaving it lets go of all that is held.
    """

    def __init__(self, graph: Graph, archive: Archive, hear: Hear) -> None:
        self._graph = graph
        self._archive = archive
        self._hear = hear
        self._holds: dict[str, ExitStack] = {}
        self._new: list[str] = []

    def __enter__(self) -> "GraphLoading":
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go(*list(self._holds))

    async def run(self, plan: LoadPlan) -> None:
        """All of them, or the error that stopped one.

        No pull chooses IDs meanwhile: it would find some of these images and not the others, none with a checksum.
        """
        if not plan.folders:
            await self._run(plan)
            return
        async with self._graph.choosing():
            await self._run(plan)

    async def _run(self, plan: LoadPlan) -> None:
        children = Counter(folder.image.parent for folder in plan.folders.values())
        named = set(plan.names.values()) | set(plan.tops)
        for image_id in plan.order:
            await self._wait_for_pull(image_id)
            await self._hold(image_id)
            folder = plan.folders.get(image_id)
            if folder is None:
                if not await self._graph.run(self._graph.images.has, image_id):
                    raise ContentMissing("an image was removed while others were loaded onto it", got=image_id)
                self._hear(Registered(image_id, is_new=False))
                continue
            await self.register(image_id, folder)
            parent = folder.image.parent
            children[parent] -= 1
            if parent and not children[parent] and parent not in named:
                self._let_go(parent)

        await tell_altered(self._new, self._graph, self._hear)

    async def register(self, image_id: str, folder: Folder) -> None:
        """One image under its lock; one that is here by then is left as it is."""
        graph = self._graph
        try:
            async with graph.making(image_id):
                if await graph.run(graph.images.has, image_id):
                    self._hear(Registered(image_id, is_new=False))
                    return
                if folder.layer.size < LEAST:
                    raise TruncatedArchive("EOF", where=folder.layer.name, got=f"{folder.layer.size} bytes")
                new = NewImage(image_id, folder.image.parent, image=folder.image)
                layer = await graph.run(self._archive.layer, folder.layer)
                told = Teller(self._hear, image_id[:12], folder.layer.size)
                try:
                    await graph.run(graph.images.register, new, layer, told)
                finally:  # a cancellation that comes while it becomes real must not forget it
                    with CancelScope(shield=True):
                        if await graph.run(graph.images.has, image_id):
                            self._new.append(image_id)
        except PullerError as error:
            raise error.at(phase=f"image {image_id[:12]}") from error.__cause__
        self._hear(Registered(image_id, is_new=True))

    async def undo(self) -> None:
        """Delete what this load has registered, but for what others hold, have named or stand on by now."""
        self._let_go(*list(self._holds))
        with CancelScope(shield=True):
            for image_id in reversed(self._new):
                with suppress(PullerError):  # in use, or past deleting: the first error tells more
                    await self._delete(image_id)

    async def _delete(self, image_id: str) -> None:
        graph = self._graph
        # Who names an image holds it until that is done: under both locks no name can come in between.
        async with graph.making(image_id), graph.naming():
            if not await graph.run(graph.tags.names_of, image_id):
                await graph.run(graph.images.delete, image_id)

    async def _wait_for_pull(self, image_id: str) -> None:
        """Let a pull end that has chosen this ID and not made the image yet: what it makes is used (LEGACY.md c.8)."""
        graph = self._graph

        async def is_free() -> bool | None:
            is_here = await graph.run(graph.images.has, image_id)
            return is_here or not await graph.run(graph.images.is_held, image_id) or None

        await patiently(is_free, sleep=anyio.sleep)

    async def _hold(self, image_id: str) -> None:
        if image_id not in self._holds:
            stack = self._holds[image_id] = ExitStack()
            await self._graph.run(stack.enter_context, self._graph.images.holding([image_id]))

    def _let_go(self, *image_ids: str) -> None:
        for image_id in image_ids:
            if (stack := self._holds.pop(image_id, None)) is not None:
                stack.close()


async def tell_altered(image_ids: Sequence[str], graph: Graph, hear: Hear) -> None:
    """Say what the trees of these images do not show, one line for each kind and reason."""
    driver = graph.images.driver
    for text in alteration_texts([await graph.run(driver.altered, image_id) for image_id in image_ids]):
        hear(Said(text))
