"""Opening a directory by a path without links: by the kernel's openat2(2), or step by step where there is none."""

import ctypes
import errno
import os
from contextlib import suppress
from typing import Final, Protocol

from puller.rootfs.libc import SAME_NUMBERS

# <linux/openat2.h>, openat2(2)
_NUMBER: Final = 437
_NO_MAGICLINKS, _NO_SYMLINKS, _IN_ROOT = 0x02, 0x04, 0x10
_LONGEST: Final = 4095  # bytes of a path, for the kernel
_DIRECTORY: Final = os.O_DIRECTORY | os.O_CLOEXEC
STEP: Final = os.O_PATH | os.O_NOFOLLOW | _DIRECTORY


class Opener(Protocol):
    """Opens the directory `path` below the directory `root`, both real: a link anywhere in `path` is an OSError.

    `path` has no `..`; the empty path is the root itself. `flags` is os.O_PATH or os.O_RDONLY.
    """

    def __call__(self, root: int, path: bytes, flags: int = os.O_PATH, /) -> int: ...


def open_stepwise(root: int, path: bytes, flags: int = os.O_PATH, /) -> int:
    """An Opener that takes one component at a time, each by the open directory of the one before."""
    parts = path.split(b"/") if path else []
    fd = os.open(b".", STEP, dir_fd=root)
    try:
        for part in parts:
            below = os.open(part, STEP, dir_fd=fd)
            os.close(fd)
            fd = below
        if flags == os.O_PATH:
            fd, found = -1, fd
            return found
        return os.open(b".", flags | _DIRECTORY, dir_fd=fd)
    finally:
        if fd >= 0:
            os.close(fd)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class KernelOpener:
    """An Opener by one system call: the kernel itself promises that nothing outside the root is reached."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
        self._call.restype = ctypes.c_long

    def __call__(self, root: int, path: bytes, flags: int = os.O_PATH, /) -> int:
        return self._open(root, path, flags, _IN_ROOT | _NO_MAGICLINKS | _NO_SYMLINKS)

    def following(self, root: int, path: bytes) -> int:
        """The same, but links are followed, as if `root` were the root of the world."""
        while True:
            try:
                return self._open(root, path, os.O_PATH, _IN_ROOT | _NO_MAGICLINKS)
            except BlockingIOError:  # something was renamed on this machine while `..` was followed: openat2(2), EAGAIN
                continue

    def _open(self, root: int, path: bytes, flags: int, resolve: int) -> int:
        if len(path) > _LONGEST:
            return open_stepwise(root, path, flags)
        how = _How(flags | _DIRECTORY, 0, resolve)
        fd: int = self._call(_NUMBER, root, path or b".", ctypes.addressof(how), ctypes.sizeof(how))
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return fd


def kernel_opener() -> KernelOpener | None:
    """The kernel's opener, or None where it is too old, forbidden (seccomp), or of another architecture."""
    if os.uname().machine not in SAME_NUMBERS:
        return None
    opener = KernelOpener()
    root = os.open("/", os.O_PATH | _DIRECTORY)
    try:
        os.close(opener(root, b""))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP):
            return None
        raise
    finally:
        with suppress(OSError):
            os.close(root)
    return opener
