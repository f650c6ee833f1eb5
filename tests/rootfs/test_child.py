"""The child as a process: what it holds, what it opens, and that nothing of it stays behind."""

import gzip
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from puller.errors import PullerError, StoreUnusable
from puller.rootfs.crew import Crew
from puller.rootfs.landlock import version
from puller.rootfs.manner import Manner
from tests.conftest import ROOT
from tests.rootfs.jobs import children, endless_job, look, unpacked, workers
from tests.rootfs.layering import SMALL, file, layer, open_files, words

MANNER = Manner(limits=SMALL)
PATIENCE = 20  # seconds, for a machine with much else to do


class Enough(Exception):
    """What a listener raises that has heard enough."""


@contextmanager
def watched(*processes: int) -> Iterator[list[int]]:
    """Descriptors of processes, by which their end can be waited for."""
    fds = [os.pidfd_open(process) for process in processes]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def ends(fd: int) -> bool:
    """Whether the process ends soon."""
    return bool(select.select([fd], [], [], PATIENCE)[0])


@contextmanager
def under_way(scratch: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A process whose crew is at work, and the crew's processes: the child and the one that does the job."""
    command = [sys.executable, "-m", "tests.rootfs.crewed", str(scratch)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running, json.loads(running.stdout.readline())
        finally:
            running.kill()


def test_a_crew_leaves_no_process_and_no_descriptor(scratch: Path) -> None:
    before = open_files()
    with Crew(MANNER) as crew:
        for number in range(3):
            unpacked(crew, scratch, layer(file("f", str(number))))
        with pytest.raises(PullerError):
            unpacked(crew, scratch, layer(file("..")))
        assert workers() == []
        assert len(children(os.getpid())) == 1
    assert children(os.getpid()) == []
    assert open_files() == before


def test_a_crew_without_a_job_starts_no_process() -> None:
    with Crew(MANNER):
        assert children(os.getpid()) == []


def test_all_jobs_share_one_child(scratch: Path) -> None:
    with Crew(MANNER) as crew:
        unpacked(crew, scratch, layer(file("f", "1")))
        first = children(os.getpid())
        unpacked(crew, scratch, layer(file("f", "2")))
        assert children(os.getpid()) == first


def test_when_the_crew_is_killed_all_its_processes_end(scratch: Path) -> None:
    with under_way(scratch) as (running, processes), watched(*processes) as fds:
        running.send_signal(signal.SIGKILL)
        assert len(fds) == 2
        assert all(map(ends, fds))


def test_when_the_child_is_killed_its_job_ends_and_the_next_one_has_a_new_child(scratch: Path) -> None:
    with Crew(MANNER) as crew:

        def kill_child(read: int) -> None:
            if workers():
                for child in children(os.getpid()):
                    os.kill(child, signal.SIGKILL)

        with endless_job(scratch) as endless, pytest.raises(StoreUnusable, match="is gone"):
            crew.unpack(endless, kill_child)
        unpacked(crew, scratch, layer(file("f", "1")))
    assert words(scratch) == {"f": "'1'"}


def test_an_interrupt_at_the_terminal_is_not_for_the_child(scratch: Path) -> None:
    with Crew(MANNER) as crew:
        unpacked(crew, scratch, layer(file("f", "1")))
        (child,) = children(os.getpid())
        assert os.getsid(child) == child
        os.kill(child, signal.SIGINT)
        unpacked(crew, scratch, layer(file("f", "2")))
        assert children(os.getpid()) == [child]


def test_the_child_has_no_environment_and_a_job_only_the_descriptors_it_needs(scratch: Path) -> None:
    seen: list[tuple[bytes, int]] = []

    def note(process: Path) -> None:
        environment = (process / "environ").read_bytes()
        seen.append((environment, len(list((process / "fd").iterdir()))))

    def listen(read: int) -> None:
        look(note)
        if read:
            raise Enough

    with Crew(MANNER) as crew, endless_job(scratch) as first, endless_job(scratch) as second:
        with pytest.raises(Enough):
            crew.unpack(first, listen)
        with pytest.raises(Enough):
            crew.unpack(second, listen)
    assert seen[-1] == (b"", 7)  # three for standard streams; root, blob, sidecar, answers


def test_f8_each_job_is_walled_in(scratch: Path) -> None:
    seen: list[dict[str, str]] = []

    def note(process: Path) -> None:
        lines = (process / "status").read_text().splitlines()
        seen.append(dict(line.split(":\t", 1) for line in lines if ":\t" in line))

    def listen(read: int) -> None:
        look(note)
        if read:
            raise Enough

    with Crew(MANNER) as crew, endless_job(scratch) as endless, pytest.raises(Enough):
        crew.unpack(endless, listen)
    needed = 0x8800001B
    assert (seen[-1]["NoNewPrivs"], seen[-1]["Umask"], seen[-1]["Threads"]) == ("1", "0000", "1")
    assert all(int(seen[-1][name], 16) & ~needed == 0 for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"))
    if os.geteuid() == 0:
        assert int(seen[-1]["CapBnd"], 16) & ~needed == 0


HOSTILE = layer(
    *(
        file(name, "hostile", mode=0o755)
        for name in (
            "usr/bin/xz", "usr/bin/gzip", "bin/tar", "lib/libnss_x.so", "lib/x86_64-linux-gnu/libz.so.1", "etc/passwd",
            "etc/nsswitch.conf", "etc/ld.so.preload", "usr/lib/python3/encodings/__init__.py", "zlib.py",
            "puller/errors.py",
        )
    )
)  # fmt: skip
_OPENED = re.compile(r'(?:open|openat|openat2)\((?:(AT_FDCWD|\d+), )?"([^"]*)"')


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.skipif(version() < 2, reason="this kernel has no Landlock that allows hard links")
def test_d8_in_the_jail_nothing_is_run_and_nothing_opened_by_a_name_outside(scratch: Path) -> None:
    archive, trace, root = scratch / "layer", scratch / "trace", scratch / "root"
    archive.write_bytes(gzip.compress(HOSTILE))
    root.mkdir()
    watch = "--trace=open,openat,openat2,creat,execve,execveat,uselib,landlock_restrict_self"
    command = ["strace", "-f", "-q", "-o", str(trace), watch, sys.executable, "-m", "tests.rootfs.crewed"]
    done = subprocess.run([*command, str(root), str(archive)], cwd=ROOT, capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr[:100]}")
    assert done.returncode == 0, done.stderr
    lines = trace.read_text().splitlines()
    (begin,) = (number for number, line in enumerate(lines) if "landlock_restrict_self" in line)
    process = lines[begin].split()[0]
    after = [line for line in lines[begin + 1 :] if line.split()[0] == process and "exited" not in line]
    assert len(after) > len(HOSTILE) // 1024 // 2
    assert [line for line in after if "exec" in line or "uselib" in line] == []
    by_name = [found for line in after for found in _OPENED.findall(line)]
    assert [path for at, path in by_name if at == "AT_FDCWD" or path.startswith("/")] == []
    assert words(root)["usr/bin/xz"] == "'hostile'"
