"""Seating: a layer that was unpacked apart becomes a lower directory of overlayfs, once all below it are there.

Layers are unpacked side by side, each without sight of the others. What only those below can tell is done afterwards:
how a directory looks that the layer needs and does not name, and which marks its whiteouts need. A mark where nothing
is hidden would be listed as a file.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

from puller.rootfs.applied import Applied
from puller.rootfs.inside import Root
from puller.rootfs.name import joined
from puller.rootfs.xattr import is_of_a_layer

TookOver: TypeAlias = Callable[[bytes, Root], None]  # this directory is made to look like that of this lower layer
Mark: TypeAlias = Literal["trusted.overlay.opaque", "user.overlay.opaque"]
MARKS: Final[tuple[Mark, Mark]] = ("trusted.overlay.opaque", "user.overlay.opaque")

_OPAQUE: Final = b"y"
_BLOCKED: Final = (errno.ELOOP, errno.ENOTDIR)
_NEW_DIRECTORY: Final = 0o700  # until it looks like the one below


def unheard(path: bytes, lower: Root, /) -> None:
    """A listener that does not listen."""


def seat(
    upper: Root, lowers: Sequence[Root], applied: Applied, mark: Mark, *, told: TookOver = unheard
) -> tuple[bytes, ...]:
    """Set the layer in `upper` on `lowers`, the nearest first. Returns where it cannot sit, which should be nowhere.

    Directories without an entry take owner, mode, times and attributes of the nearest lower one, which `told` hears of
    with the path. Whiteouts become what
    overlayfs knows (kernel, filesystems/overlayfs, "whiteouts and opaque directories"): a character device 0:0, which
    Linux lets anyone make since 5.8, and the attribute `mark`; `user.…` is heard only with the mount option
    `userxattr`. That the root is opaque has no mark: then nothing may be mounted below this layer.

    What is returned are paths that names of this layer led through, and where a lower layer has a symbolic link:
    flattened, the layer would have been unpacked through the link. Nothing is changed then. Raises OSError.
    """
    unseated = [path for path in applied.assumed if _is_link(_shown(lowers, path))]
    if unseated:
        return tuple(unseated)
    for path in applied.without_entry:
        found = _nearest(lowers, path)
        if found is not None:
            _take_after(upper, found, path)
            told(path, found)
    for path in applied.opaque:
        if path and _nearest(lowers, path) is not None:
            with _opened(upper, path) as fd:
                os.setxattr(fd, mark, _OPAQUE)
    if not applied.is_root_opaque:
        for path in applied.hidden:
            if _shown(lowers, path) is not None:
                _cover(upper, lowers, path, told)
    return ()


def is_cover(state: os.stat_result) -> bool:
    """Whether it is overlayfs's mark of something removed: a character device 0:0."""
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == 0


def is_opaque(fd: int) -> bool:
    """Whether an open directory has overlayfs's mark that nothing below it shows."""
    return any(name in MARKS for name in os.listxattr(fd))


def _is_link(state: os.stat_result | None) -> bool:
    return state is not None and stat.S_ISLNK(state.st_mode)


def _shown(lowers: Sequence[Root], path: bytes) -> os.stat_result | None:
    """What the lower layers, laid over each other, show at `path`: that of the nearest that has anything there."""
    for lower in lowers:
        try:
            state = _state(lower, path)
        except FileNotFoundError:
            if _is_in_the_way(lower, path):
                return None
            continue
        except OSError as error:
            if error.errno in _BLOCKED:
                return None
            raise
        return None if is_cover(state) else state
    return None


def _nearest(lowers: Sequence[Root], path: bytes) -> Root | None:
    """The nearest lower layer that has this directory, if the lower layers show a directory there."""
    for lower in lowers:
        try:
            os.close(lower.open(path))
        except FileNotFoundError:
            if _is_in_the_way(lower, path):
                return None
        except OSError as error:
            if error.errno in _BLOCKED:
                return None
            raise
        else:
            return lower
    return None


def _is_in_the_way(lower: Root, path: bytes) -> bool:
    """Whether this layer, which lacks `path`, has an opaque directory above it."""
    above = b""
    for part in path.split(b"/"):
        try:
            with _opened(lower, above) as fd:
                if is_opaque(fd):
                    return True
        except FileNotFoundError:
            return False
        above = joined(above, part)
    return False


def _state(root: Root, path: bytes) -> os.stat_result:
    head, _, base = path.rpartition(b"/")
    fd = root.open(head)
    try:
        return os.stat(base or b".", dir_fd=fd, follow_symlinks=False)
    finally:
        os.close(fd)


def _take_after(upper: Root, lower: Root, path: bytes) -> None:
    with _opened(lower, path) as source, _opened(upper, path) as target:
        look_alike(source, target)


def look_alike(source: int, target: int) -> None:
    """Give one open directory the owner, mode, times and attributes of another, all that layers can say of it."""
    state = os.fstat(source)
    own = os.fstat(target)
    if (state.st_uid, state.st_gid) != (own.st_uid, own.st_gid):
        os.fchown(target, state.st_uid, state.st_gid)
    for name in os.listxattr(source):
        if is_of_a_layer(name):
            os.setxattr(target, name, os.getxattr(source, name))
    os.fchmod(target, stat.S_IMODE(state.st_mode))
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))


def _cover(upper: Root, lowers: Sequence[Root], path: bytes, told: TookOver) -> None:
    """Mark that what is below is gone. Directories on the way that this layer lacks, all of which are there below, are
    made as they look there."""
    head, _, base = path.rpartition(b"/")
    _reach(upper, lowers, head, told)
    with _opened(upper, head) as fd:
        before = os.fstat(fd)
        os.mknod(base, stat.S_IFCHR, 0, dir_fd=fd)
        os.utime(base, ns=(0, 0), dir_fd=fd, follow_symlinks=False)  # the same layer gives the same tree
        os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))


def _reach(upper: Root, lowers: Sequence[Root], path: bytes, told: TookOver) -> None:
    above = b""
    for part in path.split(b"/") if path else ():
        here, above = above, joined(above, part)
        with _opened(upper, here) as fd:
            before = os.fstat(fd)
            try:
                os.mkdir(part, _NEW_DIRECTORY, dir_fd=fd)
            except FileExistsError:
                continue
            os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
        lower = _nearest(lowers, above)
        if lower is not None:
            _take_after(upper, lower, above)
            told(above, lower)


@contextmanager
def _opened(root: Root, path: bytes) -> Iterator[int]:
    fd = root.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)
