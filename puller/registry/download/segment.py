"""Segment: one piece of a blob that is fetched ahead, in a buffer of its own."""

from puller.errors import ProtocolViolation, PullerError
from puller.stream.sink import Chunk

VIEW = 1 << 20  # a hop to a worker thread is paid for by a chunk of this size


class Segment:
    """The bytes from `start` up to, not including, `stop`: filled at one end, taken at the other."""

    def __init__(self, start: int, stop: int, buffer: bytearray) -> None:
        self.start = start
        self.stop = stop
        self.buffer = buffer  # a byte longer than the piece, so that a body too long shows
        self.filled = 0
        self.failure: PullerError | None = None
        self._taken = 0

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.stop - self.start

    @property
    def is_full(self) -> bool:
        """All of it has come."""
        return self.filled == self.size

    @property
    def is_taken(self) -> bool:
        """All of it has been given to the reader."""
        return self._taken == self.size

    def room(self) -> memoryview:
        """Where the next bytes belong, and one byte more."""
        return memoryview(self.buffer)[self.filled : self.size + 1]

    def add(self, chunk: Chunk) -> None:
        """Take the next bytes, which may lie in the room already. Raises ProtocolViolation for too many."""
        end = self.filled + len(chunk)
        if end > self.size:
            raise ProtocolViolation("more came than was asked for", wanted=f"{self.size} bytes", got=f"{end} or more")
        if not (isinstance(chunk, memoryview) and chunk.obj is self.buffer):
            self.buffer[self.filled : end] = chunk
        self.filled = end

    def take(self) -> memoryview | None:
        """What has come and was not taken yet, at most 1 MiB of it; None for nothing."""
        end = min(self.filled, self._taken + VIEW)
        if end == self._taken:
            return None
        view = memoryview(self.buffer)[self._taken : end]
        self._taken = end
        return view
