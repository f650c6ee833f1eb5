"""System calls hindered by strace: failed, or the end of whoever makes them; and whether that can be done here."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

ERRORS = ("ENOSPC", "EIO")  # what disks answer


@cache
def missing() -> str:
    """Why strace cannot be used; empty where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    probe = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here: {probe.stderr.strip()}" if probe.returncode else ""


def hindered(words: Iterable[str], paths: Iterable[Path], log: Path, *, call: str, how: str, when: int) -> bool:
    """Run `python -m WORDS…` while its `when`-th `call` on any of `paths` is hindered; whether that call was reached.

    `how` is strace's: `error=EIO`, `signal=SIGKILL`. Errors that are not of puller's own kinds fail the test.
    """
    watched = [word for path in paths for word in ("-P", str(path))]
    options = ["-f", "-qq", "-o", str(log), "-e", f"trace={call}", "-e", f"inject={call}:{how}:when={when}"]
    command = ["strace", *options, *watched, sys.executable, "-m", *words]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in result.stderr or "\npuller.errors." in result.stderr, result.stderr
    said = log.read_text()
    return "INJECTED" in said or "killed by SIGKILL" in said
