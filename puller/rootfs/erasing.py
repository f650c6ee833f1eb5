"""Erasing: whiteouts obeyed at once, in a tree that holds the lower layers too.

A whiteout spares what its own layer holds, wherever in the layer it stands. The other way to obey is in `gathering`.
"""

import os
import stat
from typing import Protocol

from puller.rootfs.applied import Applied
from puller.rootfs.inside import Directory
from puller.rootfs.tree import Tree, Witness


class Whiteouts(Witness, Protocol):
    """Obeys the whiteouts of one layer. Raises OSError, and what a layer may do wrong."""

    @property
    def alone(self) -> bool:
        """Whether the layer is unpacked apart from those below it, into an empty directory."""
        ...

    def hide(self, tree: Tree, parent: bytes, base: bytes, /) -> None:
        """What lower layers have as `base` in the directory `parent` is not there."""
        ...

    def hide_all(self, tree: Tree, parent: bytes, /) -> None:
        """Nothing that lower layers have in the directory `parent` is there."""
        ...

    def finish(self, tree: Tree, applied: Applied, /) -> Applied:
        """The layer is whole: add what is to be told of its whiteouts."""
        ...


class Erasing:
    """For a tree that holds the lower layers too: what is hidden is removed."""

    alone = False

    def assumed(self, path: bytes, /) -> None:
        return

    def replaced(self, path: bytes, /) -> None:
        return

    def dropped(self, path: bytes, /) -> None:
        return

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
            tree.made_directory(directory)
            tree.erase_below(directory)

    def finish(self, tree: Tree, applied: Applied, /) -> Applied:
        return applied


def _is_directory(directory: Directory, base: bytes) -> bool:
    return stat.S_ISDIR(os.stat(base, dir_fd=directory.fd, follow_symlinks=False).st_mode)
