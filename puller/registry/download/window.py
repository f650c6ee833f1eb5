"""Window: the pieces of a blob that are fetched ahead of its reader, and the buffers they lie in. Pure.

    reader ──► taken │ pieces, in order, each filling by itself … │ not asked for yet
               position                                           frontier

The buffers are the pool's, so there are no more than a window holds, whatever the size of the blob; one is given back
when its piece has been taken. So what a kill loses is a window and no more.
"""

from collections import deque

from puller.registry.download.pool import Pool
from puller.registry.download.segment import Segment


class Window:
    """The pieces between `position` and `frontier`."""

    def __init__(self, pool: Pool, size: int) -> None:
        self._pool = pool
        self._piece = pool.policy.piece
        self._most = pool.policy.pieces(size)
        self._size = size
        self._pieces: deque[Segment] = deque()
        self._taken: Segment | None = None
        self.frontier = 0

    def begin(self, position: int) -> int:
        """Where pieces begin when a stream stands at `position`, which goes on until there: a whole piece on.

        They lie at multiples of their size, so that caches on the way that keep slices see the same ones each time.
        """
        self.frontier = min((position // self._piece + 2) * self._piece, self._size)
        return self.frontier

    @property
    def first(self) -> Segment | None:
        """The piece that the reader is at, or will come to."""
        return self._pieces[0] if self._pieces else None

    def claim(self) -> Segment | None:
        """The next piece to be asked for; None where nothing is left or there is no room."""
        having = len(self._pieces) + (self._taken is not None)
        is_more = self.frontier < self._size and having < self._most
        buffer = self._pool.take(having=having) if is_more else None
        if buffer is None:
            return None
        start = self.frontier
        self.frontier = min(start + self._piece, self._size)
        segment = Segment(start, self.frontier, buffer)
        self._pieces.append(segment)
        return segment

    def pass_first(self) -> None:
        """The reader has taken the first piece; its last chunk is lent until `reclaim`."""
        self._taken = self._pieces.popleft()

    def reclaim(self) -> None:
        """Nothing is lent any more."""
        if self._taken is not None:
            self._pool.give(self._taken.buffer)
            self._taken = None

    def drop_from(self, segment: Segment) -> list[Segment]:
        """Forget this piece and all after it; which those were. Somebody may still write to their buffers."""
        dropped = [piece for piece in self._pieces if piece.start >= segment.start]
        for _ in dropped:
            self._pieces.pop()
            self._pool.lose()
        self.frontier = segment.start
        return dropped

    def close(self) -> None:
        """Nobody reads or writes any more."""
        self.reclaim()
        for piece in self._pieces:
            self._pool.give(piece.buffer)
        self._pieces.clear()
