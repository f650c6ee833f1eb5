"""What one run of a program costs: wall time, processor time, peak memory. Also a script, run as the program's parent.

A forked process begins with its parent's peak memory, and `exec` keeps it: started from a test runner of 150 MB every
program seems to need 150 MB. So the program is started by this very file, run bare, which stays below 15 MB.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of wall and processor time (user and system, children included), and bytes.

    `peak` is the largest resident size of the program or of any one child it waited for, not their sum.
    """

    seconds: float
    cpu: float
    peak: int
    status: int


class RunFailed(Exception):
    """A measured program did not end with status 0."""

    def __init__(self, command: Sequence[str], status: int, errors: str) -> None:
        super().__init__(f"status {status}: {' '.join(command)}\n{errors[-2000:]}")


def measured(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, check: bool = True
) -> Usage:
    """Run to the end, output discarded; raises RunFailed, with the program's own words, unless `check` is off."""
    read, write = os.pipe()
    parent = [sys.executable, "-I", "-S", __file__, str(write), *command]
    try:
        done = subprocess.run(
            parent,
            env=env,
            cwd=cwd,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[write],
        )
    finally:
        os.close(write)
        with open(read) as answer:  # noqa: PTH123  (a descriptor has no path)
            report = answer.read()
    if not report:
        raise RunFailed(command, done.returncode, done.stderr)
    usage = Usage(**json.loads(report))
    if check and usage.status != 0:
        raise RunFailed(command, usage.status, done.stderr)
    return usage


def _measure(command: list[str]) -> Usage:
    started = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, spent = os.wait4(process, 0)
    seconds = time.perf_counter() - started
    # Linux counts ru_maxrss in KiB (getrusage(2)).
    return Usage(seconds, spent.ru_utime + spent.ru_stime, spent.ru_maxrss * 1024, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _descriptor = int(sys.argv[1])
    os.set_inheritable(_descriptor, False)
    _usage = _measure(sys.argv[2:])
    os.write(_descriptor, json.dumps(asdict(_usage)).encode())
