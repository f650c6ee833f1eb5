"""Spool: brings an archive into one file that can be read at any offset: the file itself where that will do, else a
copy without a name, uncompressed, which is gone with its last descriptor however the process ends.
"""

import os
import secrets
import select
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from puller.archive.failure import translated
from puller.errors import ContentCorrupt, InvalidArchive, LimitExceeded, NoSpace
from puller.stream.inflate import SNIFFED, Inflate, sniff
from puller.stream.sink import Chunk, Pulse, Sink, unwatched

CHUNK: Final = 1 << 20
MAX_ARCHIVE: Final = 256 << 30
# Honest zeros shrink 1,032 : 1 by gzip and 32,768 : 1 by zstd; bzip2 and xz can go far beyond.
MAX_RATIO: Final = 40_000
RESERVE: Final = 64 << 20
_WAIT: Final = 100  # milliseconds between two pulses while a pipe has nothing
_LOOK: Final = 64 << 20  # bytes between two looks at the free space
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# Told how many bytes were read, once per chunk; what it raises ends the work.
Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`size`: the most bytes an archive may have when uncompressed; `ratio`: the most of them for one byte of input,
    from 16 MiB on; `reserve`: bytes that must stay free on the disk (THREATS D6).
    """

    size: int = MAX_ARCHIVE
    ratio: int = MAX_RATIO
    reserve: int = RESERVE


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file looked like when it was opened: its size, and when it was last written and changed in any way."""

    size: int
    mtime: int
    ctime: int  # who writes can set the time of it back, but not this one

    @classmethod
    def of(cls, fd: int) -> Self:
        """That of an open file."""
        status = os.fstat(fd)
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file that holds one uncompressed stream from its start to its end; `fd` is closed with the block."""

    fd: int
    seen: Seen

    def check_unchanged(self) -> None:
        """Raise ContentCorrupt if somebody wrote into it meanwhile. Blocking."""
        if Seen.of(self.fd) != self.seen:
            raise ContentCorrupt("the archive was changed while it was read", hint="Nothing of it was kept.")


@contextmanager
def spooled(
    source: int,
    folder: Path,
    *,
    bounds: Bounds | None = None,
    told: Told | None = None,
    pulse: Pulse = unwatched,
    watch: Sink | None = None,
) -> Iterator[Spooled]:
    """The stream that `source` gives, uncompressed, as a file that can be read at any offset. Blocking.

    A regular file that is not compressed is used where it is. All else (a pipe, one level of gzip, bzip2, xz or zstd)
    is written to a file without a name in `folder`. `source` stays the caller's. `pulse` is called ten times a second
    or more; what it raises ends the work. `watch` sees the bytes as `source` gives them. Raises InvalidCompression,
    InvalidArchive for a second level of compression, LimitExceeded, NoSpace, StoreError.
    """
    if (used := _in_place(source)) is not None:
        if watch is not None:
            _show(source, watch, told, pulse)
        yield used
        return
    with nameless(folder) as fd:
        with translated(folder):
            _fill(fd, source, bounds or Bounds(), told, pulse, watch)
        yield Spooled(fd, Seen.of(fd))


def _in_place(source: int) -> Spooled | None:
    with translated("the archive"):
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode) or os.lseek(source, 0, os.SEEK_CUR):
            return None
        return Spooled(source, Seen.of(source)) if sniff(os.pread(source, SNIFFED, 0)) == "none" else None


@contextmanager
def nameless(folder: Path) -> Iterator[int]:
    """A new file that nobody can open by name, and that is gone when it is closed, with the block or the process."""
    with translated(folder):
        fd = _new(folder)
    try:
        yield fd
    finally:
        os.close(fd)


def _new(folder: Path) -> int:
    with suppress(OSError):  # not every file system has O_TMPFILE
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    path = folder / f".archive-{secrets.token_hex(16)}"
    fd = os.open(path, _NEW, 0o600)
    path.unlink()
    return fd


def _show(source: int, watch: Sink, told: Told | None, pulse: Pulse) -> None:
    """Let `watch` see a file that is used where it is."""
    at = 0
    with translated("the archive"):
        while chunk := os.pread(source, CHUNK, at):
            pulse()
            watch.write(chunk)
            at += len(chunk)
            if told is not None:
                told(at)


def _fill(fd: int, source: int, bounds: Bounds, told: Told | None, pulse: Pulse, watch: Sink | None) -> None:
    first = b""
    chunks = _chunks(source, pulse)
    for chunk in chunks:
        first += chunk
        if len(first) >= SNIFFED:
            break
    compression = sniff(first)
    inflate = Inflate(
        FileSink(fd, bounds),
        what="archive",
        compression=compression,
        limit=bounds.size,
        max_ratio=bounds.ratio,
        pulse=pulse,
    )
    read = 0
    for chunk in _again(first, chunks):
        inflate.write(chunk)
        if watch is not None:
            watch.write(chunk)
        read += len(chunk)
        if told is not None:
            told(read)
    inflate.finish()
    if compression != "none" and (inner := sniff(os.pread(fd, SNIFFED, 0))) != "none":
        raise InvalidArchive(
            "the archive is compressed twice",
            got=f"{inner} within {compression}",
            hint="Only one level of compression is taken off.",
        )


def _again(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _chunks(source: int, pulse: Pulse) -> Iterator[bytes]:
    """What `source` gives, from where it stands to its end."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    while True:
        pulse()
        if not poll.poll(_WAIT):
            continue
        chunk = os.read(source, CHUNK)
        if not chunk:
            return
        yield chunk


class FileSink(Sink):
    """A file that is written from its start on, within bounds."""

    def __init__(self, fd: int, bounds: Bounds) -> None:
        self._fd = fd
        self._most = bounds.size
        self._reserve = bounds.reserve
        self._size = 0
        self._look_at = 0

    def write(self, chunk: Chunk, /) -> None:
        if self._size + len(chunk) > self._most:
            raise LimitExceeded("archive too large", wanted=f"at most {self._most} bytes", got="more")
        if self._size >= self._look_at:
            self._look()
        rest = memoryview(chunk)
        while rest:
            written = os.pwrite(self._fd, rest, self._size)
            rest = rest[written:]
            self._size += written

    def _look(self) -> None:
        state = os.fstatvfs(self._fd)
        free = state.f_bavail * state.f_frsize - self._reserve
        if free <= 0:
            wanted = f"{self._reserve} bytes in reserve"
            raise NoSpace("not enough space left for the archive", wanted=wanted, got=free + self._reserve)
        self._look_at = self._size + min(_LOOK, free)

    def finish(self) -> None:
        pass
