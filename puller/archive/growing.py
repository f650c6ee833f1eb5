"""GrowingArchive: a tar archive that is written member by member as content comes, each of which can be taken back.

A header says name and size, and stands before the content: it is written last, into the block that was left for it. So
content may come whose size and name are known only when all of it is there, and nothing is kept anywhere else.
"""

import os
import threading
from typing import Final

from puller.archive.failure import translated
from puller.archive.item import Directory, File, Item, Link
from puller.archive.spool import RESERVE
from puller.archive.writer import ArchiveWriter, file_entry
from puller.errors import NoSpace, StoreUnusable
from puller.stream.sink import Chunk
from puller.stream.tarfield import BLOCK, padding
from puller.stream.tarwrite import header

_MOST_OCTAL: Final = 8**11 - 1  # bytes: what the size field of a header holds in digits
_SIZE, _SUM = slice(124, 136), slice(148, 156)  # fields of a header (POSIX.1-2017 pax, "ustar Interchange Format")
_LOOK: Final = 64 << 20  # bytes between two looks at the free space


class GrowingArchive:
    """Over a new, empty regular file `fd`, which stays the caller's. Everything blocks; one member at a time.

    `where` is what errors call it; `reserve` bytes stay free on the disk. Raises NoSpace, StoreError.
    """

    def __init__(self, fd: int, where: object, *, reserve: int = RESERVE) -> None:
        self._fd = fd
        self._where = where
        self._reserve = reserve
        self._size = 0  # bytes of whole members
        self._start = 0  # of the content of the open member
        self._end: int | None = None  # where that ends so far
        self._look_at = 0
        self._closed = False
        # A task that is cancelled from outside any scope does not wait for its thread: whoever takes back does.
        self._busy = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of the members that are whole."""
        return self._size

    def add(self, item: Item) -> None:
        """A directory, a link, or a file whose content is in memory."""
        pieces: list[Chunk] = []
        writer = ArchiveWriter(pieces.append)
        match item:
            case Directory(name, mtime):
                writer.directory(name, mtime)
            case Link(name, target, mtime):
                writer.link(name, target, mtime)
            case File(name, bytes() as content, mtime):
                writer.file(name, content, mtime)
            case File():
                raise TypeError("content that lies elsewhere comes by begin() and append()")
        with self._busy:
            self._check_free()
            self._put(b"".join(pieces), self._size)
            self._size += writer.size

    def begin(self, size: int | None, *, name: str = "") -> None:
        """Leave room for the header of a file; `size` in bytes, None where it is not known yet.

        `name` is needed here only where it is longer than 100 bytes. Raises NoSpace before a byte is written where the
        disk could not hold it.
        """
        with self._busy:
            self._check_free()
            self._look(size or 0)
            self._start = self._size + len(header_of(name, 0))
            self._end = self._start

    def append(self, chunk: Chunk) -> None:
        """The next bytes of the content."""
        with self._busy:
            if self._end is None:
                raise StoreUnusable("no member of the archive is open", where=self._where)
            if self._end >= self._look_at:
                self._look(0)
            self._put(chunk, self._end)
            self._end += len(chunk)

    def end(self, name: str, mtime: int = 0) -> None:
        """The content is whole: now it has a name. `mtime` in seconds since 1970."""
        with self._busy:
            if self._end is None:
                raise StoreUnusable("no member of the archive is open", where=self._where)
            size = self._end - self._start
            head = header_of(name, size, mtime)
            if len(head) != self._start - self._size:
                raise StoreUnusable("no room was left for so long a name", where=self._where, got=name)
            self._put(bytes(padding(size)), self._end)
            self._put(head, self._size)
            self._size = self._end + padding(size)
            self._end = None

    def undo(self) -> None:
        """Take the open member back, if there is one."""
        with self._busy:
            if self._end is not None and not self._closed:
                self._end = None
                with translated(self._where):
                    os.ftruncate(self._fd, self._size)

    def finish(self) -> None:
        """No more members come; all of it is on the disk."""
        pieces: list[Chunk] = []
        ArchiveWriter(pieces.append).finish()
        with self._busy:
            self._check_free()
            self._put(b"".join(pieces), self._size)
            self._size += sum(map(len, pieces))
            with translated(self._where):
                os.ftruncate(self._fd, self._size)
                os.fsync(self._fd)

    def close(self) -> None:
        """Nothing is written any more, by no thread that may be left: then the file can be closed."""
        with self._busy:
            self._closed = True

    def _put(self, chunk: Chunk, at: int) -> None:
        if self._closed:
            raise StoreUnusable("the archive is not written any more", where=self._where)
        rest = memoryview(chunk)
        with translated(self._where):
            while rest:
                written = os.pwrite(self._fd, rest, at)
                rest = rest[written:]
                at += written

    def _check_free(self) -> None:
        if self._end is not None:
            raise StoreUnusable("another member of the archive is open", where=self._where)

    def _look(self, wanted: int) -> None:
        """See that `wanted` bytes fit on the disk. Raises NoSpace."""
        with translated(self._where):
            state = os.fstatvfs(self._fd)
        free = state.f_bavail * state.f_frsize - self._reserve
        if free <= wanted:
            raise NoSpace(
                "not enough space left for the archive",
                where=self._where,
                wanted=f"{wanted} bytes and {self._reserve} in reserve",
                got=free + self._reserve,
            )
        self._look_at = (self._end or self._size) + min(_LOOK, free)


def header_of(name: str, size: int, mtime: int = 0) -> bytes:
    """The header of a file, of the same length however large the file is: one block, or three for a long name.

    In one block a size of more than eleven octal digits is a binary number with the highest bit set, as GNU tar and
    star write it (star(5), "Base-256"); a pax record would want blocks of its own.
    """
    block = header(file_entry(name, min(size, _MOST_OCTAL), mtime))
    if size <= _MOST_OCTAL:
        return block
    if len(block) != BLOCK:
        return header(file_entry(name, size, mtime))
    fields = bytearray(block)
    fields[_SIZE] = b"\x80" + size.to_bytes(11, "big")
    fields[_SUM] = b" " * 8
    fields[_SUM] = b"%06o\0 " % sum(fields)
    return bytes(fields)
