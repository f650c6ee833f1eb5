"""unpack: an image as one plain directory, complete or absent."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import anyio
from anyio import to_thread

from puller.contracts.layers import LayerBlob, Staged, Told, Unpacked
from puller.errors import ContentMissing, PullerError
from puller.model.event import Report, Subject, unheard
from puller.model.report import UnpackReport
from puller.ops.pulling.ledger import Ledger
from puller.ops.tasks import apart
from puller.ops.unpacking.stacking import Layer, Stacking, layers_of
from puller.ops.unpacking.stored import Present


class Flat(Protocol):
    """A directory in the making: layers are unpacked side by side, merged in order, and shown all at once."""

    def unpack(self, layer: str, blob: LayerBlob, told: Told) -> Staged:
        """Unpack one layer where nobody sees it."""
        ...

    def merge(self, staged: Staged, told: Told) -> Unpacked:
        """Put it onto what is there so far; `staged` is used up."""
        ...

    def discard(self, staged: Staged) -> None:
        """Remove one that is not wanted."""
        ...

    def commit(self) -> None:
        """Make the whole exist, in one rename."""
        ...


async def unpack(
    present: AbstractAsyncContextManager[Present],
    flat: Flat,
    *,
    subject: Subject,
    path: str,
    workers: anyio.CapacityLimiter,
    report: Report = unheard,
) -> UnpackReport:
    """Unpack an image into `flat`, which becomes the directory `path`; `present` keeps it while that takes.

    Every blob has been verified, or is hashed now; what it unpacks to is held to its diff ID. `workers` limits how many
    layers are at work at once, `subject` is what the image is called in events and errors. Raises any PullerError; then
    nothing of it exists.
    """
    ledger = Ledger(subject, report)

    async def work() -> UnpackReport:
        async with present as (image, blobs):
            stacking = Stacking(_Ground(flat), blobs, locked=_alone, workers=workers, ledger=ledger)
            reports = await stacking.run(layers_of(image))
            await to_thread.run_sync(flat.commit)
        where = None if image.config is None or image.config.platform is None else str(image.config.platform)
        result = UnpackReport(where, "", path, reports, round(ledger.elapsed(), 3))
        ledger.unpacked(result)
        return result

    try:
        return await apart(work)
    except PullerError as error:
        raise error.at(reference=subject) from error.__cause__


@asynccontextmanager
async def _alone(layer: Layer) -> AsyncIterator[None]:
    """Nobody else works in a directory that nobody else sees."""
    yield


class _Ground:
    """A Place that has no layer yet."""

    def __init__(self, flat: Flat) -> None:
        self._flat = flat
        self.unpack = flat.unpack
        self.discard = flat.discard

    def has(self, layer: str) -> bool:
        return False

    def unpacked(self, layer: str) -> Unpacked:
        raise ContentMissing("no layer is here yet", got=layer)

    def commit(self, staged: Staged, parent: str | None, told: Told) -> Unpacked:
        return self._flat.merge(staged, told)
