"""The jail: all walls around the process that unpacks, in the order they must be raised. None is ever left again.

The engine is safe without; a mistake in it, or in a decompressor, must not reach beyond one directory (THREATS D8).
"""

import math
import os
import resource
from dataclasses import dataclass
from typing import Final

from puller.rootfs.capability import NEEDED, SYS_CHROOT, effective, keep_only
from puller.rootfs.landlock import confine, version
from puller.rootfs.libc import prctl

# Of addresses, of which little is ever used: the window of a zstd frame alone may be 128 MiB, a thread's stack 8.
MEMORY: Final = 1 << 30
_DESCRIPTORS: Final = 512  # the engine holds some 200 at most
_NO_NEW_PRIVILEGES: Final = 38  # <linux/prctl.h>
_PARENT_DEATH: Final = 1


@dataclass(frozen=True, slots=True)
class Fence:
    """What the process may use up: `memory` and the size of one `file` in bytes, time of the processor in `seconds`."""

    file: int
    seconds: float
    memory: int = MEMORY


def enter(root: int, fence: Fence) -> tuple[str, ...]:
    """Wall this process in at the open directory `root`; it must have one thread only.

    Returns the walls that this machine does not have, with the reason. Raises OSError.
    """
    os.umask(0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, fence.memory)
    _limit(resource.RLIMIT_FSIZE, fence.file)
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    seconds = math.ceil(fence.seconds) + 1
    _limit(resource.RLIMIT_CPU, seconds, seconds + 1)  # the first sends SIGXCPU, which tells why
    _limit(resource.RLIMIT_NPROC, 0)  # no process, no thread; the kernel does not hold root to it
    powers = effective()
    prctl(_NO_NEW_PRIVILEGES, 1)
    reason = confine(root, version())
    if reason is None and powers >> SYS_CHROOT & 1:
        # Landlock lets modes and owners be changed everywhere. Where it does not hold, a chroot would do harm: what is
        # loaded late would come from the layer (CVE-2019-14271).
        os.fchdir(root)
        os.chroot(".")
    keep_only(NEEDED)
    return () if reason is None else (f"write jail: {reason}",)


def die_with_parent(signal: int) -> None:
    """Have the kernel send `signal` to this process when its parent ends. Raises OSError."""
    prctl(_PARENT_DEATH, signal)


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    """Set both limits, for good; lower ones that are there already stay. None: the hard one is as the soft one."""
    old_soft, old_hard = resource.getrlimit(what)
    resource.setrlimit(what, (_lower(soft, old_soft), _lower(soft if hard is None else hard, old_hard)))


def _lower(wanted: int, old: int) -> int:
    return wanted if old == resource.RLIM_INFINITY else min(wanted, old)
