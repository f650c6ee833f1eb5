"""uploading: one blob to a registry, gone on with for as long as that may help."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from puller.archive.item import Stream
from puller.contracts.content import Fetcher, Target
from puller.errors import LayerError, RegistryError, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Report, Started
from puller.model.push import Arrival
from puller.ops.pulling.transfer import Poured, copy_blob


class Registry(Target, Protocol):
    """What a push wants of a repository beyond a Target."""

    def may_go_on(self, digest: Digest) -> bool:
        """Whether the last ingest of `digest` was interrupted by what may pass."""
        ...

    def was_mounted(self, digest: Digest) -> bool:
        """Whether another repository has lent this blob."""
        ...

    async def put_manifest(self, raw: bytes, descriptor: Descriptor, name: str) -> None:
        """Put a manifest under a tag or its digest."""
        ...

    async def named(self, tag: str) -> Digest | None:
        """What a tag names now."""
        ...


async def send_blob(source: Fetcher, registry: Registry, wanted: Descriptor, *, report: Report) -> tuple[Arrival, int]:
    """Bring a blob that `source` has; how it is there now, and the bytes that were sent. Raises as copy_blob."""

    async def once() -> int | None:
        transferred = await copy_blob(source, registry, wanted, report=report)
        return None if transferred is None else transferred.descriptor.size or 0

    return await _persistently(once, registry, wanted)


async def send_stream(stream: Stream, registry: Registry, media_type: str, *, report: Report) -> tuple[Arrival, int]:
    """Bring a blob that is made as it is read; else as `send_blob`."""
    wanted = Descriptor(media_type, stream.digest, stream.size)

    async def once() -> int | None:
        async with registry.ingest(wanted) as ingest:
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

    return await _persistently(once, registry, wanted)


async def send_bytes(raw: bytes, registry: Registry, wanted: Descriptor, *, report: Report) -> tuple[Arrival, int]:
    """Bring a small blob that is in memory; else as `send_blob`."""

    async def once() -> int | None:
        async with registry.ingest(wanted) as ingest:
            if ingest is None:
                return None
            report(Started(wanted, 0))
            await ingest.write(memoryview(raw)[ingest.offset :])
            await ingest.commit()
            return len(raw)

    return await _persistently(once, registry, wanted)


async def _persistently(
    once: Callable[[], Awaitable[int | None]], registry: Registry, wanted: Descriptor
) -> tuple[Arrival, int]:
    tried = False
    while True:
        try:
            sent = await once()
        except RegistryError:
            if not registry.may_go_on(wanted.digest):
                raise
            tried = True
            continue
        if sent is not None:
            return "pushed", sent
        if registry.was_mounted(wanted.digest):
            return "mounted", 0
        # After a try of our own it is there because of that, though the answer was lost.
        return ("pushed", wanted.size or 0) if tried else ("exists", 0)
