"""Seating: what a layer in overlayfs form must learn of the layers below it, once all of them are there.

Layers are unpacked side by side, each without sight of the others. Two things can only be told afterwards: how a
directory looks that the layer needs but does not name, and whether a whiteout hides anything at all.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, auto
from typing import Final

from puller.rootfs.applier import Applied
from puller.rootfs.inside import Root
from puller.rootfs.name import joined
from puller.rootfs.tree import is_cover

_OPAQUE: Final = ("trusted.overlay.opaque", "user.overlay.opaque")
_BLOCKED: Final = (errno.ELOOP, errno.ENOTDIR)


class _Below(Enum):
    NOTHING = auto()
    HIDDEN = auto()  # and so is all that still lower layers have there
    LINK = auto()


def seat(upper: Root, lowers: Sequence[Root], applied: Applied) -> tuple[bytes, ...]:
    """Set the layer in `upper` on `lowers`, the nearest first. Returns where it cannot sit, which should be nowhere.

    Directories without an entry take owner, mode, times and attributes of the nearest lower one; marks of whiteouts go
    where there is no lower directory, for overlayfs would list them. What is returned are directories without an entry
    that stand where a lower layer has a symbolic link: flattened, the layer would have been unpacked through the link.
    Raises OSError.
    """
    if applied.is_root_opaque:
        lowers = ()
    unseated = []
    for path in applied.without_entry:
        found = _nearest(lowers, path)
        if found is _Below.LINK:
            unseated.append(path)
        elif isinstance(found, Root):
            _take_after(upper, found, path)
    for path in applied.covered:
        if not isinstance(_nearest(lowers, path), Root):
            _uncover(upper, path)
    return tuple(unseated)


def _nearest(lowers: Sequence[Root], path: bytes) -> Root | _Below:
    """The nearest lower layer that shows a directory under this path, or why there is none."""
    for lower in lowers:
        try:
            os.close(lower.open(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in _BLOCKED:
                raise
        else:
            return lower
        found = _why_not(lower, path)
        if found is not _Below.NOTHING:
            return found
    return _Below.NOTHING


def _why_not(lower: Root, path: bytes) -> _Below:
    """What this layer has on the way to `path`, where it has no directory of that name."""
    above = b""
    opaque = False
    for part in path.split(b"/"):
        with _opened(lower, above) as fd:
            opaque = opaque or _is_opaque(fd)
            try:
                state = os.stat(part, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                break
        if not stat.S_ISDIR(state.st_mode):
            return _Below.LINK if stat.S_ISLNK(state.st_mode) else _Below.HIDDEN
        above = joined(above, part)
    return _Below.HIDDEN if opaque else _Below.NOTHING


def _take_after(upper: Root, lower: Root, path: bytes) -> None:
    with _opened(lower, path) as source, _opened(upper, path) as target:
        state = os.fstat(source)
        own = os.fstat(target)
        if (state.st_uid, state.st_gid) != (own.st_uid, own.st_gid):
            os.fchown(target, state.st_uid, state.st_gid)
        for name in os.listxattr(source):
            if name not in _OPAQUE:
                os.setxattr(target, name, os.getxattr(source, name))
        os.fchmod(target, stat.S_IMODE(state.st_mode))
        os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))


def _uncover(upper: Root, path: bytes) -> None:
    with _opened(upper, path) as fd:
        before = os.fstat(fd)
        with os.scandir(fd) as found:
            names = [entry.name for entry in found]
        for name in names:
            if is_cover(os.stat(name, dir_fd=fd, follow_symlinks=False)):
                os.unlink(name, dir_fd=fd)
        os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))


def _is_opaque(fd: int) -> bool:
    return any(name in _OPAQUE for name in os.listxattr(fd))


@contextmanager
def _opened(root: Root, path: bytes) -> Iterator[int]:
    fd = root.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)
