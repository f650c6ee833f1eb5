"""What a process costs that is not the child of who measures."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.measure import Usage
from bench.meter import Meter

pytestmark = pytest.mark.slow  # many small tests: for `make test`

NOTHING = Usage(1.0, 0.0, 0, 0)
LARGE = 80_000_000

# Answers each line that it reads by doing what the line says, then with a line of its own.
SERVANT = """
import subprocess, sys, time
def busy(seconds):
    started = time.process_time()
    while time.process_time() - started < seconds:
        pass
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Servant:
    """A process that does what it is told to, one line of Python at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def do(self, line: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"


@contextmanager
def servant() -> Iterator[Servant]:
    command = [sys.executable, "-I", "-c", SERVANT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Servant(process)
        assert process.stdin
        process.stdin.close()


def test_only_processor_time_since_the_reset_counts() -> None:
    with servant() as other:
        meter = Meter(other.process.pid)
        other.do("busy(0.3)")
        meter.reset()
        other.do("busy(0.1)")
        assert 0.08 <= meter.added(NOTHING).cpu < 0.25


def test_processor_time_of_children_that_ended_counts() -> None:
    with servant() as other:
        meter = Meter(other.process.pid)
        meter.reset()
        busy = "import time\nwhile time.process_time() < 0.2: pass"
        other.do(f"subprocess.run([sys.executable, '-I', '-c', {busy!r}], check=True)")
        assert meter.added(NOTHING).cpu >= 0.18


def test_the_peak_is_the_one_since_the_reset() -> None:
    with servant() as other:
        meter = Meter(other.process.pid)
        other.do(f"bytearray({LARGE})")
        try:
            meter.reset()
        except PermissionError:
            pytest.skip("this kernel lets nobody set a peak back")
        assert meter.added(NOTHING).peak < LARGE
        other.do(f"bytearray({LARGE})")
        assert meter.added(NOTHING).peak > LARGE


def test_what_the_program_itself_used_stays_in_the_sum() -> None:
    with servant() as other:
        meter = Meter(other.process.pid)
        meter.reset()
        usage = meter.added(Usage(2.0, 5.0, 10**12, 0))
        assert (usage.seconds, usage.peak) == (2.0, 10**12)
        assert usage.cpu >= 5.0
