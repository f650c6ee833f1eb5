"""SANE: the tar dialect for everything that acts on an archive. Where readers disagree, it refuses (THREATS E).

It reads v7, ustar, star, GNU and PAX archives, numbers in base 256, GNU long names (`L`, `K`) and PAX `x` headers. PAX
sizes rule what is read. Global headers (`g`) are ignored, as containerd and moby do, and refused where those who heed
them would see other members (E13).
Sparse files are Unsupported unless asked for; other types, known or not, are told as they are, to be refused by whoever
acts on them.

Theory of operation. Extension headers gather in an `_Extensions` until the header they belong to comes; only then are
name, type and size of the entry decided (E6, E7).
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from puller.errors import InvalidArchive, LimitExceeded, TruncatedArchive, Unsupported
from puller.stream.pax import SPARSE, Extension, parse_extension, parse_records
from puller.stream.saneheader import MAX_ID, HeaderReader
from puller.stream.sanesparse import SparseMap, checked, old_map, pax_map
from puller.stream.tar import Answer, Dialect, Reading, Wish
from puller.stream.tarentry import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    CONTIGUOUS,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    LONG_LINK,
    LONG_NAME,
    OLD_REGULAR,
    OLD_SPARSE,
    PAX_GLOBAL,
    PAX_HEADER,
    REGULAR,
    SYMLINK,
    Entry,
    TarListener,
)
from puller.stream.tarfield import BLOCK, GNU_MAGIC, ZERO_BLOCK, padding

MAX_META: Final = 1 << 20  # of one extension header
MAX_META_OF_ENTRY: Final = 4 << 20
MAX_CHAIN: Final = 8  # extension headers in front of one entry
MAX_NAME: Final = 4096  # PATH_MAX
MAX_COMPONENT: Final = 255  # NAME_MAX
MAX_ENTRIES: Final = 4_000_000

_TYPE: Final = 156
_MAGIC: Final = slice(257, 265)
_SOLARIS_HEADER: Final = b"X"
_NO_CONTENT: Final = frozenset((SYMLINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO))
_EXTENSIONS: Final = frozenset((PAX_HEADER, PAX_GLOBAL, LONG_NAME, LONG_LINK, _SOLARIS_HEADER))
_WHICH_MEMBERS: Final = frozenset((b"path", b"linkpath", b"size"))  # as against those that say how they are
_NEEDS_MORE: Final = frozenset(b"".join(_EXTENSIONS) + OLD_SPARSE)


@dataclass(frozen=True, slots=True)
class Sane:
    """The dialect; `sparse` lets GNU sparse files through, told as data and holes.

    A reading raises InvalidArchive, TruncatedArchive, LimitExceeded and Unsupported.
    """

    sparse: bool = False
    max_entries: int = MAX_ENTRIES

    def __call__(self, listener: TarListener, /) -> Reading:
        return _Reader(listener, self).reading()


SANE: Final[Dialect] = Sane()


class _Extensions:
    """What the extension headers in front of one entry said, each kind at most once: readers disagree which wins."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.pax: Extension | None = None
        self.long: dict[bytes, bytes] = {}
        self._count = 0
        self._size = 0

    def expect(self, size: int) -> None:
        self._count += 1
        self._size += size
        where = f"at byte {self.offset}"
        if self._count > MAX_CHAIN:
            raise LimitExceeded("too many extension headers for one entry", where=where, wanted=f"at most {MAX_CHAIN}")
        if size > MAX_META or self._size > MAX_META_OF_ENTRY:
            wanted = f"at most {MAX_META} bytes, {MAX_META_OF_ENTRY} for one entry"
            raise LimitExceeded("extension header too large", where=where, wanted=wanted, got=size)

    def add(self, kind: bytes, blocks: bytes, size: int) -> None:
        body = blocks[:size]
        if kind == PAX_GLOBAL:
            self._check_global(body)
            if self.pax is not None or self.long:
                raise self._refused("a global header between an entry and its extensions")
        elif kind == PAX_HEADER:
            if self.pax is not None:
                raise self._refused("two PAX headers for one entry")
            self.pax = parse_extension(body)
        else:
            if kind in self.long:
                raise self._refused("two long names for one entry")
            # With the padding: Python reads on to a NUL.
            name, _, rest = blocks.partition(b"\0")
            if rest.strip(b"\0") or not 0 < len(name) <= size:
                raise self._refused("a long name that is empty or goes on behind its end")
            self.long[kind] = name

    @property
    def pending(self) -> bool:
        return self.pax is not None or bool(self.long)

    def applied(self, entry: Entry) -> Entry:
        """`entry` under its true name, with the values of its PAX header."""
        fields: dict[str, object] = {"offset": self.offset}
        if self.pax is not None:
            fields |= self.pax.fields
            fields |= {"xattrs": self.pax.xattrs, "pax": self.pax.records}
            size = self.pax.fields.get("size")
            if size is not None:
                if entry.size not in (0, size):
                    raise self._refused("PAX and tar header disagree about the size")
                fields["stored"] = size
        for kind, name in (("name", LONG_NAME), ("linkname", LONG_LINK)):
            if name in self.long:
                if self.pax is not None and kind in self.pax.fields:
                    raise self._refused("PAX and GNU extensions disagree about a name")
                fields[kind] = self.long[name]
        return entry._replace(**fields)  # type: ignore[arg-type]  # names and types as parse_extension made them

    def _check_global(self, body: bytes) -> None:
        for key, _ in parse_records(body):
            if key in _WHICH_MEMBERS or key.startswith(SPARSE):
                raise self._refused(f"{key.decode(errors='replace')} in a global header")

    def _refused(self, what: str) -> InvalidArchive:
        return InvalidArchive("ambiguous tar header", where=f"at byte {self.offset}", got=what)


class _Reader:
    def __init__(self, listener: TarListener, dialect: Sane) -> None:
        self._listener = listener
        self._dialect = dialect
        self._headers = HeaderReader()
        self._at = 0  # where the next block lies
        self._entries = 0
        self._map: SparseMap | None = None

    def reading(self) -> Reading:
        listener = self._listener
        while True:
            start = self._at
            block = yield BLOCK
            assert isinstance(block, bytes)
            self._at += len(block)
            if len(block) == BLOCK and block != ZERO_BLOCK and block[_TYPE] not in _NEEDS_MORE:
                entry = _decided(self._headers.parse(block, start))
            elif (found := (yield from self._extended(block, start))) is not None:
                entry = found
            else:
                return
            self._entries += 1
            if self._entries > self._dialect.max_entries:
                raise LimitExceeded("too many entries", wanted=f"at most {self._dialect.max_entries}")
            listener.entry(entry)
            if self._map is not None:
                yield from self._sparse_content(self._map, entry.stored)
                self._map = None
            elif stored := entry.stored:
                came = yield (stored, padding(stored))
                assert isinstance(came, int)
                self._at += came
                if came < stored + padding(stored):
                    raise self._truncated("the content of an entry")
            listener.end()

    def _extended(self, block: bytes, start: int) -> Generator[Wish, Answer, Entry | None]:
        """The entry behind the extension header in `block`; None where the archive ends."""
        extensions = _Extensions(start)
        while len(block) == BLOCK and block != ZERO_BLOCK:
            entry = self._headers.parse(block, start)
            if entry.type == _SOLARIS_HEADER:
                raise Unsupported("Solaris extended header", where=f"at byte {start}")
            if entry.type not in _EXTENSIONS:
                return _decided((yield from self._maybe_sparse(extensions, extensions.applied(entry), block)))
            extensions.expect(entry.size)
            extensions.add(entry.type, (yield from self._read(entry.size + padding(entry.size))), entry.size)
            start = self._at
            block = yield from self._read(BLOCK, short=True)
        yield from self._end(block)
        if extensions.pending:
            raise TruncatedArchive("archive ends behind an extension header", where=f"at byte {start}")
        return None

    def _end(self, block: bytes) -> Generator[Wish, Answer, None]:
        """The end mark is two zero blocks. One is enough where the input ends with it, and none where it ends."""
        if len(block) == BLOCK:
            block = yield from self._read(BLOCK, short=True)
        if len(block) == BLOCK and block != ZERO_BLOCK:
            raise InvalidArchive("a header follows a zero block", where=f"at byte {self._at - BLOCK}")
        if 0 < len(block) < BLOCK:
            raise self._truncated("a header block")

    def _maybe_sparse(self, extensions: _Extensions, entry: Entry, block: bytes) -> Generator[Wish, Answer, Entry]:
        pax = extensions.pax
        by_records = pax is not None and bool(pax.sparse)
        if entry.type != OLD_SPARSE and not by_records:
            return entry
        if not self._dialect.sparse:
            raise Unsupported("sparse file", where=f"at byte {entry.offset}", got=repr(entry.name)[:200])
        where = f"at byte {entry.offset}"
        if entry.type == OLD_SPARSE:
            if by_records or block[_MAGIC] != GNU_MAGIC:
                raise InvalidArchive("ambiguous sparse file", where=where)
            found = yield from old_map(block)
        else:
            if entry.type not in (REGULAR, OLD_REGULAR, CONTIGUOUS):
                raise InvalidArchive("sparse file of a type without content", where=where)
            assert pax is not None
            found = yield from pax_map(pax, entry.stored)
        self._map = checked(found, entry.stored, entry.offset)
        return entry._replace(
            name=entry.name if found.name is None else found.name, type=REGULAR, size=found.size, sparse=True
        )

    def _sparse_content(self, sparse: SparseMap, stored: int) -> Reading:
        at = 0
        for start, size in sparse.fragments:
            if start > at:
                self._listener.hole(start - at)
            if size:
                yield from self._content(size, 0)
            at = start + size
        if sparse.size > at:
            self._listener.hole(sparse.size - at)
        if fill := padding(stored):
            yield from self._content(0, fill)

    def _content(self, size: int, fill: int) -> Reading:
        came = yield (size, fill)
        assert isinstance(came, int)
        self._at += came
        if came < size + fill:
            raise self._truncated("the content of an entry")

    def _read(self, size: int, fill: int = 0, *, short: bool = False) -> Generator[Wish, Answer, bytes]:
        """`size` bytes, and `fill` more that are dropped; fewer only where `short` allows it."""
        if not size:
            return b""
        piece = yield size + fill
        assert isinstance(piece, bytes)
        self._at += len(piece)
        if len(piece) < size + fill and not short:
            raise self._truncated("an extension header")
        return piece[:size]

    def _truncated(self, within: str) -> TruncatedArchive:
        return TruncatedArchive("archive ends too early", where=f"at byte {self._at}", got=f"the end within {within}")


def _decided(entry: Entry) -> Entry:
    """What a complete header means for name, type and content; refuses what it must not mean."""
    kind, name = entry.type, entry.name
    if len(name) > MAX_COMPONENT:
        _check_name(name, entry.offset)
    if entry.linkname and len(entry.linkname) > MAX_NAME:
        raise LimitExceeded("link name too long", where=f"at byte {entry.offset}", wanted=f"at most {MAX_NAME} bytes")
    if entry.uid > MAX_ID or entry.gid > MAX_ID:
        got = f"{entry.uid}:{entry.gid}"
        raise InvalidArchive("owner out of range", where=f"at byte {entry.offset}", wanted=f"0 to {MAX_ID}", got=got)
    if kind == REGULAR and not name.endswith(b"/"):
        return entry
    return _decided_type(entry)


def _decided_type(entry: Entry) -> Entry:
    kind, slash = entry.type, entry.name.endswith(b"/")
    if kind == OLD_REGULAR:
        kind = DIRECTORY if slash else REGULAR
        entry = entry._replace(type=kind)
    if slash and kind in (REGULAR, CONTIGUOUS):
        raise _ambiguous(entry, "a regular file whose name ends in a slash")
    if kind == HARD_LINK:
        # Old writers gave a link the size of its file; the content is not there (GNU tar, Go and Python agree). Behind
        # a PAX header it may be (POSIX), and libarchive takes it.
        if entry.pax and entry.size:
            raise _ambiguous(entry, "a hard link with content")
        return entry._replace(size=0, stored=0)
    if kind in _NO_CONTENT and entry.size:
        raise _ambiguous(entry, f"type {kind.decode()} with content")
    return entry


def _check_name(name: bytes, offset: int) -> None:
    if len(name) > MAX_NAME or any(len(component) > MAX_COMPONENT for component in name.split(b"/")):
        wanted = f"at most {MAX_NAME} bytes, {MAX_COMPONENT} in one component"
        raise LimitExceeded("name too long", where=f"at byte {offset}", wanted=wanted, got=f"{len(name)} bytes")


def _ambiguous(entry: Entry, what: str) -> InvalidArchive:
    return InvalidArchive("ambiguous tar header", where=f"at byte {entry.offset}", got=what)
