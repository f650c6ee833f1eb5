"""Window: the pieces of a blob that are fetched ahead of its reader, and the buffers they lie in. Pure.

    reader ──► taken │ pieces, in order, each filling by itself … │ not asked for yet
               position                                           frontier

At most `policy.window` bytes of buffers are there, whatever the size of the blob; a buffer is used again when its piece
has been taken. So what a kill loses is a window and no more.
"""

from collections import deque

from puller.registry.download.segment import Segment
from puller.registry.download.width import RangePolicy


class Window:
    """The pieces between `position` and `frontier`."""

    def __init__(self, policy: RangePolicy, size: int) -> None:
        self._policy = policy
        self._size = size
        self._free: list[bytearray] = []
        self._buffers = policy.window // policy.piece  # that may still be made
        self._pieces: deque[Segment] = deque()
        self._taken: Segment | None = None
        self.frontier = 0

    def begin(self, position: int) -> int:
        """Where pieces begin when a stream stands at `position`, which goes on until there: a whole piece on.

        They lie at multiples of their size, so that caches on the way that keep slices see the same ones each time.
        """
        piece = self._policy.piece
        self.frontier = min((position // piece + 2) * piece, self._size)
        return self.frontier

    @property
    def first(self) -> Segment | None:
        """The piece that the reader is at, or will come to."""
        return self._pieces[0] if self._pieces else None

    def claim(self) -> Segment | None:
        """The next piece to be asked for; None where nothing is left or there is no room."""
        if self.frontier >= self._size:
            return None
        buffer = self._buffer()
        if buffer is None:
            return None
        start = self.frontier
        self.frontier = min(start + self._policy.piece, self._size)
        segment = Segment(start, self.frontier, buffer)
        self._pieces.append(segment)
        return segment

    def pass_first(self) -> None:
        """The reader has taken the first piece; its last chunk is lent until `reclaim`."""
        self._taken = self._pieces.popleft()

    def reclaim(self) -> None:
        """Nothing is lent any more."""
        if self._taken is not None:
            self._free.append(self._taken.buffer)
            self._taken = None

    def drop_from(self, segment: Segment) -> list[Segment]:
        """Forget this piece and all after it; which those were. Their buffers are lost: somebody may still write."""
        dropped = [piece for piece in self._pieces if piece.start >= segment.start]
        for _ in dropped:
            self._pieces.pop()
        self.frontier = segment.start
        return dropped

    def _buffer(self) -> bytearray | None:
        if self._free:
            return self._free.pop()
        if not self._buffers:
            return None
        self._buffers -= 1
        return bytearray(self._policy.piece + 1)
