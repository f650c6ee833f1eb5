"""The child: a process of its own that waits for jobs and forks once for each; nothing else imports this module.

Theory of operation. Starting Python takes some fifty times as long as a fork, and an image may have a hundred layers.
So one process imports all that unpacking needs, then gives up importing, and forks for each job. It has one thread
only, which makes forking safe. Each job comes with a socket: what the child says of the job goes there, and the crew
hanging up means that the job is to be killed. If the crew itself is gone, so is the control socket, and all jobs end.
"""

import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final, NoReturn

from puller.errors import LayerError, PullerError, StoreBusy, Unsupported
from puller.rootfs import message
from puller.rootfs.capability import effective
from puller.rootfs.jail import Fence, die_with_parent, enter
from puller.rootfs.openat2 import Opener, kernel_opener, open_stepwise
from puller.rootfs.powers import Powers
from puller.rootfs.unpacking import Means, unpack
from puller.stream.codec import BZIP2, GZIP, XZ, ZSTD
from puller.stream.sink import Digester

_DESCRIPTORS: Final = 4  # root, blob, sidecar, answers
_EVERY: Final = 0.1  # seconds between two packets of progress


def main(control: int) -> None:
    """Serve the crew at the other end of the socket `control` until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the crew decides what an interrupt means
    _warm_up()
    Zygote(socket.socket(fileno=control)).serve()


def _warm_up() -> None:
    """Have everything loaded that a job may come to need; from now on nothing is found by name any more."""
    for codec in (GZIP, ZSTD, BZIP2, XZ):
        codec.new()
    for algorithm in ("sha256", "sha512"):
        Digester(algorithm)
    sys.path.clear()
    sys.path_hooks.clear()
    sys.meta_path.clear()
    gc.disable()  # jobs make no cycles to speak of, and do not live long
    gc.freeze()


class Zygote:
    """Forks for each job, kills the jobs nobody waits for, and tells how each one ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: dict[int, socket.socket] = {}  # by process
        self._wake, self._bell = socket.socketpair()
        for end in (self._wake, self._bell):
            end.setblocking(False)
        self._poll = select.poll()
        for watched in (self._control, self._wake):
            self._poll.register(watched, select.POLLIN)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler the bell would not ring
        signal.set_wakeup_fd(self._bell.fileno())
        self._opener = kernel_opener() or open_stepwise
        self._process = os.getpid()

    def serve(self) -> None:
        """Until the crew hangs up; then all that runs is killed, and waited for."""
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._wake.fileno():
                    self._reap()
                elif fd != self._control.fileno():
                    self._hung_up(fd)
                elif not self._begin():
                    self._end()
                    return

    def _begin(self) -> bool:
        """Begin the next job; whether there still is a crew."""
        packet, received, _, _ = socket.recv_fds(self._control, message.LONGEST, _DESCRIPTORS)
        if not packet:
            return False
        if len(received) == _DESCRIPTORS:
            self._fork(packet, received, socket.socket(fileno=received.pop()))
        for fd in received:  # fewer came where there was no room for more: the crew sees the answers closed
            os.close(fd)
        return True

    def _fork(self, packet: bytes, received: list[int], answers: socket.socket) -> None:
        try:
            process = os.fork()
        except OSError as error:
            with answers, suppress(OSError):
                answers.send(message.failure(StoreBusy("no process can be started", got=error.strerror)))
        else:
            if not process:
                self._be_born(packet, received, answers)
            self._running[process] = answers
            self._poll.register(answers, select.POLLIN)

    def _be_born(self, packet: bytes, received: list[int], answers: socket.socket) -> NoReturn:
        """In the forked process: let go of all that is the parent's, and do the job."""
        status = 1
        try:
            die_with_parent(signal.SIGKILL)
            if os.getppid() != self._process:
                os._exit(status)  # too late to hear of it
            signal.set_wakeup_fd(-1)
            for end in (self._control, self._wake, self._bell, *self._running.values()):
                end.close()
            _Shift(packet, received, answers, self._opener).work()
            status = 0
        finally:
            os._exit(status)  # nothing of the parent's is to be cleaned up here

    def _hung_up(self, fd: int) -> None:
        """Nobody waits for this job any more, if its socket is still the one that was meant."""
        for process, answers in self._running.items():
            if answers.fileno() == fd and _is_shut(answers):
                self._poll.unregister(fd)
                os.kill(process, signal.SIGKILL)  # no stranger can have this number before it is waited for

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            while self._wake.recv(64):
                pass
        while self._running:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            self._tell_end(process, status)

    def _tell_end(self, process: int, status: int) -> None:
        answers = self._running.pop(process)
        with suppress(KeyError):
            self._poll.unregister(answers)
        with answers, suppress(OSError):  # whoever waited may be gone
            answers.setblocking(False)
            answers.send(message.ended(os.waitstatus_to_exitcode(status)))

    def _end(self) -> None:
        """No word to whoever still waits: these jobs were not killed for a fault of theirs."""
        for process in self._running:
            os.kill(process, signal.SIGKILL)
        for process in self._running:
            os.waitpid(process, 0)


def _is_shut(answers: socket.socket) -> bool:
    """Whether the crew, which never says anything here, has hung up."""
    try:
        return not answers.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


class _Shift:
    """One job in the forked process."""

    def __init__(self, packet: bytes, received: list[int], answers: socket.socket, opener: Opener) -> None:
        self._order = message.Order.decode(packet)
        self._job = self._order.job(*received)
        self._answers = answers
        self._opener = open_stepwise if self._order.manner.stepwise else opener
        self._silent_until = 0.0

    def work(self) -> None:
        """Do it, and say how it went."""
        try:
            for packet in self._packets():
                self._answers.send(packet)
        except PullerError as error:
            self._answers.send(message.failure(error))
        except Exception as error:  # a fault of ours, set off by this layer; the others need not suffer
            got = f"{type(error).__name__}: {error}"
            self._answers.send(message.failure(LayerError("the unpacking process failed", got=got)))

    def _packets(self) -> Iterator[bytes]:
        manner = self._order.manner
        missing: tuple[str, ...] = ()
        if self._order.jailed:
            file = max(manner.max_unpacked, manner.limits.size)
            missing = self._enter(Fence(file, manner.seconds))
        means = Means(Powers.of_mask(effective()), self._opener)
        outcome = unpack(self._job, manner, means, self._tell)
        return message.success(replace(outcome, missing=missing))

    def _enter(self, fence: Fence) -> tuple[str, ...]:
        try:
            return enter(self._job.root, fence)
        except (OSError, ValueError) as error:
            raise Unsupported("the process cannot lock itself in", got=str(error)) from error

    def _tell(self, read: int) -> None:
        """Say how far it is, but not too often, and rather not at all than wait for the crew to listen."""
        now = time.monotonic()
        if now < self._silent_until:
            return
        self._silent_until = now + _EVERY
        with suppress(BlockingIOError):
            self._answers.send(message.progress(read), socket.MSG_DONTWAIT)
