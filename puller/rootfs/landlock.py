"""Landlock: from now on this thread may change files below one directory only, and open no other file by name.

Source: kernel, userspace-api/landlock; <linux/landlock.h>.
"""

import ctypes
import errno
import os
from typing import Final

from puller.rootfs.libc import SAME_NUMBERS, syscall

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_REMOVE_AND_MAKE: Final = sum(1 << bit for bit in range(4, 13))
_MAKE_SOCKET: Final = 1 << 9
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15

# What each version of the interface added.
_FIRST: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _READ_DIR | _REMOVE_AND_MAKE
_FILES: Final = {1: _FIRST, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEVICE}
_NETWORK: Final = {4: 0b11}  # TCP: bind, connect
_SCOPES: Final = {6: 0b11}  # abstract sockets of others, signals to others
# What unpacking needs in its own directory: it lists directories, and never reads a file.
_ALLOWED: Final = _WRITE_FILE | _READ_DIR | (_REMOVE_AND_MAKE & ~_MAKE_SOCKET) | _REFER | _TRUNCATE
# Before the second version no hard link could lead from one directory to another.
_LOWEST: Final = 2


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # what `_pack_` means; to be said from Python 3.14 on
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The version of the interface that this kernel has; 0 where there is none, or it is switched off."""
    if os.uname().machine not in SAME_NUMBERS:
        return 0
    try:
        return syscall(_CREATE, 0, 0, _ASK_VERSION)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


def confine(root: int, found: int) -> str | None:
    """Confine this thread, and those it starts, to the open directory `root`; needs PR_SET_NO_NEW_PRIVS.

    `found` is the version to use. Returns why it gives no such wall, None where it does. What is open stays open.
    Raises OSError.
    """
    if found < _LOWEST:
        return "the kernel has no Landlock" if not found else f"Landlock of version {found} knows no hard links"
    ruleset = _Ruleset(_up_to(found, _FILES), _up_to(found, _NETWORK), _up_to(found, _SCOPES))
    rules = syscall(_CREATE, ctypes.addressof(ruleset), ctypes.sizeof(ruleset))
    try:
        beneath = _PathBeneath(_ALLOWED & ruleset.files, root)
        syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.addressof(beneath))
        syscall(_RESTRICT, rules)
    finally:
        os.close(rules)
    return None


def _up_to(found: int, added: dict[int, int]) -> int:
    return sum(bits for since, bits in added.items() if since <= found)
