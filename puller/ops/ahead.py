"""Reading ahead: a file's next bytes are fetched while those before them are at work."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO, Final, TypeAlias

from puller.stream.sink import Chunk

CHUNK: Final = 1 << 20
_BUFFERS: Final = 2

_Buffers: TypeAlias = "SimpleQueue[memoryview | None]"
_Read: TypeAlias = "SimpleQueue[tuple[memoryview, int] | OSError]"


@contextmanager
def read_ahead(file: BinaryIO) -> Iterator[Iterator[Chunk]]:
    """The file's bytes from where it stands, in chunks of up to 1 MiB; each is good until the next is asked for.

    A regular file is read by a thread of its own, which has ended when the block is left; two chunks are in memory. All
    else (a pipe may keep its reader waiting for ever) is read when it is asked for. Raises OSError.
    """
    if not _is_regular(file):
        yield iter(lambda: file.read(CHUNK), b"")
        return
    free: _Buffers = SimpleQueue()
    full: _Read = SimpleQueue()
    for _ in range(_BUFFERS):
        free.put(memoryview(bytearray(CHUNK)))
    thread = Thread(target=_read, args=(file.fileno(), free, full), name="read ahead", daemon=True)
    thread.start()
    try:
        yield _used(free, full)
    finally:
        free.put(None)
        thread.join()


def _is_regular(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except OSError:  # it has no descriptor
        return False


def _read(descriptor: int, free: _Buffers, full: _Read) -> None:
    """Fill buffers as they come free, until the end, an error, or None."""
    while (buffer := free.get()) is not None:
        try:
            size = os.readv(descriptor, [buffer])
        except OSError as error:
            full.put(error)
            return
        full.put((buffer, size))
        if not size:
            return


def _used(free: _Buffers, full: _Read) -> Iterator[Chunk]:
    while True:
        found = full.get()
        if isinstance(found, OSError):
            raise found
        buffer, size = found
        if not size:
            return
        yield buffer[:size]
        free.put(buffer)
