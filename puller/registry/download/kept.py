"""Kept: a manifest that came with the answer to its name, so that it need not be fetched again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from puller.model.descriptor import Descriptor
from puller.model.report import Origin
from puller.stream.sink import Chunk


@dataclass(frozen=True, slots=True)
class KeptBody:
    """A Body that is here already."""

    descriptor: Descriptor
    raw: bytes
    origin: Origin

    def after(self, offset: int) -> "KeptBody":
        """The same without its first `offset` bytes."""
        return KeptBody(self.descriptor, self.raw[offset:], self.origin)

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        if self.raw:
            yield self.raw
