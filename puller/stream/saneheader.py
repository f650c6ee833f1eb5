"""One tar header block as the sane dialect reads it: v7, ustar, star and GNU (POSIX pax; GNU tar manual; star(5))."""

import re
from typing import Final

from puller.errors import InvalidArchive
from puller.stream.tarentry import BLOCK_DEVICE, CHARACTER_DEVICE, NO_RECORDS, Entry
from puller.stream.tarfield import (
    GNU_MAGIC,
    HEADER,
    INT64,
    POSIX_MAGIC,
    STAR_MAGIC,
    STAR_PREFIX,
    Remembered,
    base256,
    checksum_total,
    text,
    total_matches,
)

MAX_ID: Final = 2**32 - 2  # 2^32-1 is -1 to chown (THREATS E12)
# A number may stand behind spaces and ends with the field, or in spaces, or at a NUL; readers disagree about digits
# behind leading NULs.
_OCTAL: Final = re.compile(rb"[ \0]*| *([0-7]+) *(?:\0.*)?", re.DOTALL)
_BINARY: Final = (0x80, 0xFF)  # marks of a number above and below zero; other bytes of the kind only some readers take
_DEVICES: Final = (CHARACTER_DEVICE, BLOCK_DEVICE)
_GNU_TIMES: Final = (slice(345, 357), slice(357, 369))


def number(field: bytes) -> int:
    """A numeric field: octal, or base-256 with a sign as GNU, star and libarchive write it. Raises ValueError."""
    if field[0] & 0x80:
        if field[0] not in _BINARY:
            raise ValueError("no number to GNU tar")
        value = base256(field)
        if not -INT64 <= value < INT64:
            raise ValueError("number too large")
        return value
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise ValueError("no octal number")
    return int(match[1] or b"0", 8)


def natural(field: bytes) -> int:
    """A numeric field of anything but a time. Raises ValueError where it is negative."""
    value = number(field)
    if value < 0:
        raise ValueError("negative number")
    return value


class HeaderReader:
    """Reads header blocks; remembers fields that recur."""

    def __init__(self) -> None:
        self._numbers = Remembered(natural)
        self._times = Remembered(number)
        self._texts = Remembered(text)
        self._totals = Remembered(lambda field: checksum_total(field, number(field)))

    def parse(self, block: bytes, offset: int) -> Entry:
        """The header in `block`, which lies at `offset`. Raises InvalidArchive.

        `size` and `stored` are what the header says; what comes of it by its type and its extensions is for others.
        """
        name, mode, uid, gid, length, mtime, chksum, kind, link, magic, uname, gname, major, minor, prefix = (
            HEADER.unpack(block)
        )
        numbers, texts = self._numbers, self._texts
        try:
            if not total_matches(block, self._totals[chksum]):
                raise ValueError("wrong checksum")
            size = numbers[length]
            devmajor = devminor = 0
            name = name.partition(b"\0")[0]
            if magic == GNU_MAGIC or magic.startswith(POSIX_MAGIC):
                # Go and Python want numbers here for every type: to them the archive ends before a header without.
                devmajor, devminor = numbers[major], numbers[minor]
                if kind not in _DEVICES:
                    devmajor = devminor = 0
                if prefix := self._prefix(block, magic, prefix):
                    name = prefix + b"/" + name
                uname, gname = texts[uname], texts[gname]
            else:
                uname = gname = b""
            return Entry(
                name, texts[link], kind, numbers[mode], numbers[uid], numbers[gid], size, self._times[mtime] * 10**9,
                uname, gname, devmajor, devminor, NO_RECORDS, NO_RECORDS, offset, size,
            )  # fmt: skip
        except ValueError as error:
            raise InvalidArchive("invalid tar header", where=f"at byte {offset}", got=str(error)) from error

    def _prefix(self, block: bytes, magic: bytes, field: bytes) -> bytes:
        if magic != GNU_MAGIC:
            prefix = self._texts[field]
            if len(prefix) > STAR_PREFIX and block.endswith(STAR_MAGIC):
                raise ValueError("a prefix that star and others end differently")
            return prefix
        if not field[0]:
            return b""
        # GNU keeps atime and ctime here. Go before 1.8 wrote GNU's magic over a ustar prefix, and so did the Docker of
        # its day; like its successors, take for a prefix what cannot be two times.
        try:
            for times in _GNU_TIMES:
                number(block[times])
        except ValueError:
            prefix = text(field)
            return prefix if prefix.isascii() else b""
        return b""
