"""Sparse files as Go 1.5 read them: the maps of GNU's four formats and how holes were filled (LEGACY.md a.4).

A map is used as it stands: fragments may overlap, run backwards or lie outside the file. What the original answered to
that, a panic or an endless loop included, is worked out here.
"""

from collections.abc import Generator, Mapping
from typing import Final, NamedTuple

from puller.errors import InvalidArchive, LimitExceeded, TruncatedArchive
from puller.stream.go2015number import header_number, parse_int
from puller.stream.tar import Answer, Wish
from puller.stream.tarfield import BLOCK

INVALID: Final = "archive/tar: invalid tar header"
UNEXPECTED_EOF: Final = "unexpected EOF"
MAX_FRAGMENTS: Final = 100_000  # of one map, THREATS E8; the original had no bound but memory

_REAL_SIZE: Final = slice(483, 495)
_MAP: Final = 386
_IS_EXTENDED: Final = 482
_NEXT_IS_EXTENDED: Final = 504
_PAIR: Final = 24
_IN_HEADER, _IN_EXTENSION = 4, 21
_KNOWN_FORMATS: Final = (b"0.0", b"0.1", b"1.0")


class Fragment(NamedTuple):
    """Stored bytes of a sparse file: where they belong and how many there are."""

    offset: int
    size: int


class SparseFile(NamedTuple):
    """What the map says; everything that no fragment covers is zero."""

    fragments: list[Fragment]
    size: int


def panic(text: str) -> InvalidArchive:
    """What stands for a crash of the original."""
    return InvalidArchive(f"panic: {text}")


def old_sparse(block: bytes) -> Generator[Wish, Answer, SparseFile | None]:
    """Read the map of an old GNU `S` header and its extension blocks; None where the input ends instead.

    Raises InvalidArchive, TruncatedArchive, and LimitExceeded as soon as there are too many fragments.
    """
    size = _number(block[_REAL_SIZE])
    fragments = _pairs(block[_MAP:], _IN_HEADER)
    extended = block[_IS_EXTENDED]
    while extended:
        extension = yield BLOCK
        assert isinstance(extension, bytes)
        if not extension:
            return None
        if len(extension) < BLOCK:
            raise TruncatedArchive(UNEXPECTED_EOF)
        fragments += _pairs(extension, _IN_EXTENSION)
        _check_count(len(fragments))
        extended = extension[_NEXT_IS_EXTENDED]
    return SparseFile(fragments, size)


def _pairs(area: bytes, most: int) -> list[Fragment]:
    fragments = []
    for at in range(0, most * _PAIR, _PAIR):
        fragment = Fragment(_number(area[at : at + 12]), _number(area[at + 12 : at + 24]))
        if fragment == (0, 0):
            break
        fragments.append(fragment)
    return fragments


def _number(field: bytes) -> int:
    try:
        return header_number(field)
    except ValueError as error:
        raise InvalidArchive(INVALID) from error


def pax_format(records: Mapping[bytes, bytes]) -> bytes | None:
    """Which of the PAX formats the records mean; None: no sparse file, or one of an unknown version."""
    major, minor = records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor")
    if major is not None and minor is not None:
        version = major + b"." + minor
        return version if version in _KNOWN_FORMATS else None
    if b"GNU.sparse.name" in records and b"GNU.sparse.map" in records:
        return b"0.1"
    return b"0.0" if b"GNU.sparse.size" in records else None


def pax_size(records: Mapping[bytes, bytes]) -> int | None:
    """The size of the file when its holes are filled, where the records tell."""
    size = records.get(b"GNU.sparse.size", records.get(b"GNU.sparse.realsize"))
    return None if size is None else _decimal(size)


def map_in_records(records: Mapping[bytes, bytes]) -> list[Fragment]:
    """The map of formats 0.0 and 0.1. Raises InvalidArchive, and LimitExceeded for too many fragments."""
    count = _decimal(records.get(b"GNU.sparse.numblocks", b""))
    joined = records.get(b"GNU.sparse.map", b"")
    _check_count(max(count, (joined.count(b",") + 1) // 2))
    numbers = joined.split(b",")
    if len(numbers) != 2 * count:
        raise InvalidArchive(INVALID)
    values = [_decimal(number) for number in numbers]
    return [Fragment(*pair) for pair in zip(values[::2], values[1::2], strict=True)]


class LeadingMap:
    """The map of format 1.0, which stands in the file's own first blocks, one number a line.

    `left` is what remains of the stored bytes behind it.
    """

    def __init__(self, stored: int) -> None:
        self.left = stored
        self._line = b""

    def read(self) -> Generator[Wish, Answer, list[Fragment] | None]:
        """The fragments; None where nothing is stored at all (the original took that for the end of the archive)."""
        if not (yield from self._more()):
            return None
        count = yield from self._decimal()
        if count is None:
            return None
        if count < 0:
            raise panic("runtime error: makeslice: cap out of range")
        _check_count(count)
        fragments = []
        for _ in range(count):
            offset = yield from self._decimal()
            size = None if offset is None else (yield from self._decimal())
            if offset is None or size is None:
                return None
            fragments.append(Fragment(offset, size))
        return fragments

    def _decimal(self) -> Generator[Wish, Answer, int | None]:
        if b"\n" not in self._line:
            if len(self._line) >= BLOCK:
                raise InvalidArchive(INVALID)
            before = len(self._line)
            if not (yield from self._more()):
                return None
            if b"\n" not in self._line[before:]:
                raise InvalidArchive(INVALID)
        number, _, self._line = self._line.partition(b"\n")
        return _decimal(number)

    def _more(self) -> Generator[Wish, Answer, bool]:
        if not self.left:
            return False
        block = yield min(BLOCK, self.left)
        assert isinstance(block, bytes)
        if len(block) < BLOCK:
            raise TruncatedArchive(UNEXPECTED_EOF)
        self.left -= BLOCK
        self._line += block
        return True


def _check_count(count: int) -> None:
    if count > MAX_FRAGMENTS:
        raise LimitExceeded("sparse file in too many pieces", wanted=f"at most {MAX_FRAGMENTS}", got=count)


def _decimal(value: bytes) -> int:
    try:
        return parse_int(value)
    except ValueError as error:
        raise InvalidArchive(INVALID) from error
