"""Ledger: the record of one host, kept in a file that all processes of a user read and change.

`HOST.json` is replaced as a whole (temporary file, rename), under an flock on `HOST.lock`; so readers need no lock,
whoever dies leaves the old record or the new, and the kernel frees the lock of the dead. Nothing is synced: after a
power cut it may be empty, and is started anew. Where no such file can be kept the record lives in this process alone.
"""

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import anyio

from puller.registry.quota.record import MAX_BYTES, Record, account_key

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # neither a link nor a pipe that somebody has put there
_LONGEST_NAME = 150
# A lock is held for less than a millisecond, unless its holder has been stopped in just that one.
BUSY, WAIT = 2.0, 0.002


class Ledgers:
    """Of all hosts that one client asks. `folder` None: nothing is shared. `wall` gives seconds since the epoch."""

    def __init__(self, folder: Path | None, wall: Callable[[], float]) -> None:
        self._folder = folder
        self._wall = wall
        self._ledgers: dict[str, Ledger] = {}

    def of(self, host: str) -> "Ledger":
        """The ledger of `host`, or `host:port`."""
        if host not in self._ledgers:
            path = None if self._folder is None else self._folder / _file_name(host)
            self._ledgers[host] = Ledger(path, self._wall)
        return self._ledgers[host]


class Ledger:
    """Of one host. `path` is that of its record; the folder is made, for this user alone, when it is first needed."""

    def __init__(self, path: Path | None, wall: Callable[[], float]) -> None:
        self._path = path
        self._wall = wall
        self._own = Record()

    def peek(self) -> Record:
        """The record as it is now; one attempt to open a file, if nothing is known of the host."""
        if self._path is None:
            return self._own
        try:
            return self._read(self._path)
        except OSError as error:
            self._go_alone(error)
            return self._own

    async def change(self, how: Callable[[Record, float], tuple[Record, T]]) -> T:
        """Replace the record by what `how` makes of it, and of the time; give what `how` gives beside it."""
        waited = 0.0
        while True:
            try:
                return self._changed(how)
            except BlockingIOError as error:
                # Real time, whatever clock the limits run by: it is another process that is waited for.
                if waited >= BUSY:
                    self._go_alone(error)
                waited += WAIT
                await anyio.sleep(WAIT)

    def try_change(self, how: Callable[[Record, float], tuple[Record, T]]) -> T | None:
        """As `change`, without waiting; None where another process holds the lock this very moment."""
        try:
            return self._changed(how)
        except BlockingIOError:
            return None

    def _changed(self, how: Callable[[Record, float], tuple[Record, T]]) -> T:
        path = self._path
        if path is not None:
            try:
                with _locked(path.with_suffix(".lock")):
                    before = self._read(path)
                    after, outcome = self._applied(how, before)
                    if after != before:
                        self._keep(path, after)
                    return outcome
            except BlockingIOError:
                raise
            except OSError as error:
                self._go_alone(error)
        self._own, outcome = self._applied(how, self._own)
        return outcome

    def _applied(self, how: Callable[[Record, float], tuple[Record, T]], before: Record) -> tuple[Record, T]:
        now = self._wall()
        after, outcome = how(before.at(now), now)
        self._own = after
        return after, outcome

    @staticmethod
    def _read(path: Path) -> Record:
        try:
            fd = os.open(path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            return Record()
        try:
            status = os.fstat(fd)
            is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
            return Record.parse(os.read(fd, MAX_BYTES + 1)) if is_ours else Record()
        finally:
            os.close(fd)

    def _keep(self, path: Path, record: Record) -> None:
        try:
            self._write(path, record)
        except OSError as error:
            self._go_alone(error)  # with what has been changed

    @staticmethod
    def _write(path: Path, record: Record) -> None:
        if record.is_empty:
            path.unlink(missing_ok=True)
            return
        new, raw = path.with_suffix(".new"), record.dump()
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
        try:
            if os.write(fd, raw) != len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(new))
        finally:
            os.close(fd)
        new.rename(path)

    def _go_alone(self, error: OSError) -> None:
        """Keep the record in this process from now on: a limiter that fails must not fail a pull."""
        if self._path is not None:
            reason = error.strerror or type(error).__name__
            _LOG.warning("limits of registries are not shared with other processes: %s: %s", self._path.parent, reason)
        self._path = None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock for the length of the block. Raises BlockingIOError where another has it."""
    folder = path.parent
    try:
        _refuse_foreign(folder)  # before anything is made there that its owner could not open
    except FileNotFoundError:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_foreign(folder)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def _refuse_foreign(folder: Path) -> None:
    """A folder that others may write to says nothing that could be relied on."""
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "not this user's alone", str(folder))


def _file_name(host: str) -> str:
    name = quote(host, safe="")
    return f"{name if len(name) <= _LONGEST_NAME else account_key(host)}.json"
