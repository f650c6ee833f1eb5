"""Finding: one path of a tree, as it stands there. Nothing is opened to learn it, and no link is followed."""

import errno
import os
import stat
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from puller.rootfs.powers import Powers
from puller.rootfs.seating import MARKS
from puller.rootfs.xattr import refusal
from puller.stream.tarentry import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    FIFO,
    NO_RECORDS,
    REGULAR,
    SYMLINK,
)

SOCKET: Final = b"s"  # of our own: tar has none
Identity: TypeAlias = tuple[int, int]  # st_dev, st_ino

_TYPES: Final = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFIFO: FIFO,
    stat.S_IFCHR: CHARACTER_DEVICE,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFSOCK: SOCKET,
}
_ANY: Final = Powers(owners=True, devices=True, file_capabilities=True, trusted=True)
_NO_DEVICE: Final = (0, 0)


class Finding(NamedTuple):
    """One path. `size` is of a regular file, `target` of a symbolic link, `mode` without the type; times in ns.

    `link` is the first path, in this order, of the same file; empty where this is the first. `identity` and `names` are
    its inode and how many names that has. `parent` is the open directory in which `name` stands, borrowed until the
    next step. `opaque`: nothing of lower layers shows in it. A named tuple for speed, like Entry.
    """

    path: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes
    device: tuple[int, int]
    xattrs: Mapping[bytes, bytes]
    link: bytes
    identity: Identity
    names: int
    opaque: bool
    parent: int
    name: bytes

    @property
    def is_mark(self) -> bool:
        """Whether it is overlayfs's note of something removed, and nothing in itself."""
        return self.type == CHARACTER_DEVICE and self.device == _NO_DEVICE


def look(parent: int, name: bytes, path: bytes, state: os.stat_result) -> Finding:
    """What stands as `name` in the open directory `parent`, whose lstat is `state`. Raises OSError."""
    kind = _TYPES[stat.S_IFMT(state.st_mode)]
    xattrs, opaque = _attributes(parent, name) if kind in (REGULAR, DIRECTORY) else (NO_RECORDS, False)
    return Finding(
        path=path,
        type=kind,
        mode=stat.S_IMODE(state.st_mode),
        uid=state.st_uid,
        gid=state.st_gid,
        size=state.st_size if kind == REGULAR else 0,
        mtime=state.st_mtime_ns,
        target=os.readlink(name, dir_fd=parent) if kind == SYMLINK else b"",
        device=(os.major(state.st_rdev), os.minor(state.st_rdev)),
        xattrs=xattrs,
        link=b"",
        identity=(state.st_dev, state.st_ino),
        names=state.st_nlink,
        opaque=opaque,
        parent=parent,
        name=name,
    )


def _attributes(parent: int, name: bytes) -> tuple[Mapping[bytes, bytes], bool]:
    """The attributes that layers may bring, and whether the mark of an opaque directory is among the others."""
    # By way of /proc, for these calls take no directory; what `name` is, is never opened.
    path = b"/proc/self/fd/%d/%s" % (parent, name)
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return NO_RECORDS, False
    if not names:
        return NO_RECORDS, False
    found = {}
    for raw in sorted(map(os.fsencode, names)):
        if refusal(raw, _ANY) is None:
            found[raw] = os.getxattr(path, raw, follow_symlinks=False)
    return found, any(mark in names for mark in MARKS)
