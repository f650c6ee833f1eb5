"""GO2015: tar as Go 1.5's archive/tar read it, which is what a tarsum is a sum of (LEGACY.md a.4).

Nothing here is an opinion about tar: it is what one reader did, bug for bug, with its error texts. Whatever unpacks
layers uses the sane dialect.

Raises InvalidArchive and TruncatedArchive whose `what` is the original's error text (`panic: …` where it crashed), and
LimitExceeded where it would have taken all memory or run for hours. Sparse files are told with their holes filled.

Theory of operation. `reading` is a caller's loop over Next and Read, `_next` is Next. A header behind an `x` block is
returned as it is, whatever its type. One behind an `L` or `K` block came from a nested Next: so the outermost name
wins, and where the nested call failed the original used its nil header and crashed.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from puller.errors import InvalidArchive, LimitExceeded, TruncatedArchive
from puller.stream.go2015number import header_number
from puller.stream.go2015pax import merged, parse_records
from puller.stream.go2015sparse import (
    INVALID,
    UNEXPECTED_EOF,
    LeadingMap,
    SparseFile,
    map_in_records,
    old_sparse,
    panic,
    pax_format,
    pax_size,
)
from puller.stream.sink import Pulse, unwatched
from puller.stream.tar import BETWEEN, Answer, Dialect, Reading, Wish
from puller.stream.tarentry import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    LONG_LINK,
    LONG_NAME,
    NO_RECORDS,
    OLD_SPARSE,
    PAX_HEADER,
    Entry,
    TarListener,
)
from puller.stream.tarfield import (
    BLOCK,
    GNU_MAGIC,
    HEADER,
    POSIX_MAGIC,
    STAR_MAGIC,
    STAR_PREFIX,
    ZERO_BLOCK,
    Remembered,
    checksum_total,
    padding,
    text,
    total_matches,
)

NIL_DEREFERENCE: Final = "runtime error: invalid memory address or nil pointer dereference"
MAX_META: Final = 4 << 20  # bytes of one x, L or K block; the original had no bound but memory
MAX_META_OF_ENTRY: Final = 64 << 20  # and of all in front of one entry, their header blocks counted (THREATS E9)
MAX_HOLES: Final = 8 << 30  # zero bytes written out for sparse files of one archive: each costs hashing
_ZEROS: Final = bytes(1 << 20)
_TYPE: Final = 156
_NEEDS_MORE: Final = frozenset(b"".join((PAX_HEADER, LONG_NAME, LONG_LINK, OLD_SPARSE)))
_DEVICES: Final = (CHARACTER_DEVICE, BLOCK_DEVICE)


@dataclass(frozen=True, slots=True)
class Go2015:
    """The dialect; `pulse` is called for each piece of a hole that is filled, 1 MiB or less."""

    pulse: Pulse = unwatched

    def __call__(self, listener: TarListener, /) -> Reading:
        return _Reader(listener, self.pulse).reading()


GO2015: Final[Dialect] = Go2015()


class _Reader:
    def __init__(self, listener: TarListener, pulse: Pulse) -> None:
        self._listener = listener
        self._pulse = pulse
        self._numbers = Remembered(header_number)
        self._texts = Remembered(text)
        self._totals = Remembered(lambda field: checksum_total(field, header_number(field)))
        self._sparse: SparseFile | None = None
        self._stored = 0  # content bytes in the archive, those of a sparse map already read taken off
        self._padding = 0
        self._meta = 0  # bytes of x, L and K blocks in front of the entry
        self._holes = 0

    def reading(self) -> Reading:
        listener = self._listener
        while True:
            yield BETWEEN
            block = yield BLOCK
            assert isinstance(block, bytes)
            # Most headers stand alone; they are spared the layers of generators below.
            entry = None
            if len(block) == BLOCK and block != ZERO_BLOCK and block[_TYPE] not in _NEEDS_MORE:
                entry = self._parsed(block)
            elif (entry := (yield from self._next(block))) is None:
                return
            listener.entry(entry)
            if self._sparse is not None:
                yield from self._expand(self._sparse)
                self._sparse = None
            elif stored := self._stored:
                came = yield (stored, self._padding)
                assert isinstance(came, int)
                if came < stored:
                    raise TruncatedArchive(UNEXPECTED_EOF)
            listener.end()

    def _next(self, block: bytes) -> Generator[Wish, Answer, Entry | None]:
        names: dict[bytes, bytes] = {}
        self._meta = 0
        try:
            while True:
                entry = yield from self._header(block)
                if entry is None:
                    break
                if entry.type == PAX_HEADER:
                    entry = yield from self._extended()
                    break
                if entry.type != LONG_NAME and entry.type != LONG_LINK:
                    break
                long_text = text((yield from self._body()))
                names.setdefault(entry.type, long_text)
                block = yield from self._block()
        except (InvalidArchive, TruncatedArchive) as error:
            if names:
                raise panic(NIL_DEREFERENCE) from error
            raise
        if names:
            if entry is None:
                raise panic(NIL_DEREFERENCE)
            entry = entry._replace(name=names.get(LONG_NAME, entry.name), linkname=names.get(LONG_LINK, entry.linkname))
        return entry

    def _block(self) -> Generator[Wish, Answer, bytes]:
        block = yield BLOCK
        assert isinstance(block, bytes)
        return block

    def _header(self, block: bytes) -> Generator[Wish, Answer, Entry | None]:
        """The header in `block`; None where it, or the end of the input, ends the archive."""
        if len(block) == BLOCK and block != ZERO_BLOCK:
            entry = self._parsed(block)
            if entry.type == OLD_SPARSE:
                self._sparse = yield from old_sparse(block)
                if self._sparse is None:
                    return None
                entry = entry._replace(size=self._sparse.size, sparse=True)
            return entry
        if len(block) == BLOCK:
            block = yield from self._block()
            if len(block) == BLOCK and block != ZERO_BLOCK:
                raise InvalidArchive(INVALID)
        if 0 < len(block) < BLOCK:
            raise TruncatedArchive(UNEXPECTED_EOF)
        return None

    def _parsed(self, block: bytes) -> Entry:
        name, mode, uid, gid, length, mtime, chksum, kind, link, magic, uname, gname, major, minor, prefix = (
            HEADER.unpack(block)
        )
        numbers, texts = self._numbers, self._texts
        try:
            if not total_matches(block, self._totals[chksum]):
                raise ValueError("wrong checksum")
            size = numbers[length]
            if size < 0:
                raise ValueError("negative size")
            devmajor = devminor = 0
            name = name.partition(b"\0")[0]
            if magic == GNU_MAGIC or magic.startswith(POSIX_MAGIC):
                if kind in _DEVICES:
                    devmajor, devminor = numbers[major], numbers[minor]
                if magic != GNU_MAGIC and block.endswith(STAR_MAGIC):
                    _ = numbers[block[476:488]], numbers[block[488:500]]  # atime and ctime must parse
                    prefix = prefix[:STAR_PREFIX]
                if prefix := texts[prefix]:
                    name = prefix + b"/" + name
                uname, gname = texts[uname], texts[gname]
            else:
                uname = gname = b""
            self._stored, self._padding = size, padding(size)
            return Entry(
                name, texts[link], kind, numbers[mode], numbers[uid], numbers[gid], size, numbers[mtime] * 10**9,
                uname, gname, devmajor, devminor, NO_RECORDS, NO_RECORDS, 0, size,
            )  # fmt: skip
        except ValueError as error:
            raise InvalidArchive(INVALID) from error

    def _body(self) -> Generator[Wish, Answer, bytes]:
        """The content of a meta header; its padding may be missing at the end of the input."""
        if self._stored > MAX_META:
            raise LimitExceeded("header block too large", wanted=f"at most {MAX_META} bytes", got=self._stored)
        self._meta += BLOCK + self._stored
        if self._meta > MAX_META_OF_ENTRY:
            wanted = f"at most {MAX_META_OF_ENTRY} bytes"
            raise LimitExceeded("too many header blocks for one entry", wanted=wanted, got=self._meta)
        if not self._stored:
            return b""
        body = yield self._stored + self._padding
        assert isinstance(body, bytes)
        if len(body) < self._stored:
            raise TruncatedArchive(UNEXPECTED_EOF)
        return body[: self._stored]

    def _extended(self) -> Generator[Wish, Answer, Entry | None]:
        """The header behind an x block, with its records merged in."""
        records = parse_records((yield from self._body()))
        entry = yield from self._header((yield from self._block()))
        if entry is None:
            return None
        entry = merged(entry, records)
        version = pax_format(records)
        if version is None:
            return entry
        size = pax_size(records)
        entry = entry._replace(
            name=records.get(b"GNU.sparse.name", entry.name), size=entry.size if size is None else size, sparse=True
        )
        if version == b"1.0":
            leading = LeadingMap(self._stored)
            fragments = yield from leading.read()
            if fragments is None:
                return None
            self._stored = leading.left
        else:
            fragments = map_in_records(records)
        if self._sparse is not None:
            raise panic("interface conversion: tar.numBytesReader is *tar.sparseFileReader, not *tar.regFileReader")
        self._sparse = SparseFile(fragments, entry.size)
        return entry

    def _expand(self, sparse: SparseFile) -> Reading:
        """The content with its holes filled, as sparseFileReader.Read gave it."""
        left, at, ended = self._stored, 0, False
        for fragment in sparse.fragments:
            if sparse.size < fragment.offset:
                raise TruncatedArchive(UNEXPECTED_EOF)
            if at < fragment.offset:
                self._fill(fragment.offset - at)
                at = fragment.offset
            wanted = fragment.size - (at - fragment.offset)
            if wanted < 0:
                raise panic(f"runtime error: slice bounds out of range [:{wanted}]")
            if taken := min(wanted, left):
                came = yield (taken, 0)
                if came != taken:
                    raise TruncatedArchive(UNEXPECTED_EOF)
                left -= taken
                at += taken
            if taken < wanted or not (wanted or left):
                # Nothing is stored any more, which the original read as the end of the file once that was reached.
                ended = at >= sparse.size
                if ended:
                    break
                if wanted:
                    raise InvalidArchive("the 2015 reader waits for ever for content that its sparse map promises")
        if not ended and at < sparse.size:
            self._fill(sparse.size - at)
        if left + self._padding:
            yield (0, left + self._padding)

    def _fill(self, size: int) -> None:
        self._holes += size
        if self._holes > MAX_HOLES:
            raise LimitExceeded("sparse files too large", wanted=f"at most {MAX_HOLES} bytes of holes", got=self._holes)
        for at in range(0, size, len(_ZEROS)):
            self._pulse()
            self._listener.data(_ZEROS[: size - at])
