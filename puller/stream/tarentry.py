"""What a tar parser tells: entries and their content, and the listeners that hear of them. No parsing here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, TypeAlias

from puller.stream.sink import Chunk

NO_RECORDS: Final[Mapping[bytes, bytes]] = MappingProxyType({})

REGULAR = b"0"
OLD_REGULAR = b"\0"
HARD_LINK = b"1"
SYMLINK = b"2"
CHARACTER_DEVICE = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"
CONTIGUOUS = b"7"
PAX_HEADER = b"x"
PAX_GLOBAL = b"g"
LONG_NAME = b"L"
LONG_LINK = b"K"
OLD_SPARSE = b"S"


class Entry(NamedTuple):
    """One member of an archive, as its final header says; names are bytes, for archives promise no encoding.

    `size` is the length of the content as a reader of the file sees it, `stored` the bytes it takes in the archive
    (they differ for sparse files), `mtime` nanoseconds since 1970, `offset` where its first header block begins (0 in
    the 2015 dialect). A named tuple and not a dataclass: 60,000 of them are made for one image, and a frozen dataclass
    takes five times as long to build.
    """

    name: bytes
    linkname: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    uname: bytes
    gname: bytes
    devmajor: int
    devminor: int
    xattrs: Mapping[bytes, bytes]
    pax: Mapping[bytes, bytes]
    offset: int
    stored: int
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """The next bytes of the current entry's content; a window that is valid until the parser is fed again."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Hole:
    """The next `size` bytes of a sparse file are zero, and not in the archive."""

    size: int


@dataclass(frozen=True, slots=True)
class EndOfEntry:
    """The current entry is whole: its data and holes add up to its size."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Archive bytes that are no content: headers, padding, the end mark and whatever follows it."""

    chunk: Chunk


TarEvent: TypeAlias = Entry | Data | Hole | EndOfEntry | Raw


class TarListener(Protocol):
    """Hears of one archive, in archive order.

    After `entry` come `data` and `hole` in the order of the content, then `end`. `raw` is called only where raw bytes
    were asked for; all `raw` and `data` chunks in order are the archive again. Subclasses need only what they use.
    """

    def entry(self, entry: Entry, /) -> None:
        """A member begins."""
        return

    def data(self, chunk: Chunk, /) -> None:
        """The next bytes of its content."""
        return

    def hole(self, size: int, /) -> None:
        """The next `size` bytes of its content are zero (sparse files, where they were asked for)."""
        return

    def end(self) -> None:
        """Its content is complete."""
        return

    def raw(self, chunk: Chunk, /) -> None:
        """Bytes that are no content."""
        return
