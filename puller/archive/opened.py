"""Archive: an open archive of images: members by name, small documents read whole, layers as windows of the file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from puller.archive.failure import translated
from puller.archive.members import Member, Members, check_size, read_members
from puller.archive.spool import CHUNK, Bounds, Spooled, Told, spooled
from puller.contracts.layers import LayerBlob
from puller.errors import LimitExceeded, TruncatedArchive
from puller.stream.inflate import SNIFFED, Compression, sniff
from puller.stream.sink import Pulse, unwatched

MAX_JSON: Final = 1 << 20  # of one of Docker's documents (THREATS G2)
MAX_TOTAL: Final = 48 << 20


class Allowance:
    """How much of an archive's documents may be read into memory, in bytes, all of them together (THREATS G2)."""

    def __init__(self, most: int = MAX_TOTAL) -> None:
        self._most = most
        self._left = most

    def spend(self, size: int) -> None:
        """So much more is read. Raises LimitExceeded."""
        self._left -= size
        if self._left < 0:
            raise LimitExceeded("too many documents in one archive", wanted=f"at most {self._most} bytes of them")


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive whose members are known. Everything blocks."""

    members: Members
    file: Spooled
    allowance: Allowance = field(default_factory=Allowance)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.file.seen.size

    def read(self, name: str, *, limit: int = MAX_JSON) -> bytes:
        """The whole of a small member. Raises InvalidArchive, UnsafePath, LimitExceeded for more than `limit` bytes."""
        member = self.members.file(name)
        check_size(member, limit)
        self.allowance.spend(member.size)
        return b"".join(self.chunks(member))

    def chunks(self, member: Member, offset: int = 0) -> Iterator[bytes]:
        """Its content from `offset` on, about 1 MiB at a time."""
        end = member.start + member.size
        at = member.start + offset
        while at < end:
            with translated("the archive"):
                chunk = os.pread(self.file.fd, min(CHUNK, end - at), at)
            if not chunk:
                raise TruncatedArchive("the archive has become shorter", where=member.name)
            at += len(chunk)
            yield chunk

    def compression(self, member: Member) -> Compression:
        """What its first bytes say it is packed with."""
        with translated("the archive"):
            return sniff(os.pread(self.file.fd, min(SNIFFED, member.size), member.start))

    def layer(self, member: Member) -> LayerBlob:
        """A member as a layer to unpack where it lies; open as long as the archive."""
        return LayerBlob(self.file.fd, self.compression(member), None, member.start, member.size)


@contextmanager
def opened(
    source: int, folder: Path, *, bounds: Bounds | None = None, told: Told | None = None, pulse: Pulse = unwatched
) -> Iterator[Archive]:
    """The archive of images that `source` gives, until the block ends. Blocking.

    Raises as `spooled` and `read_members`. A stream that is not an archive of images shows only in what it lacks.
    """
    with spooled(source, folder, bounds=bounds, told=told, pulse=pulse) as file:
        yield Archive(read_members(file.fd, pulse=pulse), file)
