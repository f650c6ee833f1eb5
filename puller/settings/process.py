"""Process: one run of another program, bounded in time and in what it may say.

It gets a process group of its own, so that nothing it has started outlives a kill. What it complains of on stderr is
not kept: that may hold secrets.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock

import anyio
import anyio.lowlevel
from anyio.to_thread import run_sync

_PIECE = 1 << 16
_PULSE = 0.05  # seconds between two looks whether it has ended
_BEAT = 0.005  # the same, once it has nothing more to say


@dataclass(frozen=True, slots=True)
class Ran:
    """How it ended. `status` is None where it was killed: it was `late`, or said more than the limit."""

    status: int | None
    out: bytes = field(repr=False)
    late: bool = False


async def run(words: Sequence[str], said: bytes, *, environ: Mapping[str, str], timeout: float, limit: int) -> Ran:
    """Run a program to its end with `said` on its stdin. `timeout` in seconds, `limit` in bytes of its stdout.

    It is killed with its whole group when its time is up, when it says too much, and when this task is cancelled.
    Raises OSError where it cannot be started.
    """
    process = _Process(words, said, environ, limit)

    async def kill_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            process.kill()

    failure: OSError | None = None
    ran = Ran(None, b"")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill_when_cancelled)
        try:
            ran = await run_sync(process.finish, timeout)
        except OSError as error:  # raised below: here it would come out in a group
            failure = error
        tasks.cancel_scope.cancel()
    await anyio.lowlevel.checkpoint_if_cancelled()  # a kill by whoever cancels is no answer
    if failure is not None:
        raise failure
    return ran


class _Process:
    """Blocks in a worker thread; only `kill` is called from elsewhere."""

    def __init__(self, words: Sequence[str], said: bytes, environ: Mapping[str, str], limit: int) -> None:
        self._words = words
        self._said = said
        self._environ = environ
        self._limit = limit
        self._lock = Lock()
        self._killed = False
        self._child: subprocess.Popen[bytes] | None = None
        self._out = bytearray()

    def kill(self) -> None:
        """Kill it with its group, unless it has ended: then its number may be another's."""
        with self._lock:
            self._killed = True
            if self._child is not None and self._child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)

    def finish(self, timeout: float) -> Ran:
        """Start it, and wait for its end."""
        deadline = time.monotonic() + timeout
        child = self._start()
        if child is None or child.stdout is None:
            return Ran(None, b"")
        with child.stdout as pipe:
            try:
                in_time = self._listen(pipe.fileno(), deadline)
            finally:
                if not self._has_ended():
                    self.kill()
                    child.wait()
        if self._killed:
            return Ran(None, bytes(self._out), late=not in_time)
        return Ran(child.returncode, bytes(self._out))

    def _start(self) -> "subprocess.Popen[bytes] | None":
        with self._lock, os.fdopen(os.memfd_create("said"), "wb+", buffering=0) as said:
            if self._killed:
                return None
            said.write(self._said)  # all of it at once: a program that reads nothing holds nobody up
            said.seek(0)
            self._child = subprocess.Popen(
                self._words,
                stdin=said,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self._environ),
                start_new_session=True,
                bufsize=0,
            )
            return self._child

    def _listen(self, pipe: int, deadline: float) -> bool:
        """Keep what it says until it has ended or says too much; False when the time is up before."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(pipe, selectors.EVENT_READ)
            while len(self._out) <= self._limit:
                ended = self._has_ended()
                if waiting.select(_PULSE):
                    piece = os.read(pipe, _PIECE)
                    if not piece:
                        break
                    self._out += piece
                elif ended:
                    return True  # what holds the pipe open still is some child of it that stays
                if time.monotonic() >= deadline:
                    return False
            else:
                return True
        while not self._has_ended():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_BEAT)
        return True

    def _has_ended(self) -> bool:
        with self._lock:
            return self._child is None or self._child.poll() is not None
