"""Seams for images as a whole: the places they are copied from and to, and kept in."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from puller.contracts.content import Fetcher, Source, Target
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest


class ImageSource(Source, Protocol):
    """A repository in a registry, an image layout, a store or an archive, to copy images from."""

    @property
    def place(self) -> str:
        """What it is called in reports: `host/repository`, `oci:/directory`, `store:`, `oci-archive:/file`."""
        ...

    async def holds(self, descriptor: Descriptor) -> bool:
        """Whether it should have this content. Registries say yes unasked; what keeps images in part looks."""
        ...

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """What refers to `subject`, by the place's own lists and by the fallback tag; hints, each once (THREATS C20).

        Raises RegistryError, ProtocolViolation beyond the bounds of such lists.
        """
        ...

    def tags(self) -> AsyncIterator[str]:
        """The names of all tags, each once."""
        ...


class ImageTarget(Target, Protocol):
    """A repository in a registry, an image layout, a store or an archive, to copy images to."""

    @property
    def place(self) -> str:
        """See ImageSource."""
        ...

    def may_go_on(self, digest: Digest) -> bool:
        """Whether the last ingest of `digest` was interrupted by what may pass."""
        ...

    def was_mounted(self, digest: Digest) -> bool:
        """Whether another repository has lent this blob."""
        ...

    async def put_manifest(self, raw: bytes, descriptor: Descriptor, name: str) -> None:
        """Put a manifest or index under `name`, a tag or its digest; all it refers to must be there.

        Raises ContentUnknown where the place misses some of that, and any other RegistryError or StoreError.
        """
        ...

    async def named(self, tag: str) -> Digest | None:
        """What a tag names now; None: nothing."""
        ...


@runtime_checkable
class Housekeeper(Protocol):
    """An ImageTarget that misses what a name needs, and throws away in time what no name needs."""

    async def leave_out(self, document: Descriptor, absent: Sequence[Digest]) -> None:
        """Of an index or manifest that is about to be put: what it names and was not brought, by choice."""
        ...

    async def keep(self, descriptor: Descriptor) -> None:
        """Have what was put stay under its digest alone. Raises ContentUnknown where it is not whole."""
        ...


class TagKeeper(Protocol):
    """A place whose tags can be taken away."""

    def tags(self) -> AsyncIterator[str]:
        """The names of all tags, each once."""
        ...

    async def named(self, tag: str) -> Digest | None:
        """What a tag names now; None: nothing."""
        ...

    async def untag(self, tag: str, expected: Digest) -> None:
        """Take the tag away and nothing else: other tags of the same digest keep it (DEMANDS C21).

        Raises DigestMismatch where it names something else by now, Unsupported where the place can only remove what
        other tags share. It is no error if it is gone already.
        """
        ...


class Held(Protocol):
    """A digest that is ours to bring, among all who copy in one run."""

    @property
    def fetcher(self) -> Fetcher | None:
        """Somebody who has it by now, nearer than its source; None: nobody."""
        ...

    def is_at(self, place: str) -> bool:
        """Whether this run has seen it at `place`: of a manifest or index, with all that it needs."""
        ...

    def lend(self, raw: bytes) -> None:
        """Have a small document at hand for the others; it may be forgotten."""
        ...

    async def arrived(self, place: str) -> None:
        """It is at `place` now, whoever brought it."""
        ...


class Claims(Protocol):
    """Sees to it that each digest is fetched once in a run, whoever needs it."""

    def claim(self, digest: Digest) -> AbstractAsyncContextManager[Held]:
        """Have `digest` to oneself as long as the block runs; waits for others who have it."""
        ...
