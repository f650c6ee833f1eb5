"""Gathering: whiteouts of a layer that is unpacked apart, listed for whoever sets it on the layers below.

Nothing is made on disk for them. They are weighed at the end, against all that the layer holds by then, so that it
does not matter where in the layer they stand.
"""

import stat
from dataclasses import replace
from typing import Final

from puller.errors import InvalidArchive, LimitExceeded
from puller.rootfs.applied import Applied
from puller.rootfs.inside import Root
from puller.rootfs.name import components, joined, shown
from puller.rootfs.tree import Tree

_MOST: Final = 1_000_000  # each one is remembered to the end


class NeedsLower(InvalidArchive):
    """The layer speaks of what only a layer below it can hold: it must be applied to the full tree."""


class Gathering:
    """For a directory that holds this layer alone. Each layer needs its own."""

    alone = True

    def __init__(self) -> None:
        self._hidden: set[bytes] = set()
        self._late: set[bytes] = set()  # hidden when all below them was hidden already
        self._opaque: set[bytes] = set()
        self._replaced: set[bytes] = set()
        self._assumed: set[bytes] = set()

    def assumed(self, path: bytes, /) -> None:
        """A name led through `path`, and this layer had nothing there."""
        if path not in self._assumed and not self._is_gone(path):
            _remember(self._assumed, path)

    def replaced(self, path: bytes, /) -> None:
        """This layer's directory `path` stands where something of its own stood, which had hidden all below."""
        _remember(self._replaced, path)

    def dropped(self, path: bytes, /) -> None:
        """The directory was replaced."""
        self._late.discard(path)
        self._opaque.discard(path)
        self._replaced.discard(path)

    def hide(self, tree: Tree, parent: bytes, base: bytes, /) -> None:
        directory = tree.find(parent)
        if directory is not None:
            path = joined(directory.path, base)
            if path in self._opaque and path not in self._hidden:
                _remember(self._late, path)
            _remember(self._hidden, path)
        elif self._leads_below(tree.root, parent):
            _remember(self._hidden, joined(b"/".join(components(parent)), base))

    def hide_all(self, tree: Tree, parent: bytes, /) -> None:
        _remember(self._opaque, tree.reach(parent).path)

    def finish(self, tree: Tree, applied: Applied, /) -> Applied:
        opaque = self._opaque | self._replaced
        new = set(self._replaced)
        hidden = set()
        for path in self._hidden:
            kind = tree.root.kind(path)
            if kind is None:
                hidden.add(path)
            elif kind == stat.S_IFDIR:
                opaque.add(path)
                if path not in self._late:  # such a one is kept as it is, looks and all
                    new.add(path)
        without_entry = (path for path in applied.without_entry if path not in new and not _is_below(path, opaque))
        gone = opaque | hidden
        return replace(
            applied,
            without_entry=tuple(without_entry),
            hidden=tuple(sorted(path for path in hidden if not _is_below(path, gone))),
            opaque=tuple(sorted(path for path in opaque if not _is_below(path, opaque))),
            assumed=tuple(sorted(self._assumed)),
        )

    def _is_gone(self, path: bytes) -> bool:
        """Whether what lower layers have there was hidden before now."""
        return _is_below(path, self._opaque) or any(
            path in found or _is_below(path, found) for found in (self._hidden, self._replaced)
        )

    def _leads_below(self, root: Root, name: bytes) -> bool:
        """Whether `name`, which is no directory of this layer, may be one of a lower layer. Raises NeedsLower."""
        path = b""
        for part in components(name):
            path = joined(path, part)
            kind = root.kind(path)
            if kind is None:
                self.assumed(path)
            elif kind == stat.S_IFLNK:
                raise NeedsLower("a whiteout behind a link to what another layer holds", where=shown(name))
            elif kind != stat.S_IFDIR:
                return False
        return True


def _remember(paths: set[bytes], path: bytes) -> None:
    paths.add(path)
    if len(paths) > _MOST:
        raise LimitExceeded("too many whiteouts, or directories without an entry", wanted=f"at most {_MOST}")


def _is_below(path: bytes, above: set[bytes]) -> bool:
    """Whether a directory that `path` is in, at any depth, is one of `above`."""
    if not above:
        return False
    while path:
        path = path.rpartition(b"/")[0]
        if path in above:
            return True
    return False
