"""What a process costs that runs on its own and is nobody's child here: read from /proc."""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.measure import Usage


@dataclass(slots=True)
class Meter:
    """Counts from the last `reset`: processor time with that of children that ended, peak memory without theirs."""

    pid: int
    _cpu: float = field(default=0.0, init=False)

    def reset(self) -> None:
        """Count from here; raises OSError where the process may not be written to, or is gone."""
        # 5 sets the peak of resident memory back to the present (proc(5)).
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self._cpu = self._spent()

    def added(self, usage: Usage) -> Usage:
        """That usage and this process's together: processor times in sum, of peaks the larger."""
        peak = re.search(r"^VmHWM:\s*(\d+) kB$", Path(f"/proc/{self.pid}/status").read_text(), re.M)
        assert peak
        return replace(usage, cpu=usage.cpu + self._spent() - self._cpu, peak=max(usage.peak, int(peak[1]) * 1024))

    def _spent(self) -> float:
        # proc(5): behind the name in brackets, which may hold anything, utime is the 12th field, in clock ticks;
        # stime, and both of the children that were waited for, follow.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
