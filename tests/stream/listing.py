"""What a tar parser told, gathered entry by entry."""

from dataclasses import dataclass, field

import pytest

from puller.errors import InvalidArchive, PullerError
from puller.stream.sane import SANE
from puller.stream.sink import Chunk
from puller.stream.tar import Dialect, TarSink
from puller.stream.tarentry import Entry, TarListener
from tests.stream.archive import END
from tests.stream.pieces import Cut, feed, whole


@dataclass
class Listing(TarListener):
    """Entries with their content, holes as zeros; and the archive put together again."""

    entries: list[Entry] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    holes: list[int] = field(default_factory=list)
    archive: bytes = b""
    finished: int = 0

    def entry(self, entry: Entry, /) -> None:
        assert self.finished == len(self.entries), "an entry began before the last one ended"
        self.entries.append(entry)
        self.contents.append(b"")

    def data(self, chunk: Chunk, /) -> None:
        self.contents[-1] += bytes(chunk)
        self.archive += bytes(chunk)

    def hole(self, size: int, /) -> None:
        self.holes.append(size)
        self.contents[-1] += bytes(size)

    def end(self) -> None:
        self.finished += 1

    def raw(self, chunk: Chunk, /) -> None:
        self.archive += bytes(chunk)

    @property
    def names(self) -> list[bytes]:
        return [entry.name for entry in self.entries]


def listing(data: bytes, *, dialect: Dialect = SANE, cut: Cut = whole) -> Listing:
    """Parse `data` to its end."""
    told = Listing()
    feed(TarSink(told, dialect=dialect, raw=True), data, cut)
    return told


def only(data: bytes) -> Entry:
    """The one entry of an archive that still lacks its end."""
    found = listing(data + END)
    assert len(found.entries) == 1
    return found.entries[0]


def refused(data: bytes, error: type[PullerError] = InvalidArchive) -> str:
    """The words with which the sane dialect refuses `data`; the error must be of exactly this kind."""
    with pytest.raises(error) as caught:
        listing(data)
    assert type(caught.value) is error
    return str(caught.value)
