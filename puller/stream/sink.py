"""Sink: a push consumer of one stream of bytes, and the smallest ones."""

import copy
import hashlib
from collections.abc import Callable
from typing import Protocol, Self, TypeAlias

from puller.model.digest import Digest

# A chunk may be a window into a buffer that is used again: copy what outlives the call.
Chunk: TypeAlias = bytes | bytearray | memoryview

# Called at least once per MiB of work by what may work long on one chunk (a small one may hold gigabytes); what it
# raises, which must be no LayerError, ends the pass.
Pulse: TypeAlias = Callable[[], None]


def unwatched() -> None:
    """The pulse of a pass that nobody wants to stop."""


class Sink(Protocol):
    """Sees every byte of one stream, once, in order.

    Sync on purpose: whoever owns the bytes runs it in a worker thread.
    """

    def write(self, chunk: Chunk, /) -> None:
        """Take the next bytes; raises as soon as they cannot be right."""
        ...

    def finish(self) -> None:
        """No more bytes come; raises if they were not what was promised."""
        ...


class Tee:
    """Hands every chunk to several sinks, in order."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def write(self, chunk: Chunk, /) -> None:
        for sink in self._sinks:
            sink.write(chunk)

    def finish(self) -> None:
        for sink in self._sinks:
            sink.finish()


class Counter:
    """Counts bytes."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, chunk: Chunk, /) -> None:
        self.size += len(chunk)

    def finish(self) -> None:
        pass


class Digester:
    """Hashes and counts; `digest` and `size` may be read at any time."""

    def __init__(self, algorithm: str = "sha256") -> None:
        self.algorithm = algorithm
        self.size = 0
        self._hash = hashlib.new(algorithm)

    def write(self, chunk: Chunk, /) -> None:
        self._hash.update(chunk)
        self.size += len(chunk)

    def finish(self) -> None:
        pass

    def fork(self) -> Self:
        """Another one, as if it had seen the same bytes."""
        other = copy.copy(self)
        other._hash = self._hash.copy()
        return other

    @property
    def digest(self) -> Digest:
        """The digest of what was written so far."""
        return Digest(self.algorithm, self._hash.hexdigest())
