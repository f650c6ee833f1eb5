"""Survey: a walk over a tree that tells of each path what its layers say. It follows no link and opens no node.

The tree is one directory, or several one upon the other in the form of overlayfs, seen as overlayfs would show them; no
mount is needed. Order: parents first, the names in a directory bytewise, everything below a name before the next name.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from puller.rootfs.corrections import Corrections
from puller.rootfs.failure import tree_error
from puller.rootfs.finding import Finding, look
from puller.rootfs.name import joined
from puller.rootfs.openat2 import open_stepwise
from puller.rootfs.seating import is_cover, is_opaque
from puller.stream.tarentry import DIRECTORY

_READ: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_OPEN: Final = 256  # directories; with more, those farthest up are closed and opened again
_NO_DIRECTORY: Final = (errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True)
class Stratum:
    """One directory of a tree, open at `fd`, and the sidecars that tell of it, in the order of their layers."""

    fd: int
    sidecars: Sequence[Path | int] = ()


Strata: TypeAlias = Sequence[Stratum]  # the nearest first, as overlayfs wants them


def strata(tree: int | Strata, sidecars: Sequence[Path | int] = ()) -> Strata:
    """A tree in its general form; `sidecars` are those of a single directory."""
    return (Stratum(tree, sidecars),) if isinstance(tree, int) else tree


class _Level:
    """A directory that the walk is in: the strata that show in it, nearest first, and the names still to come."""

    __slots__ = ("fds", "path", "places", "todo")

    def __init__(self, path: bytes, places: list[int], fds: list[int]) -> None:
        self.path = path
        self.places = places  # which strata
        self.fds = fds  # empty while they are closed
        self.todo: list[tuple[bytes, int]] = []  # names, the next one last, with the index of who shows it


class Survey(Iterator[Finding]):
    """Walks a tree; close it, or use it as a context manager. The descriptors of the strata stay the caller's.

    `marks`: for a lone directory in overlayfs form; its marks are found then, first of all in each directory;
    otherwise nothing is where they stand. Raises as tree_error does, ContentCorrupt for a damaged sidecar.
    """

    def __init__(self, tree: Strata, *, marks: bool = False) -> None:
        self._tree = tree
        self._marks = marks
        self._corrections = [Corrections(stratum.fd, stratum.sidecars) for stratum in tree]
        self._levels: list[_Level] = []
        self._open = 0
        self._enter: tuple[bytes, bytes, int] | None = None  # path, name and index of the directory just told of
        self._groups: dict[tuple[int, int], tuple[bytes, int]] = {}  # first path, names still to come
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open; the walk is over."""
        while self._levels:
            self._shut(self._levels.pop())
        self._enter = None
        self._begun = True

    def skip(self) -> None:
        """Do not enter the directory just told of."""
        self._enter = None

    def __next__(self) -> Finding:
        path = b""
        try:
            if not self._begun:
                self._begun = True
                return self._top()
            if self._enter is not None:
                path = self._enter[0]
                self._descend(*self._enter)
                self._enter = None
            while self._levels:
                level = self._levels[-1]
                if not level.todo:
                    self._shut(self._levels.pop())
                    continue
                name, index = level.todo.pop()
                path = joined(level.path, name)
                finding = self._found(level, path, name, index)
                if finding is not None:
                    return finding
        except OSError as error:
            raise tree_error(error, path) from error
        raise StopIteration

    def _top(self) -> Finding:
        # The root's own name is "." in itself: a level above it with nothing else to tell.
        level = _Level(b"", list(range(len(self._tree))), [])
        self._levels.append(level)
        finding = self._found(level, b"", b".", 0)
        if finding is None:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return finding

    def _descend(self, path: bytes, name: bytes, index: int) -> None:
        above = self._levels[-1]
        places: list[int] = []
        fds: list[int] = []
        try:
            for place, parent in zip(above.places[index:], self._fds(above)[index:], strict=True):
                try:
                    fd = os.open(name, _READ, dir_fd=parent)
                except OSError as error:
                    if not fds:
                        raise
                    if error.errno == errno.ENOENT:
                        continue
                    if error.errno in _NO_DIRECTORY:
                        break  # a file, a link or a mark: it hides all below
                    raise
                places.append(place)
                fds.append(fd)
                if place + 1 < len(self._tree) and is_opaque(fd):
                    break
        except OSError:
            for fd in fds:
                os.close(fd)
            raise
        level = _Level(path, places, fds)
        self._levels.append(level)
        self._open += len(fds)
        self._list(level)
        self._save()

    def _list(self, level: _Level) -> None:
        found: dict[bytes, int] = {}
        marks = []
        for index, fd in enumerate(level.fds):
            with os.scandir(fd) as entries:
                for entry in entries:
                    name = os.fsencode(entry.name)
                    if name in found:
                        continue
                    found[name] = index
                    if self._marks and _may_be_mark(entry) and is_cover(entry.stat(follow_symlinks=False)):
                        marks.append(name)
        for name in marks:
            del found[name]
        level.todo = sorted(found.items(), reverse=True)
        level.todo += [(name, 0) for name in sorted(marks, reverse=True)]

    def _found(self, level: _Level, path: bytes, name: bytes, index: int) -> Finding | None:
        """What stands there; None for what shows nothing."""
        parent = self._fds(level)[index]
        state = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if is_cover(state) and not self._marks:
            return None
        finding = look(parent, name, path, state)
        if finding.type == DIRECTORY:
            self._enter = (path, name, index)
        elif state.st_nlink > 1:
            finding = finding._replace(link=self._first(path, state))
        corrections = self._corrections[level.places[index]]
        return corrections.corrected(finding) if corrections else finding

    def _first(self, path: bytes, state: os.stat_result) -> bytes:
        """The first name of this file; empty if that is `path`. Forgotten when all names were met."""
        identity = (state.st_dev, state.st_ino)
        first, left = self._groups.pop(identity, (b"", state.st_nlink))
        if left > 1:
            self._groups[identity] = (first or path, left - 1)
        return first

    def _fds(self, level: _Level) -> list[int]:
        """The descriptors of a level, opened again where they were closed."""
        if not level.fds:
            for place in level.places:
                level.fds.append(open_stepwise(self._tree[place].fd, level.path, os.O_RDONLY))
                self._open += 1
        return level.fds

    def _save(self) -> None:
        """Close what is far up when too much is open; the level we are in and the one above stay."""
        for level in self._levels[:-2]:
            if self._open <= _MOST_OPEN:
                return
            self._shut(level)

    def _shut(self, level: _Level) -> None:
        for fd in level.fds:
            os.close(fd)
        self._open -= len(level.fds)
        level.fds = []


def _may_be_mark(entry: os.DirEntry[str]) -> bool:
    """Whether it is neither file nor directory nor link, which the listing itself tells."""
    return not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False) or entry.is_symlink())
