"""Codecs: how one gzip member, zstd frame, bzip2 or xz stream is taken apart. Members in a row, limits and sinks are
Inflate's.

gzip headers are read here and not by the libraries: ISA-L takes reserved flags for granted, and its header checksum
fails when the header arrives in pieces (isal 1.9).
"""

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Final, Protocol, cast

from puller.errors import InvalidCompression

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_isal: ModuleType | None
try:
    _isal = import_module("isal.igzip_lib")
except ImportError:  # no wheel for this machine: the standard library does the same at half the speed
    _isal = None

ZSTD_WINDOW_LOG: Final = 27  # 128 MiB, what zstd itself takes without --long
XZ_MEMORY: Final = 128 << 20  # `xz -9` needs 65 MiB to be read; more has to be asked for, and nobody does
MAX_GZIP_HEADER: Final = 1 << 17  # an extra field of 64 KiB, a name and a comment

_GZIP_MAGIC: Final = b"\x1f\x8b\x08"  # the third byte says deflate
_FIXED: Final = 10
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT, _RESERVED = 2, 4, 8, 16, 0xE0


class Decompressor(Protocol):
    """One member: bytes in, at most `max_length` bytes out. Ask with b"" while it does not need input."""

    @property
    def eof(self) -> bool:
        """The member is complete and its checksum right."""
        ...

    @property
    def needs_input(self) -> bool:
        """Nothing more can be had from what was given."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end of the member."""
        ...

    def decompress(self, data: bytes | memoryview, /, max_length: int) -> bytes:
        """Take `data`, give output."""
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """A compression format of members that may follow each other.

    `header` gives the length of the header that stands at the front of a buffer, None while it is not all there, and
    raises InvalidCompression; `new` takes apart what comes after it. `padded`: zeros may follow the last member.
    """

    name: str
    header: Callable[[bytes], int | None]
    new: Callable[[], Decompressor]
    errors: tuple[type[Exception], ...]
    padded: bool


def gzip_header(buffer: bytes) -> int | None:
    """The length in bytes of a gzip header (RFC 1952, 2.3); None: there is more to come. Its CRC is checked where it is
    there. Raises InvalidCompression.
    """
    if not _GZIP_MAGIC.startswith(buffer[:3]):
        raise InvalidCompression("invalid gzip header", wanted="1f 8b 08", got=buffer[:3].hex(" "))
    if len(buffer) < _FIXED:
        return None
    flags = buffer[3]
    if not flags:
        return _FIXED
    if flags & _RESERVED:
        raise InvalidCompression("invalid gzip header", where="reserved flags", got=f"{flags:#04x}")
    end = _optional_fields(buffer, flags)
    if end is None or end > len(buffer):
        if len(buffer) > MAX_GZIP_HEADER:
            raise InvalidCompression("gzip header too long", wanted=f"at most {MAX_GZIP_HEADER} bytes")
        return None
    if flags & _FHCRC and zlib.crc32(buffer[: end - 2]) & 0xFFFF != int.from_bytes(buffer[end - 2 : end], "little"):
        raise InvalidCompression("invalid gzip header", where="header checksum")
    return end


def _optional_fields(buffer: bytes, flags: int) -> int | None:
    end = _FIXED
    if flags & _FEXTRA:
        end += 2 + int.from_bytes(buffer[end : end + 2], "little")
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            end = buffer.find(b"\0", end) + 1
            if not end:
                return None
    return end + 2 if flags & _FHCRC else end


class ZlibMember:
    """The standard library in the shape of a Decompressor."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)
        # It insists on a header of its own, the shortest will do.
        self._zlib.decompress(_GZIP_MAGIC + bytes(6) + b"\xff")
        self._full = False  # more output may be waiting inside

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self._full

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes | memoryview, /, max_length: int) -> bytes:
        out = self._zlib.decompress(self._zlib.unconsumed_tail or data, max_length)
        self._full = len(out) == max_length and not self._zlib.eof
        return out


def _new_gzip() -> Decompressor:
    if _isal is None:
        return ZlibMember()
    return cast(Decompressor, _isal.IgzipDecompressor(flag=_isal.DECOMP_GZIP_NO_HDR_VER))


def _new_zstd() -> Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG})


def _new_xz() -> Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


GZIP: Final = Codec(
    "gzip",
    gzip_header,
    _new_gzip,
    (zlib.error,) if _isal is None else (_isal.IsalError, zlib.error),
    padded=True,
)
ZSTD: Final = Codec("zstd", lambda buffer: 0 if buffer else None, _new_zstd, (zstd.ZstdError,), padded=False)
BZIP2: Final = Codec("bzip2", lambda buffer: 0 if buffer else None, bz2.BZ2Decompressor, (OSError,), padded=False)
XZ: Final = Codec("xz", lambda buffer: 0 if buffer else None, _new_xz, (lzma.LZMAError,), padded=True)
