"""Deposits: ingests whose bytes go to a registry. They own the verifier: what is wrong is never completed there."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import anyio
from anyio import to_thread

from puller.errors import ConnectionLost, LayerError, LimitExceeded, PullerError, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.document import MAX_BYTES
from puller.registry.transport.outflow import Outflow
from puller.registry.uploading.upload import Upload
from puller.stream.sink import Chunk, Sink, Tee
from puller.stream.verifier import BlobVerifier

SMALL = 1 << 20  # bytes: so much is kept and goes in one request
PARTING = 1.0  # seconds that somebody who stops waits for a registry to hear of it
MARK = 4 << 20  # bytes between the places from which a broken upload can be hashed again: from there the source is read


class PutDocument(Protocol):
    """Puts a manifest or index into the repository, by its digest."""

    async def __call__(self, descriptor: Descriptor, raw: bytes) -> None: ...


class Progress:
    """What was verified of one blob, over all attempts to bring it. The verifier is taken back where the line broke."""

    def __init__(self, expected: Descriptor) -> None:
        self._marks = [BlobVerifier(expected)]

    def verifier(self, held: int) -> BlobVerifier:
        """One that has seen no more than the `held` bytes that the registry has."""
        while self._marks[-1].size > held:
            self._marks.pop()
        return self._marks[-1].fork()

    def note(self, verifier: BlobVerifier) -> None:
        """A place to come back to, if the last one is far."""
        if verifier.size - self._marks[-1].size >= MARK:
            self._marks.append(verifier.fork())


class BlobDeposit:
    """An Ingest that sends what is new to the registry, up to the last request, which only `commit` makes."""

    def __init__(
        self,
        upload: Upload,
        expected: Descriptor,
        watchers: Sequence[Sink],
        progress: Progress,
        group: anyio.abc.TaskGroup,
    ) -> None:
        self._upload = upload
        self._expected = expected
        self._watchers = Tee(*watchers)
        self._progress = progress
        # Watchers cannot be taken back: for them a blob begins at its first byte, whatever the registry has of it.
        self._verifier = progress.verifier(0 if watchers else upload.held)
        self._group = group
        self._kept = bytearray()
        self._outflow: Outflow | None = None
        self._sent = anyio.Event()
        self._failure: PullerError | None = None
        self.is_committed = False

    @property
    def offset(self) -> int:
        """Bytes verified so far, and seen by all watchers."""
        return self._verifier.size

    async def write(self, chunk: Chunk, /) -> None:
        """Hash, feed the watchers, and send what the registry has not. Raises VerificationError, RegistryError."""
        known = self._upload.held - self.offset
        await to_thread.run_sync(self._see, chunk)
        new = memoryview(chunk)[known:] if known > 0 else chunk
        if not len(new):
            return
        if self._outflow is None and self._upload.held == 0 and len(self._kept) + len(new) <= SMALL:
            self._kept += new
            return
        await self._send(new)

    async def commit(self) -> Descriptor:
        """Verify, then have the registry complete it. Raises what is wrong with the bytes, and RegistryError."""
        await to_thread.run_sync(self._finish)
        if self._outflow is None:
            await self._upload.whole(bytes(self._kept))
        else:
            self._outflow.end()
            await self._settled()
            await self._upload.commit()
        self.is_committed = True
        return Descriptor(self._expected.media_type, self._expected.digest, self._verifier.size)

    def _see(self, chunk: Chunk) -> None:
        self._verifier.write(chunk)
        self._watchers.write(chunk)
        self._progress.note(self._verifier)

    def _finish(self) -> None:
        self._verifier.finish()
        self._watchers.finish()

    async def _send(self, new: Chunk) -> None:
        if self._outflow is None:
            self._outflow = Outflow()
            self._group.start_soon(self._stream, self._outflow)
            await self._give(bytes(self._kept))
            self._kept.clear()
        await self._give(new)

    async def _give(self, chunk: Chunk) -> None:
        if self._outflow is not None and not await self._outflow.give(chunk):
            await self._settled()
            raise ConnectionLost("the registry answered before it had all", digest=self._expected.digest)

    async def _stream(self, outflow: Outflow) -> None:
        try:
            await self._upload.stream(outflow)
        except PullerError as error:
            self._failure = error
        finally:
            outflow.refuse()
            self._sent.set()

    async def _settled(self) -> None:
        await self._sent.wait()
        if self._failure is not None:
            raise self._failure


class DocumentDeposit:
    """An Ingest of a manifest or index: small, so it is kept until it is verified."""

    def __init__(self, expected: Descriptor, watchers: Sequence[Sink], put: PutDocument) -> None:
        self._expected = expected
        self._sinks = Tee(BlobVerifier(expected), *watchers)
        self._raw = bytearray()
        self._put = put

    @property
    def offset(self) -> int:
        """Bytes held."""
        return len(self._raw)

    async def write(self, chunk: Chunk, /) -> None:
        """Take the next bytes. Raises VerificationError; LimitExceeded beyond what registries take."""
        self._sinks.write(chunk)
        if len(self._raw) + len(chunk) > MAX_BYTES:
            raise LimitExceeded("the manifest is too large", wanted=f"at most {MAX_BYTES} bytes")
        self._raw += chunk

    async def commit(self) -> Descriptor:
        """Verify, then put it. Raises VerificationError, RegistryError."""
        self._sinks.finish()
        raw = bytes(self._raw)
        await self._put(self._expected, raw)
        return Descriptor(self._expected.media_type, self._expected.digest, len(raw))


@asynccontextmanager
async def depositing(
    upload: Upload, expected: Descriptor, watchers: Sequence[Sink], progress: Progress
) -> AsyncIterator[BlobDeposit]:
    """An open deposit into an upload that was begun. What is wrong, or given up, cancels the upload; what was cut short
    does not.
    """
    failure: Exception | None = None
    try:
        async with anyio.create_task_group() as group:
            deposit = BlobDeposit(upload, expected, watchers, progress, group)
            try:
                yield deposit
            except Exception as error:
                failure = error  # raised after the group: it would wrap it
            group.cancel_scope.cancel()
    except anyio.get_cancelled_exc_class():
        await upload.cancel(within=PARTING)
        raise
    if isinstance(failure, VerificationError | LayerError):
        await upload.cancel()
    if failure is not None:
        raise failure
