"""TarParser and TarSink: push readers of tar archives. How headers are understood is a Dialect's business.

Theory of operation. A dialect is a generator that reads the archive as if it could block: it yields what it wants next
(n bytes, or content to hand on) and is sent the answer. The framing here cuts the pushed chunks to those wishes, so
every chunking gives the same answer. At the end of the input the wish that is still open is answered short, once and
again, until the generator returns or raises: each rule about truncation stands beside the reading it concerns. Once it
has returned, the rest is what follows the end mark.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Final, Protocol, TypeAlias

from puller.stream.sink import Chunk
from puller.stream.tarentry import Data, EndOfEntry, Entry, Hole, Raw, TarEvent, TarListener

# n: exactly n bytes, at least one; answered with them, or fewer at the end of the input.
# (size, padding): hand `size` bytes to the listeners as content, then pass over `padding` bytes, together at least one;
# answered with the number of bytes that came of both, fewer only at the end of the input.
# BETWEEN: nothing, answered with 0; no entry is open, so that what follows may be skimmed.
Wish: TypeAlias = int | tuple[int, int]
Answer: TypeAlias = bytes | int
Reading: TypeAlias = Generator[Wish, Answer, None]
BETWEEN: Final[Wish] = (0, 0)

# Takes whole entries out of a chunk, from a place on where one begins, past reading and listeners; where it stopped.
Skim: TypeAlias = Callable[[Chunk, int], int]


class Dialect(Protocol):
    """One understanding of tar: begins a reading that tells `listener` of entries."""

    def __call__(self, listener: TarListener, /) -> Reading: ...


class TarSink:
    """Parses one archive in one dialect and tells its listeners. A Sink: `write` chunks, then `finish`.

    `skim` is asked wherever the dialect is between two entries; nobody is told of those that it takes. Raises what the
    dialect raises: InvalidArchive, TruncatedArchive, LimitExceeded, Unsupported. After that it is of no more use.
    """

    def __init__(self, *listeners: TarListener, dialect: Dialect, raw: bool = False, skim: Skim | None = None) -> None:
        self._listener = listeners[0] if len(listeners) == 1 else _Several(listeners)
        self._tell_raw: Callable[[Chunk], None] | None = self._listener.raw if raw else None
        self._skim = skim
        self._reading = dialect(self._listener)
        self._gathered = bytearray()  # what earlier chunks brought of a wish for n bytes
        self._want = 0  # bytes wished for at once
        self._content = 0  # content bytes still to come
        self._padding = 0  # and the padding behind them
        self._came = 0  # bytes of the open wish for content that came
        self._ended = False
        self._advance(None)

    @property
    def ended(self) -> bool:
        """Whether the archive's end was read; what is written from now on only trails it."""
        return self._ended

    def write(self, chunk: Chunk, /) -> None:
        """Parse the next bytes, in chunks of any size."""
        view = memoryview(chunk)
        whole = chunk if isinstance(chunk, bytes) else view  # bytes are sliced faster
        at, size = 0, len(view)
        while at < size:
            if until := self._want:
                until += at
                if until > size or self._gathered:
                    at = self._gather(view, at)
                    continue
                piece = bytes(whole[at:until])
                if self._tell_raw is not None:
                    self._tell_raw(piece)
                self._advance(piece)
                at = until
            elif self._ended:
                if self._tell_raw is not None:
                    self._tell_raw(view[at:])
                return
            else:
                if self._skim is not None and not (self._content or self._padding):
                    at = self._skim(chunk, at)
                    if at == size:
                        return
                at = self._pass(view, at)

    def finish(self) -> None:
        """The input ends here: what the dialect still wants, it will not get."""
        rest = bytes(self._gathered)
        if rest and self._tell_raw is not None:
            self._tell_raw(rest)
        self._gathered.clear()
        while not self._ended:
            if self._want:
                self._advance(rest)
                rest = b""
            else:
                self._content = self._padding = 0
                self._advance(self._came)

    def _gather(self, view: memoryview, at: int) -> int:
        """Take from `view` what is missing of a wish that spans chunks."""
        until = at + self._want - len(self._gathered)
        self._gathered += view[at:until]
        if until > len(view):
            return len(view)
        piece = bytes(self._gathered)
        self._gathered.clear()
        if self._tell_raw is not None:
            self._tell_raw(piece)
        self._advance(piece)
        return until

    def _pass(self, view: memoryview, at: int) -> int:
        """Hand on content, then go over its padding."""
        if content := self._content:
            piece = view[at : at + content]
            taken = len(piece)
            self._listener.data(piece)
            at += taken
            self._came += taken
            self._content = content - taken
            if taken < content:
                return at
        until = min(at + self._padding, len(view))
        if until > at and self._tell_raw is not None:
            self._tell_raw(view[at:until])
        self._came += until - at
        self._padding -= until - at
        if not self._padding:
            self._advance(self._came)
        return until

    def _advance(self, answer: Answer | None) -> None:
        """Answer the open wish and take down the next one."""
        try:
            wish = self._reading.send(answer)  # type: ignore[arg-type]  # None is what begins a generator
        except StopIteration:
            self._want = 0
            self._ended = True
            return
        if isinstance(wish, int):
            self._want = wish
        else:
            self._want = 0
            self._came = 0
            self._content, self._padding = wish


class TarParser:
    """The same parser with events instead of listeners, for callers that like to ask.

    Data and Raw events are windows into the chunk that was fed: use them before feeding the next.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._events = _Events()
        self._sink = TarSink(self._events, dialect=dialect, raw=True)

    def feed(self, chunk: Chunk) -> Iterator[TarEvent]:
        """The events that `chunk` completes. All of it is parsed at once; raises as TarSink does."""
        self._sink.write(chunk)
        return iter(self._events.take())

    def finish(self) -> Iterator[TarEvent]:
        """The end of the input; raises TruncatedArchive where it comes too early."""
        self._sink.finish()
        return iter(self._events.take())


class _Events(TarListener):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self._events: list[TarEvent] = []

    def take(self) -> list[TarEvent]:
        events, self._events = self._events, []
        return events

    def entry(self, entry: Entry, /) -> None:
        self._events.append(entry)

    def data(self, chunk: Chunk, /) -> None:
        self._events.append(Data(chunk))

    def hole(self, size: int, /) -> None:
        self._events.append(Hole(size))

    def end(self) -> None:
        self._events.append(EndOfEntry())

    def raw(self, chunk: Chunk, /) -> None:
        self._events.append(Raw(chunk))


class _Several(TarListener):
    """Tells many, in order."""

    def __init__(self, listeners: tuple[TarListener, ...]) -> None:
        self._listeners = listeners

    def entry(self, entry: Entry, /) -> None:
        for listener in self._listeners:
            listener.entry(entry)

    def data(self, chunk: Chunk, /) -> None:
        for listener in self._listeners:
            listener.data(chunk)

    def hole(self, size: int, /) -> None:
        for listener in self._listeners:
            listener.hole(size)

    def end(self) -> None:
        for listener in self._listeners:
            listener.end()

    def raw(self, chunk: Chunk, /) -> None:
        for listener in self._listeners:
            listener.raw(chunk)
