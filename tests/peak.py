"""Peak memory of this process, as the kernel counts it since a moment of our choice.

`getrusage` will not do: its peak is never forgotten, and a child inherits that of the process that forked it.
"""

import re
from pathlib import Path


def forget_peak() -> None:
    """Count from now on (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most resident memory since then, in KiB."""
    found = re.search(r"^VmHWM:\s+([0-9]+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
