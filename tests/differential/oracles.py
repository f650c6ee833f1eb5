"""Other readers of tar: each answers a batch of archives with its Readings, in processes of its own."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes.util import find_library
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from puller.stream.tarentry import BLOCK_DEVICE, CHARACTER_DEVICE, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK
from tests.conftest import ROOT
from tests.differential.member import Member, Reading

SECONDS: Final = 60.0  # for a batch, or for one archive by GNU tar


class Oracle(Protocol):
    """One other reader."""

    name: str

    def missing(self) -> str:
        """Why it cannot be asked on this machine; empty where it can."""

    def read(self, archives: Sequence[Path]) -> list[Reading]:
        """Its reading of each."""


class ByChild:
    """A reader behind a program that answers path by path."""

    def __init__(self, name: str, module: str) -> None:
        self.name = name
        self._module = module

    def missing(self) -> str:
        return "libarchive is not there" if self.name == "libarchive" and find_library("archive") is None else ""

    def read(self, archives: Sequence[Path]) -> list[Reading]:
        asked = "".join(f"{path}\n" for path in archives)
        command = [sys.executable, "-W", "ignore", "-m", self._module]
        done = subprocess.run(
            command, input=asked, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=SECONDS, check=True
        )
        return [Reading.loaded(line) for line in done.stdout.splitlines()]


class GnuTar:
    """GNU tar, a process for each archive: lists are on stderr while content goes to stdout."""

    name = "GNU tar"
    _COMMAND: Final = ("tar", "-xvvOP", "--full-time", "--numeric-owner", "--quoting-style=c", "-f")

    def missing(self) -> str:
        if shutil.which("tar") is None:
            return "tar is not there"
        version = subprocess.run(["tar", "--version"], capture_output=True, text=True, check=False).stdout
        return "" if "GNU tar" in version else "tar is not GNU tar"

    def read(self, archives: Sequence[Path]) -> list[Reading]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(self._one, archives))

    def _one(self, archive: Path) -> Reading:
        done = subprocess.run(
            [*self._COMMAND, str(archive)], capture_output=True, cwd=archive.parent, timeout=SECONDS, check=False,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        lines = done.stderr.split(b"\n")
        found = [_listed(match) for line in lines if (match := _LINE.fullmatch(line))]
        told = b"; ".join(line for line in lines if line.startswith(b"tar: ")).decode(errors="replace")
        refusal = told or f"exit {done.returncode}" if done.returncode else ""
        return Reading(tuple(found), refusal, hashlib.sha256(done.stdout).hexdigest())


_QUOTED: Final = rb'"((?:[^"\\]|\\.)*)"'
_LINE: Final = re.compile(
    rb"([-dlhcbpC?uNLKVMDS])([-rwxstST]{9}) (-?\d+)/(-?\d+) +(\d+|\d+, *\d+) (\S+(?: \d\d:\d\d:\d\d(?:\.\d+)?)?) +"
    + _QUOTED + rb"(?: (?:->|link to) " + _QUOTED + rb")?(?: unknown.*)?"
)  # fmt: skip
_KINDS: Final = {
    b"-": REGULAR, b"C": REGULAR, b"d": DIRECTORY, b"l": SYMLINK, b"h": HARD_LINK, b"c": CHARACTER_DEVICE,
    b"b": BLOCK_DEVICE, b"p": FIFO,
}  # fmt: skip
_ESCAPED: Final = re.compile(rb"\\([0-7]{3}|.)")
_PLAIN: Final = {b"n": b"\n", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"r": b"\r", b"v": b"\v"}


def _listed(match: re.Match[bytes]) -> Member:
    kind, mode, uid, gid, size, time, name, link = match.groups(b"")
    return Member.of(
        _unquoted(name), _KINDS.get(kind, b"?"), None if b"," in size else int(size), _mode(mode), int(uid), int(gid),
        _nanoseconds(time.decode()), _unquoted(link), None,
    )  # fmt: skip


def _unquoted(text: bytes) -> bytes:
    def plain(match: re.Match[bytes]) -> bytes:
        said = match[1]
        return bytes([int(said, 8)]) if len(said) == 3 else _PLAIN.get(said, said)

    return _ESCAPED.sub(plain, text)


def _mode(letters: bytes) -> int:
    mode = 0
    for at, letter in enumerate(letters.decode()):
        if letter in "rwxst":
            mode |= 0o400 >> at
        if letter in "sStT":
            mode |= 0o4000 >> at // 3
    return mode


def _nanoseconds(text: str) -> int | None:
    """What `--full-time` prints; None for times that no calendar holds."""
    date, _, fraction = text.partition(".")
    try:
        moment = datetime.strptime(date, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    seconds = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    nanoseconds = int(fraction.ljust(9, "0"))
    if not seconds and nanoseconds:
        return None  # it prints the same half a second before and after
    return seconds * 10**9 + (nanoseconds if seconds >= 0 else -nanoseconds)


TARFILE: Final[Oracle] = ByChild("tarfile", "tests.differential.tarfile_child")
LIBARCHIVE: Final[Oracle] = ByChild("libarchive", "tests.differential.libarchive_child")
GNU_TAR: Final[Oracle] = GnuTar()
ORACLES: Final = (TARFILE, LIBARCHIVE, GNU_TAR)
