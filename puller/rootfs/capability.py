"""Capabilities of this thread: those that unpacking needs, and how the rest is given up (capabilities(7))."""

import ctypes
import errno
from contextlib import suppress
from typing import Final

from puller.rootfs.libc import capget, capset, prctl

# <linux/capability.h>
_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _SETPCAP, _MKNOD, _SETFCAP = 0, 1, 3, 4, 8, 27, 31
NEEDED: Final = sum(1 << bit for bit in (_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _MKNOD, _SETFCAP))
_VERSION_3: Final = 0x20080522
_BITS: Final = 64
SYS_CHROOT: Final = 18

# <linux/prctl.h>
_CAPBSET_READ, _CAPBSET_DROP, _CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 23, 24, 47, 4


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def effective() -> int:
    """The effective set, as bits. Raises OSError."""
    low, high = _sets()
    return int(low.effective) | int(high.effective) << 32


def keep_only(kept: int) -> None:
    """Give up all but the `kept` bits, in every set; the bounding set only where that is allowed. Raises OSError."""
    if effective() >> _SETPCAP & 1:
        _bound(kept)
    with suppress(OSError):  # before Linux 4.3 there are none
        prctl(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    data = _sets()
    for part, bits in zip(data, (kept & 0xFFFFFFFF, kept >> 32), strict=True):
        part.permitted &= bits
        part.effective &= part.permitted
        part.inheritable = 0
    capset(_Header(_VERSION_3, 0), data)


def _sets() -> ctypes.Array[_Data]:
    data = (_Data * 2)()
    capget(_Header(_VERSION_3, 0), data)
    return data


def _bound(kept: int) -> None:
    for bit in range(_BITS):
        try:
            if prctl(_CAPBSET_READ, bit) and not kept >> bit & 1:
                prctl(_CAPBSET_DROP, bit)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return  # the kernel knows no more of them
