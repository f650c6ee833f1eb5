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
_syscall.argtypes = (ctypes.c_long, _WORD, _WORD, _WORD, _WORD)
_syscall.restype = ctypes.c_long

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
    words = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_syscall(number, *words))


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
