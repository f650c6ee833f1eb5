"""ArchiveWriter: members into one uncompressed tar archive, the same bytes for the same members, whoever writes.

Headers are ustar with root as owner and without names of owners, and with the type within the mode, as Docker wrote
them.
"""

from collections.abc import Callable
from typing import Final

from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.stream.sink import Chunk
from puller.stream.tarentry import DIRECTORY, NO_RECORDS, REGULAR, SYMLINK, Entry
from puller.stream.tarfield import padding
from puller.stream.tarwrite import END, header
from puller.stream.verifier import BlobVerifier

_MODES: Final = {REGULAR: 0o100644, DIRECTORY: 0o040755, SYMLINK: 0o120777}
_SECOND: Final = 10**9


class ArchiveWriter:
    """Hands an archive to `write`, piece by piece; `size` counts its bytes. `finish` ends it."""

    def __init__(self, write: Callable[[Chunk], object]) -> None:
        self._write = write
        self.size = 0

    def directory(self, name: str, mtime: int) -> None:
        """`name` without a slash behind it; `mtime` in seconds since 1970, here and below."""
        self._header(DIRECTORY, f"{name}/", 0, mtime)

    def link(self, name: str, target: str, mtime: int) -> None:
        """A symbolic link."""
        self._header(SYMLINK, name, 0, mtime, target)

    def file(self, name: str, content: bytes, mtime: int) -> None:
        """A file that is small enough to be here."""
        self._header(REGULAR, name, len(content), mtime)
        self.put(content)
        self.put(bytes(padding(len(content))))

    def begin(self, name: str, size: int, digest: Digest, mtime: int) -> "OpenFile":
        """A file whose `size` bytes are to be written into what this returns, before anything else is."""
        self._header(REGULAR, name, size, mtime)
        return OpenFile(self, Descriptor(OCTETS, digest, size))

    def finish(self) -> None:
        """No more members come."""
        self.put(END)

    def put(self, chunk: Chunk) -> None:
        """Bytes of the archive itself."""
        self._write(chunk)
        self.size += len(chunk)

    def _header(self, kind: bytes, name: str, size: int, mtime: int, target: str = "") -> None:
        self.put(header(_entry(kind, name, size, mtime, target)))


def file_entry(name: str, size: int, mtime: int) -> Entry:
    """What the header of a file says."""
    return _entry(REGULAR, name, size, mtime)


def _entry(kind: bytes, name: str, size: int, mtime: int, target: str = "") -> Entry:
    return Entry(
        name.encode(), target.encode(), kind, _MODES[kind], 0, 0, size, mtime * _SECOND, b"", b"", 0, 0,
        NO_RECORDS, NO_RECORDS, 0, size,
    )  # fmt: skip


class OpenFile:
    """A Sink for the content of one member. Raises SizeMismatch and DigestMismatch for other than was promised."""

    def __init__(self, archive: ArchiveWriter, expected: Descriptor) -> None:
        self._archive = archive
        self._verifier = BlobVerifier(expected)

    def write(self, chunk: Chunk, /) -> None:
        self._verifier.write(chunk)
        self._archive.put(chunk)

    def finish(self) -> None:
        self._verifier.finish()
        self._archive.put(bytes(padding(self._verifier.size)))
