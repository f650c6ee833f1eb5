"""The two ways to obey a whiteout: Erasing removes what lower layers left, Covering notes it as overlayfs does.

Both spare what the layer itself holds, before or after the whiteout.
"""

import os
import stat
from typing import Literal, Protocol

from puller.rootfs.inside import Directory
from puller.rootfs.name import joined
from puller.rootfs.tree import Tree


class Whiteouts(Protocol):
    """Obeys the whiteouts of one layer. Raises OSError. `mark` is the attribute that makes a directory opaque."""

    @property
    def mark(self) -> str: ...

    def hide(self, tree: Tree, parent: bytes, base: bytes, /) -> None:
        """What lower layers have as `base` in the directory `parent` is not there."""
        ...

    def hide_all(self, tree: Tree, parent: bytes, /) -> None:
        """Nothing that lower layers have in the directory `parent` is there."""
        ...

    def finish(self, tree: Tree, /) -> tuple[bytes, ...]:
        """The layer is whole. The true paths of directories in which marks of whiteouts stand, in order."""
        ...


class Erasing:
    """For a tree that holds the lower layers too."""

    mark = ""

    def hide(self, tree: Tree, parent: bytes, base: bytes, /) -> None:
        directory = tree.find(parent) if tree.has_lower else None
        if directory is None:
            return
        if not tree.has_made(directory, base):
            tree.erase(directory, base)
        elif _is_directory(directory, base):
            tree.erase_below(directory, base)

    def hide_all(self, tree: Tree, parent: bytes, /) -> None:
        directory = tree.reach(parent)
        if tree.has_lower:
            tree.erase_below(directory)

    def finish(self, tree: Tree, /) -> tuple[bytes, ...]:
        return ()


class Covering:
    """For a directory that holds this layer alone, to be a lower directory of overlayfs; each layer needs its own.

    A whiteout is a character device 0:0, which Linux lets anyone make since 5.8; that a directory is opaque is an
    attribute, set at the end (kernel, filesystems/overlayfs, "whiteouts and opaque directories"). That attribute is
    `trusted.…` where the process may set those, else `user.…`, which needs the mount option `userxattr`.
    """

    def __init__(self, namespace: Literal["trusted", "user"]) -> None:
        self.mark = f"{namespace}.overlay.opaque"
        self._covers: dict[bytes, set[bytes]] = {}

    def hide(self, tree: Tree, parent: bytes, base: bytes, /) -> None:
        directory = tree.reach(parent)
        try:
            os.mknod(base, stat.S_IFCHR, 0, dir_fd=directory.fd)
            self._covers.setdefault(directory.path, set()).add(base)
        except FileExistsError:
            if _is_directory(directory, base):
                tree.directories.opaque(joined(directory.path, base))

    def hide_all(self, tree: Tree, parent: bytes, /) -> None:
        tree.directories.opaque(tree.reach(parent).path)

    def finish(self, tree: Tree, /) -> tuple[bytes, ...]:
        """Marks below opaque directories are removed again: where there is nothing to merge, overlayfs lists them."""
        left = []
        for path, names in sorted(self._covers.items()):
            if path not in tree.directories:
                continue  # it was replaced
            if not tree.directories.is_below_opaque(path):
                left.append(path)
                continue
            for name in names:
                tree.uncover(path, name)
        return tuple(left)


def _is_directory(directory: Directory, base: bytes) -> bool:
    return stat.S_ISDIR(os.stat(base, dir_fd=directory.fd, follow_symlinks=False).st_mode)
