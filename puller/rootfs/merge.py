"""Merge: a layer that was unpacked apart becomes part of the tree of all layers below it, by renames.

The result is what applying the layer to that tree gives, entry by entry; tests hold it to that. Whole directories move
in one step where the tree has none of that name, so that the cost is that of the directories both have.
"""

import errno
import os
import stat
from typing import Final, NamedTuple

from puller.errors import Unsupported
from puller.rootfs.applied import Applied
from puller.rootfs.inside import Root
from puller.rootfs.name import joined, shown
from puller.rootfs.removal import empty, remove
from puller.rootfs.seating import look_alike
from puller.rootfs.xattr import is_of_a_layer

_OCCUPIED: Final = (errno.ENOTEMPTY, errno.EEXIST)
_NO_DIRECTORY: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_READ: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Unmergeable(Unsupported):
    """Names of the layer led through what is a symbolic link in the tree: it must be applied to the tree instead."""


def merge(target: Root, upper: Root, applied: Applied) -> None:
    """Move the layer in `upper` onto the tree `target`, on one file system; what is left in `upper` is rubbish.

    Nobody else may use either meanwhile. Raises Unmergeable before anything is changed; OSError at any time, and then
    the tree is good for nothing but removal.
    """
    for path in applied.assumed:
        if target.kind(path) == stat.S_IFLNK:
            raise Unmergeable("the layer unpacks through a link of a lower layer", where=shown(path))
    _Merging(target, upper, applied).run()


class _Due(NamedTuple):
    """What a directory of the tree shall be when nothing in it changes any more: as its entry says, or as it was."""

    is_named: bool
    mode: int
    atime: int
    mtime: int


class _Merging:
    """One merge. Whatever is changed inside a directory of the tree, its times come last."""

    def __init__(self, target: Root, upper: Root, applied: Applied) -> None:
        self._target = target
        self._upper = upper
        self._hidden = applied.hidden
        self._opaque = frozenset(applied.opaque)
        self._without_entry = frozenset(applied.without_entry)
        self._due: dict[bytes, _Due] = {}
        self._pending: list[bytes] = []

    def run(self) -> None:
        if b"" in self._opaque:
            self._look(b"", self._target.fd)
            empty(self._target.fd, b".")
        for path in self._hidden:
            self._erase(path)
        self._pending.append(b"")
        while self._pending:
            self._enter(self._pending.pop())
        for path in sorted(self._due, key=_depth, reverse=True):
            self._settle(path, self._due[path])

    def _look(self, path: bytes, fd: int) -> None:
        if path not in self._due:
            state = os.fstat(fd)
            self._due[path] = _Due(False, stat.S_IMODE(state.st_mode), state.st_atime_ns, state.st_mtime_ns)

    def _erase(self, path: bytes) -> None:
        head, _, base = path.rpartition(b"/")
        try:
            fd = self._target.open(head, os.O_RDONLY)
        except OSError as error:
            if error.errno in _NO_DIRECTORY:
                return
            raise
        try:
            self._look(head, fd)
            remove(fd, base)
        finally:
            os.close(fd)

    def _enter(self, path: bytes) -> None:
        """Move what the layer has in a directory that the tree has too."""
        source = self._upper.open(path, os.O_RDONLY)
        try:
            target = self._target.open(path, os.O_RDONLY)
            try:
                if path in self._without_entry:
                    self._look(path, target)
                else:
                    state = os.fstat(source)
                    self._due[path] = _Due(True, stat.S_IMODE(state.st_mode), state.st_atime_ns, state.st_mtime_ns)
                with os.scandir(source) as found:
                    entries = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in found]
                for name, is_directory in entries:
                    if is_directory:
                        self._move_directory(source, target, name, joined(path, name))
                    else:
                        _move(source, target, name, joined(path, name))
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _move_directory(self, source: int, target: int, name: bytes, path: bytes) -> None:
        keeps_looks = path in self._without_entry and _is_directory(target, name)
        if path in self._opaque:
            if keeps_looks:
                _copy_looks(target, source, name)
            remove(target, name, path)
        elif keeps_looks:
            self._pending.append(path)
            return
        try:
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
        except NotADirectoryError:
            os.unlink(name, dir_fd=target)
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
        except OSError as error:
            if error.errno not in _OCCUPIED:
                raise
            self._pending.append(path)
            return
        self._due.pop(path, None)

    def _settle(self, path: bytes, due: _Due) -> None:
        target = self._target.open(path, os.O_RDONLY)
        try:
            if due.is_named:
                source = self._upper.open(path, os.O_RDONLY)
                try:
                    _clear_attributes(target)
                    look_alike(source, target)
                finally:
                    os.close(source)
            os.fchmod(target, due.mode)  # removal opens up what its user could not change
            os.utime(target, ns=(due.atime, due.mtime))
        finally:
            os.close(target)


def _move(source: int, target: int, name: bytes, path: bytes) -> None:
    try:
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    except IsADirectoryError:
        remove(target, name, path)
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)


def _is_directory(parent: int, name: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _copy_looks(source: int, target: int, name: bytes) -> None:
    """Let the directory `name` in `target` look like that in `source`."""
    below = os.open(name, _READ, dir_fd=source)
    try:
        above = os.open(name, _READ, dir_fd=target)
        try:
            look_alike(below, above)
        finally:
            os.close(above)
    finally:
        os.close(below)


def _clear_attributes(fd: int) -> None:
    """Remove what layers can have set: of an entry that comes again, the last one is the whole truth."""
    for name in os.listxattr(fd):
        if is_of_a_layer(name):
            os.removexattr(fd, name)


def _depth(path: bytes) -> int:
    return path.count(b"/") + bool(path)
