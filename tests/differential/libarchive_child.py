"""A program: paths of archives on stdin, a line of JSON each on stdout, as bsdtar's library, libarchive, reads them.

bsdtar itself can only print lists for people. A process of its own, for a library written in C may fall.
"""

import ctypes
import hashlib
import locale
import stat
import sys
from ctypes import c_char_p, c_int, c_int64, c_long, c_size_t, c_uint, c_void_p
from ctypes.util import find_library
from typing import Final

from puller.stream.tarentry import BLOCK_DEVICE, CHARACTER_DEVICE, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK
from tests.differential.member import Member, Reading

# <archive.h>
_OK: Final = 0
_EOF: Final = 1
_WARN: Final = -20
_MOST: Final = 1 << 24  # bytes of content: a mutated sparse file may claim anything
_KINDS: Final = {
    stat.S_IFREG: REGULAR, stat.S_IFLNK: SYMLINK, stat.S_IFCHR: CHARACTER_DEVICE, stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFDIR: DIRECTORY, stat.S_IFIFO: FIFO,
}  # fmt: skip


class Library:
    """The functions of libarchive that are needed, with their types."""

    def __init__(self, name: str) -> None:
        self._library = ctypes.CDLL(name)
        for function, result, *arguments in (
            ("archive_read_new", c_void_p), ("archive_read_support_format_tar", c_int, c_void_p),
            ("archive_read_open_filename", c_int, c_void_p, c_char_p, c_size_t),
            ("archive_read_next_header", c_int, c_void_p, c_void_p), ("archive_read_free", c_int, c_void_p),
            ("archive_read_data", c_long, c_void_p, c_char_p, c_size_t), ("archive_error_string", c_char_p, c_void_p),
            ("archive_entry_pathname", c_char_p, c_void_p), ("archive_entry_symlink", c_char_p, c_void_p),
            ("archive_entry_hardlink", c_char_p, c_void_p), ("archive_entry_filetype", c_uint, c_void_p),
            ("archive_entry_perm", c_uint, c_void_p), ("archive_entry_size", c_int64, c_void_p),
            ("archive_entry_uid", c_int64, c_void_p), ("archive_entry_gid", c_int64, c_void_p),
            ("archive_entry_mtime", c_int64, c_void_p), ("archive_entry_mtime_nsec", c_long, c_void_p),
        ):  # fmt: skip
            found = getattr(self._library, str(function))
            found.restype, found.argtypes = result, arguments

    def read(self, path: str) -> Reading:
        """One archive."""
        archive = self._library.archive_read_new()
        try:
            self._library.archive_read_support_format_tar(archive)
            if self._library.archive_read_open_filename(archive, path.encode(), 10240):
                return Reading((), self._error(archive))
            return self._members(archive)
        finally:
            self._library.archive_read_free(archive)

    def _members(self, archive: int) -> Reading:
        members: list[Member] = []
        entry = c_void_p()
        while (answer := self._library.archive_read_next_header(archive, ctypes.byref(entry))) != _EOF:
            if answer not in (_OK, _WARN):
                return Reading(tuple(members), self._error(archive))
            content = self._content(archive)
            if content is None:
                return Reading(tuple(members), self._error(archive))
            members.append(self._member(entry, content))
        return Reading(tuple(members))

    def _content(self, archive: int) -> str | None:
        digest, buffer, total = hashlib.sha256(), ctypes.create_string_buffer(1 << 16), 0
        while (came := self._library.archive_read_data(archive, buffer, len(buffer))) > 0:
            digest.update(buffer.raw[:came])
            total += came
            if total > _MOST:
                break
        return None if came < _WARN else digest.hexdigest()

    def _member(self, entry: c_void_p, content: str) -> Member:
        library = self._library
        hard, symbolic = library.archive_entry_hardlink(entry), library.archive_entry_symlink(entry)
        kind = library.archive_entry_filetype(entry)
        seconds, nanoseconds = library.archive_entry_mtime(entry), library.archive_entry_mtime_nsec(entry)
        return Member.of(
            library.archive_entry_pathname(entry) or b"", HARD_LINK if hard is not None else _KINDS.get(kind, b"?"),
            library.archive_entry_size(entry), library.archive_entry_perm(entry), library.archive_entry_uid(entry),
            library.archive_entry_gid(entry), seconds * 10**9 + nanoseconds, hard or symbolic or b"", content,
        )  # fmt: skip

    def _error(self, archive: int) -> str:
        return (self._library.archive_error_string(archive) or b"no reason").decode(errors="replace")


def main() -> None:
    """Answer until there are no more questions."""
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    name = find_library("archive")
    if name is None:
        sys.exit("no libarchive")
    library = Library(name)
    for line in sys.stdin:
        print(library.read(line.rstrip("\n")).dumped(), flush=True)


if __name__ == "__main__":
    main()
