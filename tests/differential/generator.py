"""Seeded archives: honest ones of every format, each with a few things changed that readers may take differently."""

import random
from collections.abc import Callable, Sequence
from typing import Final

from puller.stream.tarentry import LONG_LINK, LONG_NAME, PAX_GLOBAL, PAX_HEADER
from tests.stream.archive import (
    BLOCK,
    END,
    GNU,
    POSIX,
    V7,
    header,
    long_name,
    octal,
    padded,
    pax,
    record,
    sparse_header,
)

_TYPES: Final = (b"0", b"0", b"0", b"0", b"\0", b"5", b"5", b"2", b"1", b"6", b"3", b"4", b"7")
_ODD_TYPES: Final = (b"S", b"D", b"V", b"M", b"N", b"A", b"X", b"I", b"8", b"L", b"K", b"x", b"g", b" ")
_NAMES: Final = (
    b"file", b"a/b/c", b"dir/", b"./x", b"./", b"a//b", b"/abs", b"../up", b"a/../b", b"", b"/", b"n" * 99, b"n" * 100,
    b"with space", b"new\nline", b"back\\slash", b'qu"ote', "\u00e9\u4e2d".encode(), b"\xff\xfe", b"end\0behind",
    b"a -> b", b"tab\tbell\a",
)  # fmt: skip
_MAGICS: Final = (POSIX, POSIX, POSIX, GNU, GNU, V7)
_ODD_MAGICS: Final = (b"ustar\0\0\0", b"ustar\0  ", b"ustar00\0", b"USTAR\x0000", b"ustar   ", b"ustar\x0011", b"tar\0")
_KEYS: Final = (
    b"path", b"linkpath", b"uid", b"gid", b"uname", b"gname", b"size", b"mtime", b"atime", b"ctime", b"comment",
    b"SCHILY.xattr.user.a", b"LIBARCHIVE.xattr.user.b", b"VENDOR.x", b"charset", b"hdrcharset", b"SCHILY.devmajor",
    b"SCHILY.realsize", b"SCHILY.dev", b"SCHILY.ino", b"SCHILY.nlink", b"SCHILY.fflags", b"SCHILY.acl.access",
    b"SUN.holesdata", b"LIBARCHIVE.creationtime", b"LIBARCHIVE.symlinktype", b"GNU.sparse.major", b"GNU.sparse.size",
    b"GNU.volume.filename", b"RHT.security.selinux", b"Path", b"path ", b"MSWINDOWS.rawsd",
)  # fmt: skip
_VALUES: Final = (
    b"value", b"", b"0", b"5", b"12", b"-1", b"+5", b" 7", b"7 ", b"1.5", b"1.123456789", b"1.1234567899", b"-1.5",
    b"-0.5", b"1e3", b"0x10", b"1.", b".5", b"1,5", b"99999999999999999999", b"9223372036854775807", b"4294967295",
    b"a/b", b"dir/", b"nul\0here", b"new\nline", b"a=b", b"\xff\xfe", "\u00e9".encode(), b"BINARY", b"/abs", b"../up",
    b"1_000", b"\xd9\xa3",
)  # fmt: skip
_ENDS: Final = (END, END, END, END, bytes(BLOCK), b"", bytes(10 * BLOCK), bytes(100), END + b"behind the end")


def archive(seed: int, samples: Sequence[bytes] = ()) -> bytes:
    """One archive for each seed; some are `samples` with something changed."""
    return _Writer(random.Random(seed)).archive(samples)


class _Writer:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def archive(self, samples: Sequence[bytes]) -> bytes:
        chance = self._chance
        if samples and chance.random() < 0.25:
            data = chance.choice(samples)
        else:
            data = b"".join(self._member() for _ in range(chance.choice((1, 1, 2, 2, 3, 4)))) + chance.choice(_ENDS)
        changes: tuple[Callable[[bytes], bytes], ...] = (self._field, self._field, self._byte, self._cut, self._spliced)
        if chance.random() < 0.3:
            data = chance.choice(changes)(data)
        return data

    def _member(self) -> bytes:
        chance = self._chance
        kind = chance.choice(_ODD_TYPES if self._rarely() else _TYPES)
        if kind == b"S" and chance.random() < 0.5:
            return sparse_header([(0, 3), (1024, 5)], 2048, stored=8) + padded(b"abcdefgh")
        content = (
            bytes(chance.choices(b"abc\n\0", k=chance.choice((0, 1, 5, 511, 512, 513)))) if self._has(kind) else b""
        )
        name = chance.choice(_NAMES)
        if kind == b"5" and not self._rarely():
            name = name or b"dir/"
        link = chance.choice(_NAMES) if kind in b"12" or self._rarely() else b""
        before = self._extensions(len(content)) if chance.random() < 0.4 else b""
        size: int | bytes = self._number(len(content), 12)
        if self._rarely():
            size = chance.choice(
                (0, 1, len(content) + 512, b"\xff" * 12, b"\x80" + bytes(10) + b"\5", b"77777777777\0")
            )
        return before + self._header(name, kind, size, link) + padded(content)

    def _header(self, name: bytes, kind: bytes, size: int | bytes, link: bytes) -> bytes:
        chance = self._chance
        tail = b""
        if self._rarely():
            tail = chance.choice(
                (
                    b"prefix",
                    b"pre/fix/",
                    b"\xff" * 4,
                    b"p" * 155,
                    octal(1, 12) * 2,
                    b"x" * 131 + octal(3, 12) * 2 + b"\0" * 8 + b"tar\0",
                )
            )
        return header(
            name, kind=kind, size=size, link=link, magic=chance.choice(_ODD_MAGICS if self._rarely() else _MAGICS),
            mode=self._number(chance.choice((0o644, 0o4755, 0o7777, 0, 0o100644)), 8),
            uid=self._number(chance.choice((0, 1000, 0o7777777)), 8),
            gid=self._number(chance.choice((0, 1000, 0o7777777)), 8),
            mtime=self._number(chance.choice((0, 10, 1_600_000_000, 0o77777777777)), 12),
            major=self._number(chance.choice((0, 5)), 8), minor=self._number(chance.choice((0, 5)), 8), tail=tail,
            checksum=chance.choice((b"000000\0 ", b"        ", bytes(8))) if chance.random() < 0.02 else None,
        )  # fmt: skip

    def _number(self, value: int, width: int) -> bytes:
        """A numeric field as some writer would have it, or none."""
        if not self._rarely():
            return octal(value, width)
        digits = b"%o" % value
        binary = bytearray(value.to_bytes(width, "big"))
        binary[0] |= 0x80
        ways = (
            digits.rjust(width), digits.rjust(width - 1) + b"\0", digits + b" ", digits.rjust(width - 1) + b" ", digits,
            digits.rjust(width, b"0")[-width:], bytes(binary), b"", b" " * width, b"-1", b"-" + digits, b"+" + digits,
            b"\0" + digits, digits + b"\0" + b"7", digits + b" 7", digits + b"8", b"0x1f", b"\xff" * width,
            b"\xff" * (width - 1) + b"\xfe", b"\xc0" + bytes(width - 1), b"\t" + digits, b"abc", digits + b"\0\xff",
            b"\x80" + b"\xff" * (width - 1), b"0o7", b"1_7", digits + b"\xa0", b"\x1c" + digits, b"\xb2",
        )  # fmt: skip
        return self._chance.choice(ways)[:width]

    def _extensions(self, size: int) -> bytes:
        return b"".join(self._extension(size) for _ in range(self._chance.choice((1, 1, 1, 1, 2))))

    def _extension(self, size: int) -> bytes:
        chance = self._chance
        pick = chance.random()
        if pick < 0.25:
            return long_name(
                chance.choice((*_NAMES, b"l" * 300)), kind=chance.choice((LONG_NAME, LONG_NAME, LONG_LINK))
            )
        kind = PAX_GLOBAL if pick < 0.3 else PAX_HEADER
        records = [(b"size", b"%d" % size)] if self._rarely() else []
        for _ in range(chance.choice((1, 1, 2, 3))):
            key = chance.choice(_KEYS[:8] if chance.random() < 0.6 else _KEYS)
            records.append((key, self._value(key)))
        if not self._rarely():
            return pax(*records, kind=kind)
        body = b"".join(record(*pair) for pair in records)
        spoilt = chance.choice(
            (body[:-1], body + b"\n", body + b"\0", b"0" + body, b" " + body, body.replace(b" ", b"\t", 1),
             body + b"3 \n", body.replace(b"=", b" ", 1), body + bytes(5), b"+" + body,
             body + b"5 a=\n", body + b"99999999 a=b\n")
        )  # fmt: skip
        return header(b"PaxHeaders/x", kind=kind, size=len(spoilt)) + padded(spoilt)

    def _value(self, key: bytes) -> bytes:
        """One that suits the key, mostly."""
        suitable: dict[bytes, tuple[bytes, ...]] = {
            b"path": (b"a/b", b"dir/", b"p" * 200, "\u00e9".encode()), b"linkpath": (b"a/b", b"../up", b"q" * 200),
            b"uid": (b"0", b"5", b"3000000"), b"gid": (b"0", b"5", b"3000000"), b"size": (b"0", b"5", b"512"),
            b"mtime": (b"1.5", b"12", b"1600000000.123456789", b"-1.5", b"0.1"),
        }  # fmt: skip
        return self._chance.choice(_VALUES if self._rarely() else suitable.get(key, _VALUES))

    def _field(self, data: bytes) -> bytes:
        """One field of one header changed, its checksum made right again."""
        chance = self._chance
        starts = [at for at in range(0, len(data) - BLOCK + 1, BLOCK) if _is_header(data[at : at + BLOCK])]
        if not starts:
            return data
        at = chance.choice(starts)
        block = bytearray(data[at : at + BLOCK])
        start, width = chance.choice(
            ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155))
        )
        if width == 1:
            value = chance.choice((*_TYPES, *_ODD_TYPES))
        elif width in (8, 12) and start != 257:
            value = self._number(chance.choice((0, 5, 512)), width)
        else:
            value = chance.choice(_ODD_MAGICS if start == 257 else _NAMES)
        block[start : start + width] = value[:width].ljust(width, b"\0")
        return data[:at] + _summed(bytes(block)) + data[at + BLOCK :]

    def _byte(self, data: bytes) -> bytes:
        """One byte changed, and the checksum of its block made right where it is a header."""
        at = self._chance.randrange(len(data)) if data else 0
        data = data[:at] + bytes([self._chance.randrange(256)]) + data[at + 1 :]
        start = at - at % BLOCK
        if self._chance.random() < 0.8 and not 148 <= at - start < 156 and start + BLOCK <= len(data):
            return data[:start] + _summed(data[start : start + BLOCK]) + data[start + BLOCK :]
        return data

    def _cut(self, data: bytes) -> bytes:
        """Its end cut off, at a block as a rule."""
        at = self._chance.randrange(len(data) + 1)
        return data[: at if self._rarely() else at - at % BLOCK]

    def _spliced(self, data: bytes) -> bytes:
        """A block left out, doubled, or one of zeros put in."""
        at = self._chance.randrange(len(data) // BLOCK + 1) * BLOCK
        return self._chance.choice(
            (data[:at] + data[at + BLOCK :], data[: at + BLOCK] + data[at:], data[:at] + bytes(BLOCK) + data[at:])
        )

    def _rarely(self) -> bool:
        return self._chance.random() < 0.06

    def _has(self, kind: bytes) -> bool:
        return kind in (b"0", b"\0", b"7") or self._rarely()


def _is_header(block: bytes) -> bool:
    return block[148:156].strip(b" \0").isdigit() and any(block[:100])


def _summed(block: bytes) -> bytes:
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]
