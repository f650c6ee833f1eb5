"""A program: paths of archives on stdin, a line of JSON each on stdout, as Python's `tarfile` reads them.

A process of its own, for `tarfile` can be made to spin (CVE-2025-8194, CVE-2026-11972).
"""

import contextlib
import hashlib
import os
import signal
import sys
import tarfile
from typing import Final

from tests.differential.member import Member, Reading

SECONDS: Final = 2
_PIECE: Final = 1 << 20


class _Spinning(Exception):
    """An archive took too long."""


def _ring(_signal: int, _frame: object) -> None:
    raise _Spinning("it spins")


def read(path: str) -> Reading:
    """One archive."""
    members: list[Member] = []
    try:
        with tarfile.open(path, "r:") as archive:
            members.extend(_member(archive, info) for info in archive)
    # Its own errors and those of its innards: whatever it raises is what it answers.
    except Exception as error:
        return Reading(tuple(members), f"{type(error).__name__}: {error}")
    return Reading(tuple(members))


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    content = None
    if info.isreg() and (reader := archive.extractfile(info)) is not None:
        digest, left = hashlib.sha256(), info.size
        with reader:
            while left and (piece := reader.read(min(left, _PIECE))):
                digest.update(piece)
                left -= len(piece)
        content = digest.hexdigest()
    seconds = info.pax_headers.get("mtime")
    # It keeps times as floating point numbers: the text of the record says more.
    mtime = _nanoseconds(seconds) if seconds is not None else round(info.mtime * 10**9)
    return Member.of(
        os.fsencode(info.name), info.type, info.size, info.mode, info.uid, info.gid, mtime, os.fsencode(info.linkname),
        content,
    )  # fmt: skip


def _nanoseconds(text: str) -> int | None:
    with contextlib.suppress(ValueError):
        whole, _, fraction = text.partition(".")
        value = int(whole.lstrip("-")) * 10**9 + int(fraction[:9].ljust(9, "0"))
        return -value if text.startswith("-") else value
    return None


def main() -> None:
    """Answer until there are no more questions."""
    signal.signal(signal.SIGALRM, _ring)
    for line in sys.stdin:
        signal.alarm(SECONDS)
        try:
            answer = read(line.rstrip("\n"))
        except _Spinning as spinning:
            answer = Reading((), str(spinning))
        signal.alarm(0)
        print(answer.dumped(), flush=True)


if __name__ == "__main__":
    main()
