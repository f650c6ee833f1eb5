"""import: a root file system as one image of the graph, under an ID that is drawn by lot (LEGACY.md d.3, d.8)."""

import json
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from anyio import CancelScope

from puller.archive.spool import Bounds, Spooled, spooled
from puller.contracts.graph import NewImage
from puller.contracts.layers import LayerBlob
from puller.errors import DigestMismatch, PullerError, TruncatedArchive
from puller.legacy.v1image import V1Image
from puller.model.digest import Digest
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.graphs.graph import Graph
from puller.ops.graphs.names import check_new, name_image
from puller.ops.loading.graph import LEAST, check_writable, tell_altered
from puller.ops.loading.news import Hear, Landed, Teller, renamed, unheard
from puller.ops.pulling.watch import stop_when_cancelled
from puller.ops.tasks import apart
from puller.stream.sink import Digester

# The Docker whose records these are. Readers decide by it how an ID follows from a record (LEGACY.md b.3).
DOCKER_VERSION: Final = "1.9.0"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an image is to be: `origin` says where its content is from, `message` is told of it instead where given.

    `digest` is what the bytes must have that are read, compressed as they are; None: nothing is verified.
    """

    platform: Platform
    origin: str
    message: str = ""
    digest: Digest | None = None
    reference: Reference | None = None

    def __post_init__(self) -> None:
        if self.reference is not None:
            check_new(self.reference, has_manifest=False)


async def import_image(
    source: int,
    graph: Graph,
    wanted: Wanted,
    *,
    bounds: Bounds | None = None,
    hear: Hear = unheard,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    draw: Callable[[], str] = lambda: secrets.token_hex(32),
) -> Landed:
    """Make an image of the tar archive that the descriptor `source` gives, and name it if a name is wanted.

    An archive may have one level of compression. The image has no `checksum`: nobody has distributed its layer. `draw`
    gives 64 hexadecimal digits. Raises any PullerError; then nothing of it exists.
    """

    async def work() -> Landed:
        check_writable(graph)
        stack = ExitStack()
        digester = Digester("sha256" if wanted.digest is None else wanted.digest.algorithm)
        told = Teller(hear, "archive", None)
        folder = graph.store.layout.ingests

        def enter() -> Spooled:
            opened = spooled(
                source,
                folder,
                bounds=bounds,
                told=told,
                pulse=stop_when_cancelled,
                watch=None if wanted.digest is None else digester,
            )
            return stack.enter_context(opened)

        try:
            file = await graph.run(enter)
            if wanted.digest is not None and digester.digest != wanted.digest:
                raise DigestMismatch("the archive is another one", wanted=wanted.digest, got=digester.digest)
            return await _register(file, graph, wanted, hear, clock(), draw)
        finally:
            stack.close()

    landed = await apart(work)
    hear(landed)
    return landed


async def _register(
    file: Spooled, graph: Graph, wanted: Wanted, hear: Hear, created: datetime, draw: Callable[[], str]
) -> Landed:
    if file.seen.size < LEAST:
        raise TruncatedArchive("the archive is empty", got=f"{file.seen.size} bytes")
    image_id = draw_id(draw)
    new = NewImage(image_id, "", image=record(image_id, wanted, created))
    layer = LayerBlob(file.fd, "none", None, 0, file.seen.size)
    with ExitStack() as held:
        await graph.run(held.enter_context, graph.images.holding([image_id]))
        try:
            async with graph.making(image_id):
                await graph.run(graph.images.register, new, layer, Teller(hear, image_id[:12], file.seen.size))
            await graph.run(file.check_unchanged)
            await tell_altered([image_id], graph, hear)
            with CancelScope(shield=True):
                await _name(image_id, graph, wanted.reference, hear)
        except BaseException:
            held.close()
            with CancelScope(shield=True):
                await _undo(image_id, graph)
            raise
    return Landed(None if wanted.reference is None else str(wanted.reference.tagged()), image_id, "graph")


async def _name(image_id: str, graph: Graph, reference: Reference | None, hear: Hear) -> None:
    if reference is not None:
        old = await name_image(reference.tagged(), image_id, graph.store, graph)
        if old is not None:
            hear(renamed(reference.tagged().familiar(), old))


async def _undo(image_id: str, graph: Graph) -> None:
    async with graph.making(image_id):
        try:
            await graph.run(graph.images.delete, image_id)
        except PullerError:
            return  # it was never made, or the disk has failed altogether


def draw_id(draw: Callable[[], str]) -> str:
    """A random image ID. Its first twelve digits are never all decimal: as a host name they would be a number."""
    while (drawn := draw())[:12].isdecimal():
        pass
    return drawn


def record(image_id: str, wanted: Wanted, created: datetime) -> V1Image:
    """What is told of the image in its `json`."""
    document = {
        "id": image_id,
        "comment": wanted.message or f"Imported from {wanted.origin}",
        "created": created.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z",
        "docker_version": DOCKER_VERSION,
        "config": {},
        "architecture": wanted.platform.architecture,
        "os": wanted.platform.os,
    }
    return V1Image.decode(json.dumps(document).encode())
