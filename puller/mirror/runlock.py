"""Runlock: only one run at a time works on a state; the kernel frees the lock of one that has died (RELIABILITY R5)."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from puller.errors import InvalidManifest, StoreBusy
from puller.mirror.statefile import own_folder, translated
from puller.model.document import load_document

NAME: Final = "run.lock"
_LONGEST: Final = 4096
_LATEST: Final = 1e11  # seconds since the epoch: the year 5138
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# Who asks whether a run is under way holds the lock, too, for some microseconds.
_TRIES, _WAIT = 10, 0.02


@dataclass(frozen=True, slots=True)
class Running:
    """The process of a run, and since when it holds the state, in seconds since the epoch; None: not known."""

    pid: int | None
    since: float | None

    def __str__(self) -> str:
        process = "a process that is not known" if self.pid is None else f"process {self.pid}"
        if self.since is None:
            return process
        return f"{process}, since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def only_run(folder: Path, *, now: Callable[[], float] = time.time) -> Iterator[None]:
    """Be the one run on the state in `folder` as long as the block runs. Raises StoreBusy at once where another is."""
    with translated(folder):
        own_folder(folder)
        path = folder / NAME
        fd = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
    try:
        with translated(folder):
            if not _taken(fd, fcntl.LOCK_EX):
                raise StoreBusy(
                    "another run holds this state", where=folder, got=_told(fd), hint="Wait for its end, or stop it."
                )
            _say(fd, json.dumps({"pid": os.getpid(), "started": now()}).encode("ascii"))
        try:
            yield
        finally:
            _say(fd, b"")
    finally:
        os.close(fd)


def running(folder: Path) -> Running | None:
    """The run that holds the state in `folder` now; None: none does."""
    with translated(folder):
        try:
            fd = os.open(folder / NAME, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return None
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _told(fd)
            return None
        finally:
            os.close(fd)


def _taken(fd: int, how: int) -> bool:
    for attempt in range(_TRIES):
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < _TRIES:
                time.sleep(_WAIT)
        else:
            return True
    return False


def _say(fd: int, text: bytes) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, text, 0)


def _told(fd: int) -> Running:
    try:
        document = load_document(os.pread(fd, _LONGEST, 0), what="lock of a run")
        pid, since = document.get("pid"), document.get("started")
        is_time = isinstance(since, int | float) and 0 <= since < _LATEST
        return Running(pid if isinstance(pid, int) else None, since if is_time else None)
    except InvalidManifest:
        return Running(None, None)
