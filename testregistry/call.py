"""One request on its way through the registry: what was asked, and the stream of what was sent with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from multidict import MultiMapping

from testregistry import errors
from testregistry.answer import Answer
from testregistry.grammar import is_name
from testregistry.journal import Request
from testregistry.target import Target

PIECE = 1024 * 1024


class Content(Protocol):
    """The body of a request as it arrives."""

    def iter_chunked(self, n: int, /) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Broken:
    """A request's body that ends after so many bytes: as if that were all, or with the connection."""

    content: Content
    after: int
    quiet: bool

    async def iter_chunked(self, n: int, /) -> AsyncIterator[bytes]:
        left = self.after
        async for piece in self.content.iter_chunked(n):
            if left:
                yield piece[:left]
            left = max(left - len(piece), 0)
            if not left:
                break
        if not self.quiet:
            raise ConnectionResetError("the request was cut")


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the handlers see it; `record` is its line in the journal."""

    method: str
    target: Target
    headers: Mapping[str, str]
    query: MultiMapping[str]
    content: Content
    record: Request

    @property
    def name(self) -> str:
        """The repository name; raises Refusal when it breaks the grammar."""
        name = self.target.repository or ""
        if not is_name(name):
            raise errors.name_invalid(name)
        return name

    @property
    def reference(self) -> str:
        """The tag or digest at the end of the path."""
        return self.target.reference or ""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the request's body as it arrives."""
        async for piece in self.content.iter_chunked(PIECE):
            yield piece

    async def read(self, limit: int) -> bytes | None:
        """Return the request's body, None when it is longer than `limit` bytes."""
        raw = bytearray()
        async for piece in self.pieces():
            raw += piece
            if len(raw) > limit:
                return None
        return bytes(raw)


Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]
