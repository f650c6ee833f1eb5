"""Whether system calls can be traced, and so hindered, here."""

import shutil
import subprocess
from functools import cache


@cache
def missing() -> str:
    """Why strace cannot be used; empty where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    probe = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here: {probe.stderr.strip()}" if probe.returncode else ""
