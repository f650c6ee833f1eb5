"""System calls that Python has no names for, by way of the C library. What they are for is their callers' business."""

import ctypes
import os
from typing import Any, Final

# Where the calls that came after Linux 5.0 have one number on all machines (kernel, arch/*/tools/syscall.tbl).
SAME_NUMBERS: Final = frozenset(("x86_64", "i686", "aarch64", "armv7l", "riscv64", "ppc64le", "s390x"))

_LIBRARY: Final = ctypes.CDLL(None, use_errno=True)
_WORD: Final = ctypes.c_ulong

_prctl: Final = _LIBRARY.prctl
_prctl.argtypes = (ctypes.c_int, _WORD, _WORD, _WORD, _WORD)
_prctl.restype = ctypes.c_int

_syscall: Final = _LIBRARY.syscall
_syscall.argtypes = (ctypes.c_long, _WORD, _WORD, _WORD, _WORD, _WORD)
_syscall.restype = ctypes.c_long

_syncfs: Final = _LIBRARY.syncfs
_syncfs.argtypes = (ctypes.c_int,)
_syncfs.restype = ctypes.c_int

_mount: Final = _LIBRARY.mount
_mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, _WORD, ctypes.c_char_p)
_mount.restype = ctypes.c_int

_umount2: Final = _LIBRARY.umount2
_umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_umount2.restype = ctypes.c_int

_capget: Final = _LIBRARY.capget
_capset: Final = _LIBRARY.capset
for _call in (_capget, _capset):
    _call.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    _call.restype = ctypes.c_int


def prctl(option: int, *arguments: int) -> int:
    """prctl(2), with zeros for the arguments that are not given. Raises OSError."""
    words = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_prctl(option, *words))


def syscall(number: int, *arguments: int) -> int:
    """A call by its number; addresses are numbers too. Raises OSError."""
    words = (*arguments, 0, 0, 0, 0, 0)[:5]
    return _checked(_syscall(number, *words))


def syncfs(fd: int) -> None:
    """syncfs(2): all that was written to the file system of `fd` is on its disk. Raises OSError."""
    _checked(_syncfs(fd))


def mount(source: bytes, target: bytes, kind: bytes, flags: int, options: bytes) -> None:
    """mount(2). Raises OSError."""
    _checked(_mount(source, target, kind, flags, options))


def umount2(target: bytes, flags: int) -> None:
    """umount2(2). Raises OSError."""
    _checked(_umount2(target, flags))


def capget(header: ctypes.Structure, data: ctypes.Array[Any]) -> None:
    """capget(2). Raises OSError."""
    _checked(_capget(ctypes.addressof(header), ctypes.addressof(data)))


def capset(header: ctypes.Structure, data: ctypes.Array[Any]) -> None:
    """capset(2). Raises OSError."""
    _checked(_capset(ctypes.addressof(header), ctypes.addressof(data)))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
