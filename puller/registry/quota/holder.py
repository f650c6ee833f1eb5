"""Holder: which process has taken something that all share, and whether it is still alive to give it back."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process: its ID, when it was started (ticks since boot: IDs come again), and the namespace the ID counts in.

    `part` tells several holders of one process apart.
    """

    pid: int
    started: str
    part: str
    namespace: str

    @classmethod
    def this(cls) -> Self:
        """The process that asks, as a holder of its own."""
        pid = os.getpid()
        return cls(pid, _started(pid) or "", secrets.token_hex(4), _namespace())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str()` wrote. Raises ValueError."""
        pid, started, part, namespace = text.split(":", 3)
        return cls(int(pid), started, part, namespace)

    def is_alive(self) -> bool:
        """Whether it still runs. Of what cannot be seen from here (another container) that is taken for granted.

        One that has been stopped (Ctrl-Z) does not: it may stay so for days, with all others waiting for its answer.
        """
        if not self.started or self.namespace != _namespace():
            return True
        return _started(self.pid) == self.started

    def __str__(self) -> str:
        return f"{self.pid}:{self.started}:{self.part}:{self.namespace}"


def _started(pid: int) -> str | None:
    """Field 22 of proc_pid_stat(5); the name before it may hold spaces and brackets."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        # A zombie has ended, even if nobody has asked for its exit status yet. `T` is stopped, by a signal or a tracer.
        return None if fields[0] in (b"Z", b"X", b"T", b"t") else fields[19].decode("ascii")
    except (OSError, IndexError, ValueError):
        return None


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115  # a name, not a path
    except OSError:
        return ""
