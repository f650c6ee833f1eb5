"""Seams for content: who names it, who gives it, who takes it. Protocols, and what not everybody can be asked for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from puller.errors import Unsupported
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.model.report import Origin
from puller.model.text import printable
from puller.stream.sink import Chunk, Sink


class Body(Protocol):
    """An open blob: iterate once for chunks of about 1 MiB. A chunk is valid until the next one is asked for."""

    @property
    def origin(self) -> Origin:
        """Who served it so far."""
        ...

    def __aiter__(self) -> AsyncIterator[Chunk]: ...


class Resolver(Protocol):
    """Turns a name into a descriptor."""

    async def resolve(self, reference: Reference) -> Descriptor:
        """What `reference` names now; `size` may be None. Raises NotFound or ContentMissing."""
        ...


class Fetcher(Protocol):
    """Gives bytes by descriptor."""

    def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AbstractAsyncContextManager[Body]:
        """The bytes of `wanted` from `offset` to the end, or an error: resuming is the fetcher's business.

        The body is not verified here; it never exceeds what `wanted.size` allows by more than one chunk.
        """
        ...


@runtime_checkable
class LabelFetcher(Protocol):
    """Gives the bytes of layers that schema 1 manifests name by tarsum labels."""

    def labelled(self, label: str) -> AbstractAsyncContextManager[Body]:
        """The blob under this label, as the manifest wrote it, from its start to its end; not verified here."""
        ...


@runtime_checkable
class Alternatives(Protocol):
    """A fetcher that can have the same content from several places."""

    def disown(self, digest: Digest) -> bool:
        """Those who have served `digest` so far served it wrong: have it from others. False: there are no others."""
        ...


def labelled(source: object, label: str) -> AbstractAsyncContextManager[Body]:
    """See LabelFetcher. Raises Unsupported where `source` is none."""
    if not isinstance(source, LabelFetcher):
        raise Unsupported("this source knows no blobs by tarsum labels", got=printable(label))
    return source.labelled(label)


def disowned(source: object, digest: Digest) -> bool:
    """See Alternatives. False where `source` has none."""
    return isinstance(source, Alternatives) and source.disown(digest)


class Source(Resolver, Fetcher, Protocol):
    """A repository in a registry, a store, an archive."""


class Ingest(Protocol):
    """An unfinished write. Nothing exists before `commit`."""

    @property
    def offset(self) -> int:
        """Bytes held so far, those kept from an earlier try included (they went through all watchers again)."""
        ...

    async def write(self, chunk: Chunk, /) -> None:
        """Append, hash and feed the watchers in one worker hop.

        Raises VerificationError as soon as the bytes cannot be right.
        """
        ...

    async def commit(self) -> Descriptor:
        """Verify, finish the watchers (they can still refuse), then make it exist: atomic and durable."""
        ...


class Target(Protocol):
    """A store, a registry, an archive writer."""

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether the content is here whole (its size is compared, its bytes are not read)."""
        ...

    def ingest(self, expected: Descriptor, *watchers: Sink) -> AbstractAsyncContextManager[Ingest | None]:
        """Lock the digest and open an ingest; None: it is here already, so there is nothing to write.

        Waits while another task or process writes the same digest. Leaving without commit keeps a short part for the
        next try; a VerificationError inside deletes the part.
        """
        ...

    async def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Name it, atomically: readers see the old or the new. The content must be here."""
        ...


class Lease(Protocol):
    """Keeps content from being collected while somebody works with it."""

    async def hold(self, digests: Sequence[Digest]) -> None:
        """Add to what is kept. Call it before asking whether content exists."""
        ...


class ContentStore(Source, Target, Protocol):
    """Content that stays: a Source and a Target with housekeeping."""

    def opened(self, digest: Digest) -> AbstractAsyncContextManager[int]:
        """The file descriptor of a stored blob, read-only (a memfd in memory). Raises ContentMissing."""
        ...

    async def read(self, descriptor: Descriptor, *, limit: int) -> bytes:
        """The whole of a small blob, its digest checked again. Raises ContentMissing, ContentCorrupt, LimitExceeded."""
        ...

    async def watch(self, descriptor: Descriptor, *watchers: Sink) -> None:
        """Read a stored blob through `watchers` and its own verifier.

        Raises ContentMissing, and ContentCorrupt where it no longer is what its name says.
        """
        ...

    async def facts(self, digest: Digest) -> Facts:
        """What was proved of a blob; empty facts where nothing is known."""
        ...

    async def prove(self, digest: Digest, facts: Facts) -> None:
        """Keep `facts` beside the blob, merged with what is known."""
        ...

    async def discard_damaged(self, digest: Digest) -> None:
        """Remove a stored blob if it is not what its name says.

        It is read again under its lock: of several who found it damaged, the first may have put it right meanwhile.
        """
        ...

    async def delete(self, digest: Digest) -> None:
        """Remove a blob and its facts; it is no error if it is gone already."""
        ...

    def digests(self) -> AsyncIterator[Digest]:
        """Every blob, in order of their names."""
        ...

    async def tags(self) -> dict[str, Descriptor]:
        """Every name and what it names, by full canonical name."""
        ...

    async def untag(self, reference: Reference) -> Descriptor:
        """Take a name away; what it named. Raises ContentMissing."""
        ...

    def locked(self, name: str) -> AbstractAsyncContextManager[None]:
        """Hold a lock for as long as the block runs; waits for other tasks and processes that hold it.

        `name` is of lower-case words with hyphens between them, and not a digest's.
        """
        ...

    def lease(self) -> AbstractAsyncContextManager[Lease]:
        """Hold content for as long as the block runs; a dead process holds nothing."""
        ...
