"""Limits: how much one layer may make, and what must stay free on the disk (THREATS D6, E10, F11, F14)."""

import os
from dataclasses import dataclass
from typing import Final

from puller.errors import LimitExceeded, NoSpace

RESERVE: Final = 64 << 20
_CHECK_EVERY: Final = 64 << 20  # bytes between two looks at the free space


@dataclass(frozen=True, slots=True)
class Limits:
    """What one layer may make. `size` and `reserve` are bytes; `depth` counts directories below the root.

    `directories` is less than `entries` because each one is remembered until the end; `xattrs` and `xattr_size` are for
    one entry (the kernel takes no value above 64 KiB).
    """

    entries: int = 4_000_000
    size: int = 64 << 30
    directories: int = 1_000_000
    depth: int = 256
    xattrs: int = 256
    xattr_size: int = 64 << 10
    reserve: int = RESERVE


class Budget:
    """What of the limits is used up; `root` is an open directory on the disk that fills."""

    def __init__(self, limits: Limits, root: int) -> None:
        self.limits = limits
        self.entries = 0
        self.size = 0
        self._root = root
        self._max_entries = limits.entries
        self._look_at = 0  # the size from which the free space must be looked at again

    def spend(self, size: int) -> None:
        """One more entry of `size` bytes. Raises LimitExceeded, or NoSpace where the reserve would be touched."""
        self.entries += 1
        self.size += size
        if self.entries > self._max_entries:
            raise LimitExceeded("too many entries", wanted=f"at most {self._max_entries}")
        if self.size >= self._look_at:
            self._look(size)

    def _look(self, size: int) -> None:
        if self.size > self.limits.size:
            wanted = f"at most {self.limits.size} bytes"
            raise LimitExceeded("layer too large when unpacked", wanted=wanted, got=self.size)
        state = os.statvfs(self._root)
        free = state.f_bavail * state.f_frsize - self.limits.reserve
        if free < size:
            wanted = f"{size + self.limits.reserve} bytes, {self.limits.reserve} of them in reserve"
            raise NoSpace("not enough space left to unpack", wanted=wanted, got=max(0, free + self.limits.reserve))
        self._look_at = min(self.size + min(_CHECK_EVERY, free - size), self.limits.size) + 1
