"""The bodies of answers: bytes in memory, a stretch of a file, a repeated pattern, an endless one. Nothing of HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

CHUNK = 256 * 1024


class Body(Protocol):
    """Bytes that can be read again and again, in pieces, and cut to a range without being read."""

    @property
    def size(self) -> int | None:
        """Length in bytes; None when the body never ends."""
        ...

    def slice(self, start: int, stop: int) -> Body:
        """Return the bytes from `start` up to, not including, `stop`, or to the end where that comes first."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from the first to the last."""
        ...


def read(body: Body) -> bytes:
    """Return the whole of a finite body."""
    return b"".join(body.chunks())


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body held in memory."""

    raw: bytes

    @property
    def size(self) -> int:
        return len(self.raw)

    def slice(self, start: int, stop: int) -> BytesBody:
        return BytesBody(self.raw[start:stop])

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, len(self.raw), CHUNK):
            yield self.raw[at : at + CHUNK]


@dataclass(frozen=True, slots=True)
class FileBody:
    """A stretch of a file on disk, opened anew for each reading."""

    path: Path
    start: int
    size: int

    @classmethod
    def whole(cls, path: Path) -> FileBody:
        return cls(path, 0, path.stat().st_size)

    def slice(self, start: int, stop: int) -> FileBody:
        return replace(self, start=self.start + start, size=max(min(stop, self.size) - start, 0))

    def chunks(self) -> Iterator[bytes]:
        left = self.size
        with self.path.open("rb") as file:
            file.seek(self.start)
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk


@dataclass(frozen=True, slots=True)
class PatternBody:
    """One block repeated to the wanted size, so that gigabytes can be served without being stored."""

    block: bytes
    size: int
    phase: int = 0

    def slice(self, start: int, stop: int) -> PatternBody:
        size = max(min(stop, self.size) - start, 0)
        return PatternBody(self.block, size, (self.phase + start) % len(self.block))

    def chunks(self) -> Iterator[bytes]:
        sent, at = 0, self.phase
        while sent < self.size:
            chunk = self.block[at : at + min(len(self.block) - at, self.size - sent)]
            yield chunk
            sent += len(chunk)
            at = 0


@dataclass(frozen=True, slots=True)
class JoinedBody:
    """Several finite bodies, one after the other."""

    parts: tuple[Body, ...]

    @property
    def size(self) -> int:
        return sum(length(part) for part in self.parts)

    def slice(self, start: int, stop: int) -> JoinedBody:
        kept: list[Body] = []
        at = 0
        for part in self.parts:
            end = at + length(part)
            if start < end and stop > at:
                kept.append(part.slice(max(start - at, 0), min(stop, end) - at))
            at = end
        return JoinedBody(tuple(kept))

    def chunks(self) -> Iterator[bytes]:
        for part in self.parts:
            yield from part.chunks()


@dataclass(frozen=True, slots=True)
class EndlessBody:
    """The same block for ever."""

    block: bytes

    @property
    def size(self) -> None:
        return None

    def slice(self, start: int, stop: int) -> Body:
        return PatternBody(self.block, stop - start, start % len(self.block))

    def chunks(self) -> Iterator[bytes]:
        while True:
            yield self.block


def length(body: Body) -> int:
    """Return the size of a body that is known to end."""
    if body.size is None:
        raise ValueError("this body never ends")
    return body.size


EMPTY = BytesBody(b"")
