"""A folder in memory: what is timed there does not drift with a disk."""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.cache import remove
from bench.ground import Unmeasurable

PLACES = (Path("/dev/shm"),)


class NoRoom(Unmeasurable):
    """No place in memory is large enough."""


@contextmanager
def ram_folder(needed: int, *, places: Sequence[Path] = PLACES) -> Iterator[Path]:
    """An empty folder in the first place that is a tmpfs with `needed` bytes to spare, removed afterwards.

    Raises NoRoom, saying what is wrong with each place.
    """
    faults = {place: _fault(place, needed) for place in places}
    fit = [place for place, fault in faults.items() if not fault]
    if not fit:
        raise NoRoom("; ".join(f"{place} {fault}" for place, fault in faults.items()))
    folder = Path(tempfile.mkdtemp(prefix="puller-bench-", dir=fit[0]))
    try:
        yield folder
    finally:
        remove(folder)


def _fault(place: Path, needed: int) -> str:
    if _file_system(place) != "tmpfs":
        return "is no tmpfs"
    status = os.statvfs(place)
    # A tmpfs promises half of all memory by default, whether or not anybody else has taken it.
    room = min(status.f_bavail * status.f_frsize, _available_memory())
    return "" if room >= needed else f"has room for {room / 1e9:.1f} GB where {needed / 1e9:.1f} GB are needed"


def _file_system(place: Path) -> str | None:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    # The last mount over a place is the one that is seen.
    return next((mount[2] for mount in reversed(mounts) if mount[1] == str(place)), None)


def _available_memory() -> int:
    found = re.search(r"^MemAvailable:\s*(\d+) kB$", Path("/proc/meminfo").read_text(), re.M)
    return int(found[1]) * 1024 if found else 0
