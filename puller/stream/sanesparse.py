"""Maps of GNU sparse files for the sane dialect: which format, where the pieces lie, and that they make sense.

Source: GNU tar manual, "Storing Sparse Files" (old GNU format, PAX formats 0.0, 0.1 and 1.0).
"""

from collections.abc import Generator
from typing import Final, NamedTuple

from puller.errors import InvalidArchive, LimitExceeded, TruncatedArchive, Unsupported
from puller.stream import saneheader
from puller.stream.pax import Extension, number, numbers
from puller.stream.tar import Answer, Wish
from puller.stream.tarfield import BLOCK

MAX_FRAGMENTS: Final = 100_000  # THREATS E8

_REAL_SIZE: Final = slice(483, 495)
_MAP, _IS_EXTENDED, _NEXT_IS_EXTENDED = 386, 482, 504
_IN_HEADER, _IN_EXTENSION, _PAIR = 4, 21, 24


class SparseMap(NamedTuple):
    """Where the stored bytes belong: (offset, size) in order, inside a file of `size` bytes. `read` is the bytes that
    the map itself took from the entry's content."""

    fragments: list[tuple[int, int]]
    size: int
    read: int = 0
    name: bytes | None = None


def checked(sparse: SparseMap, stored: int, offset: int) -> SparseMap:
    """The map, if its pieces lie in order within the file and add up to the `stored` bytes. Raises InvalidArchive."""
    at = total = 0
    for start, size in sparse.fragments:
        if start < at or start + size > sparse.size:
            raise InvalidArchive("invalid sparse map", where=f"at byte {offset}", got=f"{size} bytes at {start}")
        at = start + size
        total += size
    if total != stored - sparse.read:
        got = f"{total} bytes in the map"
        raise InvalidArchive("invalid sparse map", where=f"at byte {offset}", wanted=stored - sparse.read, got=got)
    return sparse


def old_map(block: bytes) -> Generator[Wish, Answer, SparseMap]:
    """The map of an old GNU `S` header and its extension blocks, which are no part of its content."""
    try:
        size = saneheader.number(block[_REAL_SIZE])
        fragments = _pairs(block[_MAP:], _IN_HEADER)
        extended = block[_IS_EXTENDED]
        while extended:
            extension = yield BLOCK
            assert isinstance(extension, bytes)
            if len(extension) < BLOCK:
                raise TruncatedArchive("archive ends within a sparse map")
            fragments += _pairs(extension, _IN_EXTENSION)
            if len(fragments) > MAX_FRAGMENTS:
                raise _too_many(len(fragments))
            extended = extension[_NEXT_IS_EXTENDED]
    except ValueError as error:
        raise InvalidArchive("invalid sparse map", got=str(error)) from error
    return SparseMap(fragments, size)


def _pairs(area: bytes, most: int) -> list[tuple[int, int]]:
    fragments = []
    for at in range(0, most * _PAIR, _PAIR):
        if not area[at]:
            break
        fragments.append((saneheader.number(area[at : at + 12]), saneheader.number(area[at + 12 : at + 24])))
    if any(min(fragment) < 0 for fragment in fragments):
        raise ValueError("negative number")
    return fragments


def pax_map(extension: Extension, stored: int) -> Generator[Wish, Answer, SparseMap]:
    """The map that GNU.sparse records describe; that of format 1.0 is read from the content."""
    records = dict(extension.sparse)
    version = (records.get(b"GNU.sparse.major", b"0"), records.get(b"GNU.sparse.minor", b"0"))
    size_key = b"GNU.sparse.realsize" if b"GNU.sparse.realsize" in records else b"GNU.sparse.size"
    size = number(records.get(size_key, b""), size_key)
    name = records.get(b"GNU.sparse.name")
    if name is not None and (not name or b"\0" in name):
        raise InvalidArchive("PAX header: invalid GNU.sparse.name", got=repr(name[:80]))
    if version == (b"1", b"0"):
        leading = _LeadingMap(stored)
        fragments = yield from leading.read()
        return SparseMap(fragments, size, leading.taken, name)
    if version not in ((b"0", b"0"), (b"0", b"1")):
        raise Unsupported("sparse file of an unknown version", got=b".".join(version).decode(errors="replace"))
    return SparseMap(_map_in_records(extension, records), size, name=name)


def _map_in_records(extension: Extension, records: dict[bytes, bytes]) -> list[tuple[int, int]]:
    count = number(records.get(b"GNU.sparse.numblocks", b""), b"GNU.sparse.numblocks")
    joined = records.get(b"GNU.sparse.map")
    claimed = max(count, 0 if joined is None else (joined.count(b",") + 1) // 2)
    if claimed > MAX_FRAGMENTS:
        raise _too_many(claimed)
    if joined is not None:
        values = joined.split(b",") if joined else []
    else:
        pairs = [(key, value) for key, value in extension.sparse if key in _FORMAT_0_0]
        if [key for key, _ in pairs] != [*_FORMAT_0_0] * (len(pairs) // 2):
            raise InvalidArchive("invalid sparse map", got="offsets and sizes out of order")
        values = [value for _, value in pairs]
    if len(values) != 2 * count:
        raise InvalidArchive("invalid sparse map", wanted=f"{count} pieces", got=f"{len(values)} numbers")
    found = numbers(values, b"sparse map")
    return list(zip(found[::2], found[1::2], strict=True))


_FORMAT_0_0: Final = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")


class _LeadingMap:
    """The map of format 1.0: decimal lines at the head of the content, filled up to a whole block."""

    def __init__(self, stored: int) -> None:
        self._stored = stored
        self._buffer = b""
        self._at = 0
        self.taken = 0

    def read(self) -> Generator[Wish, Answer, list[tuple[int, int]]]:
        count = yield from self._number()
        if count > MAX_FRAGMENTS:
            raise _too_many(count)
        fragments = []
        for _ in range(count):
            offset = yield from self._number()
            size = yield from self._number()
            fragments.append((offset, size))
        return fragments

    def _number(self) -> Generator[Wish, Answer, int]:
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if self.taken + BLOCK > self._stored or len(self._buffer) - self._at > BLOCK:
                raise InvalidArchive("invalid sparse map", got="a map without end")
            block = yield BLOCK
            assert isinstance(block, bytes)
            if len(block) < BLOCK:
                raise TruncatedArchive("archive ends within a sparse map")
            self._buffer = self._buffer[self._at :] + block
            self._at = 0
            self.taken += BLOCK
        value = number(self._buffer[self._at : end], b"sparse map")
        self._at = end + 1
        return value


def _too_many(count: int) -> LimitExceeded:
    return LimitExceeded("sparse file in too many pieces", wanted=f"at most {MAX_FRAGMENTS}", got=count)
