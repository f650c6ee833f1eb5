"""Tree: one root while one layer is applied to it: which directories were touched, and what this layer made."""

import os
import stat
from collections.abc import Collection
from contextlib import suppress

from puller.errors import LimitExceeded
from puller.rootfs.directories import Directories
from puller.rootfs.inside import Directory, Root
from puller.rootfs.name import components, joined, shown
from puller.rootfs.removal import Keeper, empty, remove
from puller.rootfs.whiteout import check_parents

_NEW_DIRECTORY = 0o700  # until the end


class Tree:
    """A Keeper of what this layer made, and the ways to make room for more.

    Nothing is noted where the root was empty at first: then all there is was made by this layer.
    """

    def __init__(self, root: Root, directories: Directories, *, depth: int, empty: bool) -> None:
        self.root = root
        self.directories = directories
        self._depth = depth
        self._made: dict[bytes, set[bytes]] | None = None if empty else {}

    @property
    def has_lower(self) -> bool:
        """Whether there was something before this layer."""
        return self._made is not None

    def made(self, directory: Directory, base: bytes) -> None:
        """This layer has an entry for `base` in `directory`: no whiteout of its own removes it."""
        if self._made is not None:
            self._made.setdefault(directory.path, set()).add(base)

    def has_made(self, directory: Directory, base: bytes) -> bool:
        """Whether it has."""
        return base in self.kept(directory.path)

    def kept(self, path: bytes, /) -> Collection[bytes]:
        return () if self._made is None else self._made.get(path, ())

    def entered(self, path: bytes, fd: int, /) -> None:
        self.directories.touched(path, fd)

    def dropped(self, path: bytes, /) -> None:
        # What was made in it need not be forgotten: whatever stands there later is this layer's too.
        self.directories.dropped(path)

    def reach(self, name: bytes) -> Directory:
        """The directory `name`, with all above it, made where they are missing or something else stands there."""
        found = self.find(name)
        if found is None:
            found = self.root.make(components(name), self._make_parent)
            self._found(name, found)
        return found

    def find(self, name: bytes) -> Directory | None:
        """The directory `name`, if it is there. Raises UnsafePath, InvalidArchive, LimitExceeded for bad names."""
        found = self.root.cached(name)
        if found is None:
            parts = components(name)
            if len(parts) >= self._depth:
                raise LimitExceeded("directories nested too deep", where=shown(name), wanted=f"at most {self._depth}")
            check_parents(parts)
            found = self.root.find(parts)
            if found is not None:
                self._found(name, found)
        return found

    def _found(self, name: bytes, directory: Directory) -> None:
        self.root.keep(name, directory)
        self.directories.touched(directory.path, directory.fd)

    def _make_parent(self, parent: Directory, base: bytes) -> None:
        self.directories.touched(parent.path, parent.fd)
        if self.make_directory(parent, base):
            self.directories.implied(joined(parent.path, base))

    def make_directory(self, parent: Directory, base: bytes) -> bool:
        """See that `base` is a directory; whether it is a new one. Anything else that stood there is removed."""
        if parent.path.count(b"/") + 2 > self._depth:
            # Names are counted too, but links can add to them.
            raise LimitExceeded("directories nested too deep", wanted=f"at most {self._depth}")
        try:
            os.mkdir(base, _NEW_DIRECTORY, dir_fd=parent.fd)
        except FileExistsError:
            state = os.stat(base, dir_fd=parent.fd, follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                return False
            self.clear(parent, base)
            os.mkdir(base, _NEW_DIRECTORY, dir_fd=parent.fd)
            if is_cover(state):
                self.directories.opaque(joined(parent.path, base))
        return True

    def clear(self, directory: Directory, base: bytes) -> None:
        """Remove `base` with all below it, made by this layer or not: a later entry takes its place."""
        self._remove(directory, base, _Replaced(self))

    def erase(self, directory: Directory, base: bytes) -> None:
        """Remove `base`, but nothing that this layer made."""
        self._remove(directory, base, self)

    def _remove(self, directory: Directory, base: bytes, keeper: Keeper) -> None:
        state = remove(directory.fd, base, joined(directory.path, base), keeper)
        if state is not None and (stat.S_ISDIR(state.st_mode) or stat.S_ISLNK(state.st_mode)):
            self.root.forget()

    def erase_below(self, directory: Directory, base: bytes = b"") -> None:
        """Remove what is in the directory `base` (none: in `directory` itself), but nothing that this layer made."""
        empty(directory.fd, base or b".", joined(directory.path, base) if base else directory.path, self)
        self.root.forget()

    def uncover(self, path: bytes, name: bytes) -> None:
        """Remove overlayfs's mark for `name` in the directory with this true path, if it still is one."""
        fd = self.root.open(path)
        try:
            with suppress(FileNotFoundError):
                if is_cover(os.stat(name, dir_fd=fd, follow_symlinks=False)):
                    os.unlink(name, dir_fd=fd)
        finally:
            os.close(fd)


class _Replaced:
    """A Keeper that keeps nothing, not even what this layer made."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def kept(self, path: bytes, /) -> Collection[bytes]:
        return ()

    def entered(self, path: bytes, fd: int, /) -> None:
        return

    def dropped(self, path: bytes, /) -> None:
        self._tree.dropped(path)


def is_cover(state: os.stat_result) -> bool:
    """Whether it is overlayfs's mark of something removed: a character device 0:0 (kernel, filesystems/overlayfs)."""
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == 0
