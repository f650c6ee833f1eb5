"""PlainEntries: the entries that archives are full of, summed without a hop through the dialect.

Theory of operation. Nine entries of ten are one ustar or GNU header in ASCII, right in every field, and content that
lies whole in the chunk at hand. For these the framing, the generator and the Entry cost several times what hashing
does; here they are one unpack, five look-ups of fields that recur from entry to entry, and one hash. Whatever is not
plain is left alone, before anything was changed: the dialect then reads it, takes it or says what is wrong with it. So
nothing is judged here, and no rule is told twice but for what a plain header means.
"""

import struct
from collections.abc import Callable
from typing import Any, Final
from zlib import adler32

from puller.stream.go2015number import header_number, unix_seconds
from puller.stream.sink import Chunk
from puller.stream.tarentry import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    LONG_LINK,
    LONG_NAME,
    OLD_SPARSE,
    PAX_HEADER,
)
from puller.stream.tarfield import (
    BLOCK,
    GNU_MAGIC,
    POSIX_MAGIC,
    STAR_MAGIC,
    Remembered,
    checksum_total,
    text,
)

# name, owner (mode uid gid), size, what ends it, mtime, chksum, tail (typeflag to devminor), prefix and what star adds
_HEADER: Final = struct.Struct("100s24s11sB12s8s189s167s")
_TAIL: Final = struct.Struct("1s100s8s32s32s8s8s")
_OWNER: Final = struct.Struct("8s8s8s")
_OTHER_TYPES: Final = (PAX_HEADER, LONG_NAME, LONG_LINK, OLD_SPARSE)
_LAST: Final = BLOCK - 1
_PREFIX: Final = 155
_NO_REST: Final = bytes(167)
_DEVICES: Final = (CHARACTER_DEVICE, BLOCK_DEVICE)


class PlainEntries:
    """Sums plain entries: `names`, as the headers have them, and `digests` grow by one each.

    `mode_limit` is the first mode that is not plain; `with_mtime`: the time is part of what is hashed. Memory is
    bounded by what is remembered of fields, some megabytes.
    """

    def __init__(
        self,
        names: list[bytes],
        digests: list[bytes],
        new_hash: Callable[[bytes], Any],
        *,
        mode_limit: int,
        with_mtime: bool,
    ) -> None:
        self._names = names
        self._digests = digests
        self._new_hash = new_hash
        self._mode_limit = mode_limit
        self._with_mtime = with_mtime
        self._owners = Remembered(self._owner)
        self._times = Remembered(self._time)
        self._totals = Remembered(_total)
        self._tails = Remembered(_tail)

    def skim(self, chunk: Chunk, at: int) -> int:
        """Sum the plain entries that follow one another in `chunk` from `at` on, where a header begins.

        Where the first other one begins.
        """
        # Written for speed: this runs once for every file of every layer, and hashing alone takes a microsecond.
        view = memoryview(chunk)
        whole = chunk if isinstance(chunk, bytes) else None  # whose slices are made in half the time
        unpack, new_hash = _HEADER.unpack, self._new_hash
        owners, times, totals, tails = self._owners, self._times, self._totals, self._tails
        add_name, add_digest = self._names.append, self._digests.append
        end = len(view)
        last_owner, owned, last_tail, tailed = b"", b"", b"", b""  # most entries have those of the one before
        try:
            while (content := at + BLOCK) <= end:
                block = bytes(view[at:content]) if whole is None else whole[at:content]
                name, owner, length, mark, mtime, chksum, tail, rest = unpack(block)
                if mark not in b"\0 " or not length.isdigit():
                    break
                size = int(length, 8)
                until = content + (size + _LAST & -BLOCK)
                # The low half of Adler-32 is 1 + the sum of bytes where these are ASCII.
                if until > end or not block.isascii() or adler32(block) & 0xFFFF != totals[chksum]:
                    break
                name = name.partition(b"\0")[0]
                if rest != _NO_REST:
                    name = _prefixed(name, rest)
                if owner != last_owner:
                    owned, last_owner = owners[owner], owner
                if tail != last_tail:
                    tailed, last_tail = tails[tail], tail
                summed = new_hash(b"name%b%bsize%d%b%b" % (name, owned, size, times[mtime], tailed))
                if size:
                    summed.update(view[content : content + size])
                add_name(name)
                add_digest(summed.digest())
                at = until
        except ValueError:
            pass
        return at

    # What a field means for the sum. Raises ValueError where the dialect has more to say of it.

    def _owner(self, field: bytes) -> bytes:
        mode, uid, gid = map(header_number, _OWNER.unpack(field))
        if mode >= self._mode_limit:
            raise ValueError("a mode that the original's writer refused")
        return b"mode%duid%dgid%d" % (mode, uid, gid)

    def _time(self, field: bytes) -> bytes:
        seconds = header_number(field)
        return b"mtime%d" % unix_seconds(seconds * 10**9) if self._with_mtime else b""


def _total(field: bytes) -> int:
    """What the low half of Adler-32 of the block must be."""
    digits = field[:6]
    number = int(digits, 8) if digits.isdigit() and field.endswith(b"\0 ") else header_number(field)
    return 1 + checksum_total(field, number)


def _tail(field: bytes) -> bytes:
    kind, link, magic, uname, gname, major, minor = _TAIL.unpack(field)
    if kind in _OTHER_TYPES or not (magic == GNU_MAGIC or magic.startswith(POSIX_MAGIC)):
        raise ValueError("a header that does not stand alone, or an old one")
    devices = (header_number(major), header_number(minor)) if kind in _DEVICES else (0, 0)
    return b"typeflag%blinkname%buname%bgname%bdevmajor%ddevminor%d" % (
        kind, text(link), text(uname), text(gname), *devices,
    )  # fmt: skip


def _prefixed(name: bytes, rest: bytes) -> bytes:
    if rest.endswith(STAR_MAGIC):
        raise ValueError("a header of star")
    prefix = text(rest[:_PREFIX])
    return prefix + b"/" + name if prefix else name
