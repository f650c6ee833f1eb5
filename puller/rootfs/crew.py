"""Crew: layers unpacked by a child process, each in a jailed fork of it. InProcess: the same without any process.

How the two sides talk is in `message`, what the child does in `child`, the walls around it in `jail`.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from puller.contracts.layers import Told
from puller.errors import LayerError, LimitExceeded, PullerError, StoreBusy, StoreUnusable
from puller.rootfs import message
from puller.rootfs.job import Job, Outcome
from puller.rootfs.manner import Manner
from puller.rootfs.openat2 import kernel_opener, open_stepwise
from puller.rootfs.powers import Powers
from puller.rootfs.unpacking import Means, unpack

Clock = Callable[[], float]

_EVERY: Final = 0.1  # seconds between two words to whoever waits
_FAREWELL: Final = 10.0  # seconds for the child to end its jobs and itself
_DYING: Final = 1.0  # seconds for one whose line is closed to be gone
_HOME: Final = Path(__file__).absolute().parents[2]
# The child takes nothing from the environment or the user's site; where modules are found is what it is told.
_FLAGS: Final = ("-I", "-S", "-X", "utf8")
_BOOT: Final = "import sys; sys.path[:] = sys.argv[2:]; from puller.rootfs.child import main; main(int(sys.argv[1]))"
_LAST_WORDS: Final = 4096


class Crew:
    """An Unpacker. Its child is started for the first job; leaving the context ends it, and all that it does.

    `jailed` False: without any walls. `python` is the interpreter that runs the child; None: that of this process. A
    job that takes longer than it may by `clock` is killed, and so is one whose `told` raises. Thread-safe; each job has
    a process of its own.
    """

    def __init__(
        self, manner: Manner, *, jailed: bool = True, python: str | None = None, clock: Clock = time.monotonic
    ) -> None:
        self._manner = manner
        self._jailed = jailed
        self._python = python or sys.executable
        self._clock = clock
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the child. Jobs that still run end with an error, and no new ones are taken."""
        with self._lock:
            self._closed = True
            child, self._child = self._child, None
        if child is not None:
            child.close()

    def start(self) -> None:
        """Have the child started before the first job, for it takes a tenth of a second to be ready."""
        with self._lock:
            if self._child is None and not self._closed:
                self._child = _Child(self._python)

    def unpack(self, job: Job, told: Told) -> Outcome:
        """As Unpacker.unpack."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                child = self._give(job, theirs)
            return _Wait(ours, told, self._manner.seconds, self._clock).outcome(child)

    def _give(self, job: Job, answers: socket.socket) -> "_Child":
        """Give the job to the child; to a new one if the old one is gone."""
        with self._lock:
            if self._closed:
                raise ValueError("the crew is closed")
            order = message.Order.of(job, self._manner, jailed=self._jailed)
            if self._child is not None and not self._child.lives:
                self._child.close()
                self._child = None
            if self._child is None:
                self._child = _Child(self._python)
            self._child.give(order.encode(), [job.root, job.blob.fd, job.sidecar, answers.fileno()])
            return self._child


class InProcess:
    """An Unpacker in the caller's own process, with all its powers and without walls."""

    def __init__(self, manner: Manner, *, clock: Clock = time.monotonic) -> None:
        self._manner = manner
        self._clock = clock

    def unpack(self, job: Job, told: Told) -> Outcome:
        """As Unpacker.unpack."""
        opener = None if self._manner.stepwise else kernel_opener()
        means = Means(Powers.of_this_process(), opener or open_stepwise)
        deadline = self._clock() + self._manner.seconds
        silent_until = 0.0

        def pulse(read: int) -> None:
            nonlocal silent_until
            now = self._clock()
            if now >= deadline:
                raise _too_slow(self._manner.seconds)
            if now >= silent_until:
                silent_until = now + _EVERY
                told(read)

        return unpack(job, self._manner, means, pulse)


class _Child:
    """The child process and the line to it."""

    def __init__(self, python: str) -> None:
        self._last_words = os.fdopen(os.memfd_create("puller-child"), "rb")
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = self._start(python, theirs.fileno())
            except OSError as error:
                self._line.close()
                self._last_words.close()
                raise StoreBusy("the process that unpacks cannot be started", got=error.strerror) from error

    def _start(self, python: str, control: int) -> subprocess.Popen[bytes]:
        paths = [str(Path(entry).absolute()) for entry in sys.path]
        return subprocess.Popen(
            [python, *_FLAGS, "-c", _BOOT, str(control), *paths, str(_HOME)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._last_words.fileno(),
            pass_fds=(control,),
            env={},
            cwd="/",
            start_new_session=True,
        )

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def give(self, packet: bytes, descriptors: list[int]) -> None:
        """Hand over a job. Raises StoreError where the child does not take it."""
        try:
            socket.send_fds(self._line, [packet], descriptors)
        except OSError as error:
            raise self.failure() from error

    def failure(self) -> PullerError:
        """The error for a job that was not answered: the child is gone, as a rule."""
        try:
            self._process.wait(_DYING)
        except subprocess.TimeoutExpired:
            hint = "Perhaps too many files are open (ulimit -n)."
            return StoreBusy("the process that unpacks did not do the job", hint=hint)
        lines = self._said().decode(errors="replace").strip().splitlines()
        return StoreUnusable("the process that unpacks is gone", got=lines[-1] if lines else self._process.returncode)

    def _said(self) -> bytes:
        if self._last_words.closed:  # the crew was closed while it worked
            return b""
        fd = self._last_words.fileno()
        return os.pread(fd, _LAST_WORDS, max(0, os.fstat(fd).st_size - _LAST_WORDS))

    def close(self) -> None:
        """Hang up, which ends it."""
        self._line.close()
        try:
            self._process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._last_words.close()


class _Wait:
    """The wait for the answers of one job."""

    def __init__(self, answers: socket.socket, told: Told, seconds: float, clock: Clock) -> None:
        self._answers = answers
        self._told = told
        self._seconds = seconds
        self._clock = clock
        self._answer = message.Answer()

    def outcome(self, child: _Child) -> Outcome:
        """What came of the job. When this returns or raises, its process is gone."""
        try:
            self._listen()
        except BaseException:
            self._hang_up()
            raise
        answer = self._answer
        if answer.error is not None:
            raise answer.error
        if answer.outcome is not None and answer.ended == 0:
            return answer.outcome
        if answer.ended is None:
            raise child.failure()
        raise _death(answer.ended, self._seconds)

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        deadline = self._clock() + self._seconds
        while True:
            if poll.poll(_EVERY * 1000):
                packet = self._answers.recv(message.LONGEST)
                if not packet:
                    return
                self._answer.hear(packet)
            self._told(self._answer.read)
            if self._clock() >= deadline:
                raise _too_slow(self._seconds)

    def _hang_up(self) -> None:
        """Have the job killed, and wait until it is: from then on nothing is written any more."""
        self._answers.shutdown(socket.SHUT_WR)
        while self._answers.recv(message.LONGEST):
            pass


def _too_slow(seconds: float) -> LimitExceeded:
    return LimitExceeded("unpacking a layer takes too long", wanted=f"at most {seconds:g} seconds")


def _death(status: int, seconds: float) -> PullerError:
    """The error for a job that ended without a word."""
    if status >= 0:
        return LayerError("the unpacking of this layer ended early", got=f"exit status {status}")
    name = signal.Signals(-status).name
    if -status == signal.SIGXCPU:
        return _too_slow(seconds)
    if -status in (signal.SIGKILL, signal.SIGTERM):
        hint = "Somebody, or the kernel for want of memory, killed the process."
        return StoreBusy("the unpacking of this layer was killed", got=name, hint=hint)
    return LayerError("the unpacking of this layer crashed", got=name)
