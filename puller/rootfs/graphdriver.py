"""Which storage driver an old Docker kept its images with, as what it left in its directory shows. Nothing is made.

A driver shows by its file of names, `repositories-<driver>`, and by trees in its own directory. A directory that shows
none is one of ours, or becomes one: that is the vfs driver.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from puller.contracts.graph import GraphDriver
from puller.errors import InvalidConfig, Unsupported
from puller.rootfs.failure import translated
from puller.rootfs.graphaufs import GraphAufs
from puller.rootfs.graphoverlay import GraphOverlay
from puller.rootfs.graphshelf import GraphShelf
from puller.rootfs.graphtree import IMAGE_ID, WAY_OUT
from puller.rootfs.graphvfs import GraphVfs
from puller.rootfs.job import Unpacker

# Where each driver has something called after every image.
_TREES: Final = {
    "vfs": "vfs/dir",
    "overlay": "overlay",
    "aufs": "aufs/diff",
    "overlay2": "overlay2",
    "devicemapper": "devicemapper/metadata",
    "btrfs": "btrfs/subvolumes",
    "zfs": "zfs/graph",
}
_NEWER: Final = "image"  # of Docker since 1.10, whose images are described there


def driver_at(root: Path, unpacker: Unpacker, *, durable: bool = True) -> GraphDriver:
    """The driver of the directory `root`, which need not be there yet, and may itself be a link to it.

    `durable` False: nothing is synced. Raises Unsupported for a driver that cannot be read here, InvalidConfig where
    several could be meant, StoreError for the disk.
    """
    root = Path(os.path.realpath(root))
    with translated(root):
        name = _name(root)
    match name:
        case "vfs":
            return GraphVfs(GraphShelf(root, durable=durable), unpacker)
        case "overlay":
            return GraphOverlay(root)
        case "aufs":
            return GraphAufs(root)
    raise Unsupported(f"images of Docker's {name} driver cannot be read here", where=root, hint=WAY_OUT)


def _name(root: Path) -> str:
    tagged = {name for name in _TREES if _kind(root / f"repositories-{name}") == stat.S_IFREG}
    treed = {name for name, path in _TREES.items() if _listed(root / path)}
    shown = tagged | treed
    if _kind(root / _NEWER) == stat.S_IFDIR and not tagged:
        what = "images of Docker 1.10 and newer cannot be read where they lie"
        raise Unsupported(what, where=root, hint=WAY_OUT)
    if len(shown) > 1:
        images = {name for name in _listed(root / "graph") if IMAGE_ID.fullmatch(name)}
        shown = {name for name in tagged & treed if images & set(_listed(root / _TREES[name]))} or shown
    if len(shown) > 1:
        names = ", ".join(sorted(shown))
        hint = "Move away the repositories-… file and the directory of the driver that is not meant."
        raise InvalidConfig("several storage drivers could be meant", where=root, got=names, hint=hint)
    return shown.pop() if shown else "vfs"


def _kind(path: Path) -> int:
    """The type of what stands there; 0 for nothing."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _listed(path: Path) -> list[str]:
    """The names in a directory; none where there is no directory, or a link to one."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return []
        raise
    try:
        with os.scandir(fd) as found:
            return [entry.name for entry in found]
    finally:
        os.close(fd)
