"""Uploading: blobs to bring, the repository they go into, and what is there then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from puller.errors import (
    RegistryError,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.ops.pulling.transfer import Transferred, copy_blob
from puller.registry.repository import Repository
from puller.store.memory import MemoryStore
from testregistry import TestRegistry
from tests.registry.scene import described, opened


async def shelved(raw: bytes) -> MemoryStore:
    """A store that holds `raw`."""
    store = MemoryStore()
    async with store.ingest(described(raw)) as ingest:
        assert ingest is not None
        await ingest.write(raw)
        await ingest.commit()
    return store


async def bring(repository: Repository, raw: bytes, *, promised: Descriptor | None = None) -> Transferred | None:
    """One blob, gone on with as long as that may help."""
    store, wanted = await shelved(raw), promised or described(raw)
    while True:
        try:
            return await copy_blob(store, repository, wanted, report=unheard)
        except RegistryError:
            if not repository.may_go_on(wanted.digest):
                raise


async def write(repository: Repository, wanted: Descriptor, raw: bytes) -> None:
    """Bring other bytes than were promised, or the right ones by hand."""
    async with repository.ingest(wanted) as ingest:
        assert ingest is not None
        for start in range(0, len(raw), 1 << 20):
            await ingest.write(raw[start : start + (1 << 20)])
        await ingest.commit()


@asynccontextmanager
async def target(registry: TestRegistry, **more: object) -> AsyncIterator[Repository]:
    async with opened(registry.name("app"), **more) as repository:  # type: ignore[arg-type]  # any keywords
        yield repository


def held(registry: TestRegistry, raw: bytes) -> bool:
    body = registry.storage.blob("app", str(Digest.of(raw)))
    return body is not None and b"".join(body.chunks()) == raw


def talk(registry: TestRegistry) -> list[tuple[str, int | None]]:
    return [(request.method, request.status) for request in registry.journal]
