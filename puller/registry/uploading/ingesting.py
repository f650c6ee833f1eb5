"""Ingesting: opens the ingests of one repository, each blob's one at a time; and what became of each so far."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from puller.contracts.content import Ingest
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import DOCUMENTS
from puller.registry.uploading.deposit import DocumentDeposit, Progress, depositing
from puller.registry.uploading.upload import Place, Upload
from puller.stream.sink import Sink


class Repository(Protocol):
    """What this needs of one."""

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether it has this. Raises RegistryError."""
        ...

    async def put_manifest(self, raw: bytes, descriptor: Descriptor, name: str) -> None:
        """Put a document under `name`, a tag or its digest. Raises RegistryError, DigestMismatch."""
        ...


class Ingesting:
    """`mount_from`: another repository of the registry, which may have blobs that are to be brought here. `lenders`:
    which other one has a blob for certain; `own` is what they call this one.
    """

    def __init__(
        self,
        place: Place,
        repository: Repository,
        *,
        own: str,
        mount_from: str | None,
        lenders: Callable[[Digest], str | None] | None,
    ) -> None:
        self._place = place
        self._repository = repository
        self._own = own
        self._mount_from = mount_from
        self._lenders = lenders
        self._mounted: set[Digest] = set()
        self._locks: dict[Digest, anyio.Lock] = {}
        self._interrupted: dict[Digest, tuple[Upload, Progress]] = {}

    @asynccontextmanager
    async def ingest(self, expected: Descriptor, watchers: Sequence[Sink]) -> AsyncIterator[Ingest | None]:
        """See Target; and `Repository.ingest` for what is mounted, and for what broke before. Raises RegistryError."""
        async with self._locks.setdefault(expected.digest, anyio.Lock()):
            upload = await self._lent(expected)
            if await self._has(expected, upload):
                yield None
            elif expected.media_type in DOCUMENTS:
                yield DocumentDeposit(expected, watchers, self._put_by_digest)
            else:
                async with self._uploading(expected, watchers, upload) as deposit:
                    yield deposit

    def may_go_on(self, digest: Digest) -> bool:
        """Whether the last ingest of `digest` was interrupted by what may pass."""
        return digest in self._interrupted and self._interrupted[digest][0].may_go_on

    def was_mounted(self, digest: Digest) -> bool:
        """Whether another repository has lent this blob, so that nothing was sent."""
        return digest in self._mounted

    async def _lent(self, expected: Descriptor) -> Upload | None:
        """An upload that was begun as a mount, where somebody is known to have the blob."""
        if self._lenders is None or expected.media_type in DOCUMENTS or expected.digest in self._interrupted:
            return None
        lender = self._lenders(expected.digest)
        if lender is None or lender == self._own:
            return None
        upload = Upload(self._place, expected, mount_from=lender)
        await upload.begin()
        return upload

    async def _has(self, expected: Descriptor, begun: Upload | None) -> bool:
        """Whether nothing is to be brought; an upload that was begun for it ends then."""
        if begun is not None and begun.is_mounted:
            self._mounted.add(expected.digest)
            return True
        if not await self._repository.exists(expected):
            return False
        self._interrupted.pop(expected.digest, None)
        if begun is not None:
            await begun.cancel()
        return True

    @asynccontextmanager
    async def _uploading(
        self, expected: Descriptor, watchers: Sequence[Sink], begun: Upload | None
    ) -> AsyncIterator[Ingest | None]:
        new = begun or Upload(self._place, expected, mount_from=self._mount_from), Progress(expected)
        upload, progress = self._interrupted.pop(expected.digest, new)
        if upload is not begun:
            await upload.begin()
        if upload.is_mounted:
            self._mounted.add(expected.digest)
            yield None
            return
        try:
            async with depositing(upload, expected, watchers, progress) as deposit:
                yield deposit
        finally:
            if not deposit.is_committed:
                self._interrupted[expected.digest] = upload, progress

    async def _put_by_digest(self, descriptor: Descriptor, raw: bytes) -> None:
        await self._repository.put_manifest(raw, descriptor, str(descriptor.digest))
