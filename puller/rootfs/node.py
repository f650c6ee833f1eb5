"""FIFOs and devices: nodes that are made, and never opened (THREATS F7)."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from puller.errors import InvalidArchive
from puller.rootfs.inside import Directory
from puller.rootfs.metadata import Metadata
from puller.rootfs.name import joined, shown
from puller.stream.tarentry import CHARACTER_DEVICE, FIFO, Entry

_MAX_MAJOR: Final = 2**12 - 1  # as the kernel packs them, <linux/kdev_t.h>
_MAX_MINOR: Final = 2**20 - 1
_PERMISSIONS: Final = 0o777


def make_node(directory: Directory, base: bytes, entry: Entry, metadata: Metadata) -> None:
    """Make the FIFO or device that `entry` says, which must not exist. Raises OSError."""
    if entry.type == FIFO:
        os.mkfifo(base, entry.mode & _PERMISSIONS, dir_fd=directory.fd)
    else:
        kind = stat.S_IFCHR if entry.type == CHARACTER_DEVICE else stat.S_IFBLK
        number = os.makedev(entry.devmajor, entry.devminor)
        os.mknod(base, kind | entry.mode & _PERMISSIONS, number, dir_fd=directory.fd)
    path = joined(directory.path, base)
    metadata.node(directory.fd, entry, directory.path, base)
    mode = metadata.mode(entry, path)
    if not _set_mode(directory, base, mode):
        metadata.tell(path, "mode", f"{mode:#o}", "the mode of a node is set by way of /proc, which is not there")


def check_device(entry: Entry) -> None:
    """Refuse numbers no kernel has, and overlayfs's own mark, a whiteout no scanner sees. Raises InvalidArchive."""
    numbers = entry.devmajor, entry.devminor
    if numbers > (_MAX_MAJOR, _MAX_MINOR) or entry.devminor > _MAX_MINOR:
        raise InvalidArchive(
            "device of an impossible number", where=shown(entry.name), got=f"{numbers[0]}:{numbers[1]}"
        )
    if entry.type == CHARACTER_DEVICE and numbers == (0, 0):
        raise InvalidArchive("a device that overlayfs takes for a whiteout", where=shown(entry.name))


def _set_mode(directory: Directory, base: bytes, mode: int) -> bool:
    """Set what the umask took away or mknod does not take; whether it is so now."""
    handle = os.open(base, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.fd)
    try:
        if stat.S_IMODE(os.fstat(handle).st_mode) == mode:
            return True
        # By way of /proc, for fchmod takes no O_PATH descriptor and chmod by name would follow a link.
        Path(f"/proc/self/fd/{handle}").chmod(mode)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    finally:
        os.close(handle)
    return True
