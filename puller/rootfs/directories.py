"""What directories shall look like when all is done. Until then they are open to their user alone (THREATS F8).

Their owner, mode and times wait, for entries below them would change the times, or need rights the mode takes away.
"""

import os
import stat
from typing import Final, NamedTuple

from puller.errors import LimitExceeded
from puller.rootfs.inside import Root
from puller.rootfs.metadata import Metadata
from puller.stream.tarentry import DIRECTORY, NO_RECORDS, Entry

_IMPLIED: Final = Entry(
    b"", b"", DIRECTORY, 0o755, 0, 0, 0, 0, b"", b"", 0, 0, NO_RECORDS, NO_RECORDS, 0, 0
)  # nobody wrote an entry for it: root's, and of no time, so that every unpacking gives the same


class _Was(NamedTuple):
    """How a directory of a lower layer looked before anything in it was touched."""

    mode: int
    atime: int
    mtime: int


class Directories:
    """Remembers what is due for each directory by its true path, and does it at the end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._due: dict[bytes, Entry | _Was] = {}
        self._new: set[bytes] = set()

    def __contains__(self, path: object) -> bool:
        return path in self._due

    def touched(self, path: bytes, fd: int) -> None:
        """It is of a lower layer, and something in it will change: what it is now, it shall be again."""
        if path not in self._due:
            state = os.fstat(fd)
            self._remember(path, _Was(stat.S_IMODE(state.st_mode), state.st_atime_ns, state.st_mtime_ns))

    def implied(self, path: bytes) -> None:
        """It was made because an entry below it needed it."""
        self._new.add(path)
        self._remember(path, _IMPLIED)

    def named(self, path: bytes, entry: Entry, *, new: bool) -> None:
        """Its own entry came."""
        if new:
            self._new.add(path)
        self._remember(path, entry._replace(name=b"", pax=NO_RECORDS))

    def renewed(self, path: bytes) -> None:
        """What lower layers say of it counts no more. Its own entry does, if there was one."""
        if isinstance(self._due.get(path), _Was):
            self._due[path] = _IMPLIED

    def dropped(self, path: bytes) -> None:
        """It is gone."""
        self._due.pop(path, None)
        self._new.discard(path)

    def _remember(self, path: bytes, due: Entry | _Was) -> None:
        self._due[path] = due
        if len(self._due) > self._most:
            raise LimitExceeded("too many directories", wanted=f"at most {self._most}")

    @property
    def without_entry(self) -> tuple[bytes, ...]:
        """The true paths of implied directories, in order."""
        return tuple(sorted(path for path, due in self._due.items() if due is _IMPLIED))

    def settle(self, root: Root, metadata: Metadata) -> None:
        """Do all that is due, the deepest first. Raises as Metadata does."""
        for path in sorted(self._due, key=_depth, reverse=True):
            due = self._due[path]
            fd = root.open(path, os.O_RDONLY)
            try:
                if isinstance(due, _Was):
                    os.fchmod(fd, due.mode)
                    os.utime(fd, ns=(due.atime, due.mtime))
                    continue
                if path not in self._new or not path:  # the root is never new, however empty
                    metadata.clear_attributes(fd)
                metadata.directory(fd, due, path)
            finally:
                os.close(fd)


def _depth(path: bytes) -> int:
    return path.count(b"/") + bool(path)
