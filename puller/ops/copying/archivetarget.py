"""What the two kinds of archives have in common as places to copy to: a file that grows by one blob at a time."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar, TypeVarTuple

import anyio
from anyio import CancelScope, to_thread

from puller.archive.growing import GrowingArchive
from puller.contracts.content import Ingest
from puller.errors import DigestMismatch, LimitExceeded, SizeMismatch, Unsupported
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import Index, Manifest, parse_manifest
from puller.stream.sink import Chunk, Sink, Tee
from puller.stream.verifier import BlobVerifier

T = TypeVar("T")
Args = TypeVarTuple("Args")


class Member(Protocol):
    """What becomes of the bytes of one blob. Everything blocks."""

    def write(self, chunk: Chunk, /) -> None:
        """The next bytes."""
        ...

    def finish(self) -> None:
        """They are all there, and right."""
        ...


class MemberIngest:
    """An Ingest into one member; `commit` makes the blob exist, as far as anything does in an unfinished archive."""

    def __init__(self, expected: Descriptor, watchers: Sequence[Sink], member: Member) -> None:
        self._expected = expected
        self._verifier = BlobVerifier(expected)
        self._watchers = Tee(*watchers)
        self._member = member
        self.is_committed = False

    @property
    def offset(self) -> int:
        """Bytes so far; of an earlier try nothing is kept."""
        return self._verifier.size

    async def write(self, chunk: Chunk, /) -> None:
        """Hash, append and feed the watchers, in one worker hop. Raises VerificationError, NoSpace, StoreError."""
        await to_thread.run_sync(self._append, chunk)

    def _append(self, chunk: Chunk) -> None:
        self._verifier.write(chunk)  # first: a body that is too long must not reach the disk
        self._member.write(chunk)
        self._watchers.write(chunk)

    async def commit(self) -> Descriptor:
        """Verify, then end the member. Raises what is wrong with the bytes, and StoreError."""
        await to_thread.run_sync(self._finish)
        self.is_committed = True
        return Descriptor(self._expected.media_type, self._expected.digest, self._verifier.size)

    def _finish(self) -> None:
        self._verifier.finish()  # first: a wrong byte makes the others stumble too, and this is the truer answer
        self._watchers.finish()
        self._member.finish()


class Kept:
    """A Member for a config, which is small: it is kept in memory, and `keep` gets it when it is whole."""

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self._raw = bytearray()
        self._keep = keep

    def write(self, chunk: Chunk, /) -> None:
        """See Member. Raises LimitExceeded beyond what registries take."""
        if len(self._raw) + len(chunk) > MAX_BYTES:
            raise LimitExceeded("the document is too large", wanted=f"at most {MAX_BYTES} bytes")
        self._raw += chunk

    def finish(self) -> None:
        """See Member."""
        self._keep(bytes(self._raw))


class PutManifest(Protocol):
    """See ImageTarget."""

    async def __call__(self, raw: bytes, descriptor: Descriptor, name: str) -> None: ...


class DocumentIngest:
    """An Ingest of a manifest or index, which is put by its digest when it is whole."""

    def __init__(self, expected: Descriptor, watchers: Sequence[Sink], put: PutManifest) -> None:
        self._expected = expected
        self._raw = b""
        self._put = put
        self._sinks = Tee(BlobVerifier(expected), *watchers, Kept(self._whole))
        self.offset = 0

    async def write(self, chunk: Chunk, /) -> None:
        """See Ingest. Raises LimitExceeded beyond what registries take."""
        self._sinks.write(chunk)
        self.offset += len(chunk)

    async def commit(self) -> Descriptor:
        """See Ingest. Raises as `put_manifest`."""
        self._sinks.finish()
        descriptor = Descriptor(self._expected.media_type, self._expected.digest, len(self._raw))
        await self._put(self._raw, descriptor, str(descriptor.digest))
        return descriptor

    def _whole(self, raw: bytes) -> None:
        self._raw = raw


class ArchiveTarget:
    """What every such ImageTarget does. Blobs come one after the other: each has the end of the file to itself."""

    def __init__(self, place: str, archive: GrowingArchive) -> None:
        self._place = place
        self._archive = archive
        self._turn = anyio.Lock()
        self._sizes: dict[Digest, int] = {}  # of all that is here

    @property
    def place(self) -> str:
        """`oci-archive:/file` or `docker-archive:/file`."""
        return self._place

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether it was brought."""
        return self._has(descriptor)

    def may_go_on(self, digest: Digest) -> bool:
        """Never: what a disk refuses does not pass."""
        return False

    def was_mounted(self, digest: Digest) -> bool:
        """Never: an archive has every blob once."""
        return False

    def _has(self, descriptor: Descriptor) -> bool:
        return descriptor.digest in self._sizes and descriptor.size in (None, self._sizes[descriptor.digest])

    @asynccontextmanager
    async def _written(
        self, expected: Descriptor, watchers: Sequence[Sink], member: Callable[[], Member]
    ) -> AsyncIterator[Ingest | None]:
        """An ingest whose turn it is; what is not committed is taken back. None: it is here already."""
        async with self._turn:
            if self._has(expected):
                yield None
                return
            try:
                ingest = MemberIngest(expected, watchers, await to_thread.run_sync(member))
                yield ingest
                if ingest.is_committed:
                    self._sizes[expected.digest] = ingest.offset
            finally:
                with CancelScope(shield=True):
                    await to_thread.run_sync(self._archive.undo)

    async def _run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        async with self._turn:
            return await to_thread.run_sync(function, *args)


def checked_document(raw: bytes, descriptor: Descriptor) -> Manifest | Index:
    """What is put, held to its digest. Raises VerificationError, InvalidManifest, Unsupported for schema 1."""
    if descriptor.media_type in mediatype.SCHEMA1_MANIFESTS:
        hint = "Pull the image, and `puller convert` it first."
        raise Unsupported("archives hold no images of schema 1", digest=descriptor.digest, hint=hint)
    found = Digest.of(raw, descriptor.digest.algorithm)
    if found != descriptor.digest:
        raise DigestMismatch("content has another digest", wanted=descriptor.digest, got=found)
    if descriptor.size not in (None, len(raw)):
        raise SizeMismatch("content of another size", wanted=descriptor.size, got=len(raw), digest=descriptor.digest)
    return parse_manifest(raw, descriptor.media_type)
