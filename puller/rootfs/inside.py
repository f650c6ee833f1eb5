"""Root: directories strictly inside one directory, by descriptors; links lead where they would lead after a chroot.

Theory of operation. A directory has one path without links, its *true path*. A name from a layer is first opened as if
it were one; where a link is on the way, the walker follows it by hand, from open directory to open directory, and finds
the true path. No step ever follows a link or `..` in the kernel, so a tree that changes meanwhile can make a step
fail, and never leave the root. Tar order keeps the entries of a directory together, so the last directories stay open.
"""

import errno
import os
import stat
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple, Self

from puller.errors import UnsafePath
from puller.rootfs.name import shown
from puller.rootfs.openat2 import STEP, Opener, kernel_opener, open_stepwise

MAX_LINKS: Final = 40  # as the kernel, path_resolution(7)
_MAX_STEPS: Final = 16_384  # links can make one name cost more than the kernel would ever walk
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_BEHIND_A_LINK: Final = (errno.ELOOP, errno.ENOTDIR, errno.EAGAIN)
_MISSING: Final = (errno.ENOENT, errno.ENOTDIR)
_IN_THE_WAY: Final = (errno.ELOOP, errno.ENOTDIR)


class Directory(NamedTuple):
    """An open directory (O_PATH) and its true path. Borrowed from its Root: never closed by who uses it."""

    fd: int
    path: bytes


# Sees that `name` is a directory in the open directory `parent`, whatever stands there now.
Maker = Callable[[Directory, bytes], None]


class Root:
    """The directory below which all happens. `fd` stays the caller's; `opener` None: the kernel's where there is one.

    Raises OSError as the system does, UnsafePath for links without end.
    """

    def __init__(self, fd: int, *, opener: Opener | None = None, cached: int = 64) -> None:
        self.fd = fd
        self.top = Directory(fd, b"")
        self._open = opener or kernel_opener() or open_stepwise
        self._size = max(cached, 2)  # a hard link uses two at once
        self._cached: dict[bytes, Directory] = {}
        self._last = b""
        self._retired: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close what was kept open; the root itself stays open."""
        self.forget()
        self.settle()

    def cached(self, name: bytes) -> Directory | None:
        """The directory that was found or made under exactly this name, if it is still open."""
        if name == self._last:
            return self._cached.get(name) if name else self.top
        found = self._cached.pop(name, None)
        if found is not None:
            self._cached[name] = found  # now the youngest
            self._last = name
        return found

    def keep(self, name: bytes, directory: Directory) -> None:
        """Remember `directory` under `name`; the one not used for longest is closed."""
        if directory is self.top:
            return
        if name in self._cached or len(self._cached) >= self._size:
            os.close(self._cached.pop(name if name in self._cached else next(iter(self._cached))).fd)
        self._cached[name] = directory
        self._last = name

    def forget(self) -> None:
        """Something that names may lead through was removed. What was open stays so until `settle`."""
        self._retired += [directory.fd for directory in self._cached.values()]
        self._cached.clear()

    def settle(self) -> None:
        """Nobody uses what was borrowed before."""
        while self._retired:
            os.close(self._retired.pop())

    def open(self, path: bytes, flags: int = os.O_PATH) -> int:
        """A descriptor of the caller's own for the directory with this true path."""
        return self._open(self.fd, path, flags)

    def kind(self, path: bytes) -> int | None:
        """The type (`stat.S_IFMT`) of what stands at the true path `path`, or a file's for what stands in its way; None
        where nothing does.
        """
        head, _, base = path.rpartition(b"/")
        try:
            fd = self.open(head)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            if error.errno in _IN_THE_WAY:
                return stat.S_IFREG
            raise
        try:
            return stat.S_IFMT(os.stat(base, dir_fd=fd, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return None
        finally:
            os.close(fd)

    def find(self, parts: tuple[bytes, ...]) -> Directory | None:
        """The directory under a name, links followed inside the root; None where there is none. The caller keeps it."""
        if not parts:
            return self.top
        path = b"/".join(parts)
        try:
            return Directory(self._open(self.fd, path), path)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            if error.errno not in _BEHIND_A_LINK:
                raise
        try:
            return _Walk(self).to(parts)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise

    def make(self, parts: tuple[bytes, ...], maker: Maker) -> Directory:
        """The same, but what is missing on the way, or is no directory, is made by `maker`."""
        return _Walk(self, maker).to(parts)


class _Walk:
    """One name followed to its end."""

    def __init__(self, root: Root, maker: Maker | None = None) -> None:
        self._root = root
        self._maker = maker
        self._fd = -1
        self._path: list[bytes] = []
        self._links = self._steps = 0

    def to(self, parts: tuple[bytes, ...]) -> Directory:
        self._fd = self._root.open(b"")
        todo = list(reversed(parts))
        try:
            while todo:
                part = todo.pop()
                if part == b"..":
                    self._up()
                elif (target := self._into(part)) is not None:
                    todo += self._parts_of(target)
                self._steps += 1
                if self._steps > _MAX_STEPS:
                    raise UnsafePath("links that lead too far", where=shown(b"/".join(parts)))
            found, self._fd = Directory(self._fd, b"/".join(self._path)), -1
            return found if self._path else self._top(found)
        finally:
            if self._fd >= 0:
                os.close(self._fd)

    def _top(self, found: Directory) -> Directory:
        os.close(found.fd)
        return self._root.top

    def _move(self, fd: int) -> None:
        os.close(self._fd)
        self._fd = fd

    def _up(self) -> None:
        # From the root again, for the kernel's own `..` may lead anywhere once the directory is moved.
        if self._path:
            self._path.pop()
            self._move(self._root.open(b"/".join(self._path)))
            self._steps += len(self._path)

    def _into(self, part: bytes) -> bytes | None:
        """Step down into the directory `part`, or return where the link `part` leads."""
        try:
            fd = os.open(part, _LOOK, dir_fd=self._fd)
        except FileNotFoundError:
            self._make(part)
            return None
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISDIR(mode):
                self._path.append(part)
                fd, below = -1, fd
                self._move(below)
                return None
            if stat.S_ISLNK(mode):
                return self._target(fd)
        finally:
            if fd >= 0:
                os.close(fd)
        self._make(part)
        return None

    def _make(self, part: bytes) -> None:
        if self._maker is None:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), part)
        self._maker(Directory(self._fd, b"/".join(self._path)), part)
        self._move(os.open(part, STEP, dir_fd=self._fd))
        self._path.append(part)

    def _target(self, link: int) -> bytes:
        self._links += 1
        if self._links > MAX_LINKS:
            raise UnsafePath("too many symbolic links on the way", wanted=f"at most {MAX_LINKS}")
        return os.readlink(b"", dir_fd=link)

    def _parts_of(self, target: bytes) -> list[bytes]:
        if target.startswith(b"/"):
            self._path.clear()
            self._move(self._root.open(b""))
        return [part for part in reversed(target.split(b"/")) if part not in (b"", b".")]
