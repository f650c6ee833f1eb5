"""Tree: one root while one layer is applied to it: which directories were touched, and what this layer made."""

import os
import stat
from collections.abc import Collection
from typing import Protocol

from puller.errors import LimitExceeded
from puller.rootfs.directories import Directories
from puller.rootfs.inside import Directory, Root
from puller.rootfs.name import components, joined, shown
from puller.rootfs.removal import Keeper, empty, remove
from puller.rootfs.whiteout import check_parents

_NEW_DIRECTORY = 0o700  # until the end


class Witness(Protocol):
    """Hears what a layer takes for granted of those below it. All paths are true paths of directories."""

    def assumed(self, path: bytes, /) -> None:
        """It was made because a name led through it, and nothing stood there."""
        ...

    def replaced(self, path: bytes, /) -> None:
        """It was made where something else stood."""
        ...

    def dropped(self, path: bytes, /) -> None:
        """It is gone."""
        ...


class Tree:
    """A Keeper of what this layer made, and the ways to make room for more.

    Nothing is noted where the root was empty at first: then all there is was made by this layer.
    """

    def __init__(self, root: Root, directories: Directories, witness: Witness, *, depth: int, empty: bool) -> None:
        self.root = root
        self.directories = directories
        self._witness = witness
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

    def made_directory(self, directory: Directory) -> None:
        """The same for a directory that no entry names, but which this layer asked for."""
        if self._made is not None and directory.path:
            parent, _, base = directory.path.rpartition(b"/")
            self._made.setdefault(parent, set()).add(base)

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
        self._witness.dropped(path)

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
            path = joined(parent.path, base)
            self.directories.implied(path)
            self._witness.assumed(path)

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
            self._witness.replaced(joined(parent.path, base))
        return True

    def clear(self, directory: Directory, base: bytes) -> None:
        """Remove `base` with all below it, made by this layer or not: a later entry takes its place."""
        self._remove(directory, base, _Replaced(self))

    def erase(self, directory: Directory, base: bytes) -> None:
        """Remove `base`, but nothing that this layer made; directories on the way to that are as if new."""
        spared = _Spared(self)
        self._remove(directory, base, spared)
        spared.renew()

    def _remove(self, directory: Directory, base: bytes, keeper: Keeper) -> None:
        state = remove(directory.fd, base, joined(directory.path, base), keeper)
        if state is not None and (stat.S_ISDIR(state.st_mode) or stat.S_ISLNK(state.st_mode)):
            self.root.forget()

    def erase_below(self, directory: Directory, base: bytes = b"") -> None:
        """Remove what is in the directory `base` (none: in `directory` itself), as `erase` does."""
        spared = _Spared(self)
        path = joined(directory.path, base) if base else directory.path
        empty(directory.fd, base or b".", path, spared)
        spared.renew(but=path)
        self.root.forget()


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


class _Spared:
    """A Keeper of what this layer made, which remembers the directories that stay for it alone."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._entered: set[bytes] = set()

    def kept(self, path: bytes, /) -> Collection[bytes]:
        return self._tree.kept(path)

    def entered(self, path: bytes, fd: int, /) -> None:
        self._entered.add(path)
        self._tree.entered(path, fd)

    def dropped(self, path: bytes, /) -> None:
        self._entered.discard(path)
        self._tree.dropped(path)

    def renew(self, but: bytes | None = None) -> None:
        """The lower layer's directories are gone, so these are this layer's, made because something in them is."""
        for path in self._entered:
            if path != but:
                self._tree.directories.renewed(path)
