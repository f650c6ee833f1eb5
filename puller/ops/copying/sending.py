"""Sending: one blob to a target, gone on with for as long as that may help; and one manifest."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from puller.contracts.content import Fetcher
from puller.contracts.images import ImageTarget
from puller.errors import LayerError, RegistryError, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.event import Report, Started
from puller.model.push import Arrival
from puller.ops.pulling.transfer import Poured, Watch, copy_blob, unwatched

if TYPE_CHECKING:
    from puller.archive.item import Stream


async def send_blob(
    source: Fetcher, target: ImageTarget, wanted: Descriptor, watch: Watch = unwatched, *, report: Report
) -> tuple[Arrival, int]:
    """Bring a blob that `source` has; how it is there now, and the bytes that were sent. Raises as copy_blob."""

    async def once() -> int | None:
        transferred = await copy_blob(source, target, wanted, watch, report=report)
        return None if transferred is None else transferred.descriptor.size or 0

    return await _persistently(once, target, wanted)


async def send_stream(stream: "Stream", target: ImageTarget, media_type: str, *, report: Report) -> tuple[Arrival, int]:
    """Bring a blob that is made as it is read; else as `send_blob`."""
    wanted = Descriptor(media_type, stream.digest, stream.size)

    async def once() -> int | None:
        async with target.ingest(wanted) as ingest:
            if ingest is None:
                return None
            report(Started(wanted, ingest.offset))
            try:
                await stream.feed(Poured(ingest, wanted, report))
                await ingest.commit()
            except (VerificationError, LayerError) as error:
                error.at(digest=wanted.digest)
                raise
            return stream.size

    return await _persistently(once, target, wanted)


async def send_bytes(raw: bytes, target: ImageTarget, wanted: Descriptor, *, report: Report) -> tuple[Arrival, int]:
    """Bring a small blob that is in memory; else as `send_blob`."""

    async def once() -> int | None:
        async with target.ingest(wanted) as ingest:
            if ingest is None:
                return None
            report(Started(wanted, 0))
            await ingest.write(memoryview(raw)[ingest.offset :])
            await ingest.commit()
            return len(raw)

    return await _persistently(once, target, wanted)


async def put_once(raw: bytes, target: ImageTarget, descriptor: Descriptor, name: str) -> tuple[Arrival, int]:
    """Put a manifest where the target has not that very one under `name`; how it is there, and the bytes sent."""
    pinned = name == str(descriptor.digest)
    there = await target.exists(descriptor) if pinned else await target.named(name) == descriptor.digest
    if there:
        return "exists", 0
    await target.put_manifest(raw, descriptor, name)
    return "pushed", len(raw)


async def _persistently(
    once: Callable[[], Awaitable[int | None]], target: ImageTarget, wanted: Descriptor
) -> tuple[Arrival, int]:
    tried = False
    while True:
        try:
            sent = await once()
        except RegistryError:
            if not target.may_go_on(wanted.digest):
                raise
            tried = True
            continue
        if sent is not None:
            return "pushed", sent
        if target.was_mounted(wanted.digest):
            return "mounted", 0
        # After a try of our own it is there because of that, though the answer was lost.
        return ("pushed", wanted.size or 0) if tried else ("exists", 0)
