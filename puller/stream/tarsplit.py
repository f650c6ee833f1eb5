"""tar-split: an archive taken apart into what its files' contents do not tell, and put together again (LEGACY.md d.1).

A line of JSON for each piece, in the order of the archive: *segments* hold bytes as they are (headers, padding, the end
mark, what trails it), *files* a name, a size and a checksum, and their content lies where the layer was unpacked.
Written byte for byte as tar-split 0.9.10 did for Docker 1.8 and 1.9, for archives that those could put together again.

Theory of operation. A content goes without a file line's size, and into segments, if the unpacked layer will have no
file to read it back from: sparse files, whiteouts, notes of aufs. So what was recorded can be put together.
"""

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

from fastcrc.crc64 import go_iso

from puller.errors import ContentCorrupt, InvalidArchive, PullerError
from puller.model.document import load_document, size_of
from puller.model.gostring import quote
from puller.model.text import printable
from puller.stream.sane import Sane
from puller.stream.sink import Chunk
from puller.stream.tar import TarSink
from puller.stream.tarentry import CONTIGUOUS, OLD_REGULAR, REGULAR, Entry, TarListener

MAX_ENTRIES: Final = 1 << 20  # a digest of each name stays in memory to the end: about 100 MB
MAX_SEGMENT: Final = 8 << 20  # bytes; longer ones are written as several
MAX_LINE: Final = 32 << 20  # bytes of one line that is read: the original had no bound for what trails an archive

Content = Callable[[bytes], Iterable[bytes]]

_MOST_IDLE: Final = 1000  # lines in a row that add nothing to the archive; writers have no two
_MOST_WAITING: Final = 1000  # pieces gathered for one chunk, so that whoever reads can stop soon (RELIABILITY R7)
_FILE: Final = 1
_SEGMENT: Final = 2
_CHUNK: Final = 1 << 20
_CHECKSUM: Final = 8  # bytes
_REGULAR: Final = frozenset((REGULAR, OLD_REGULAR, CONTIGUOUS))
_WHITEOUT: Final = b".wh."
_AUFS: Final = b".wh..wh."


class TarSplitRecorder(TarListener):
    """A Sink over an uncompressed layer that hands `take` its lines, each with its newline.

    Understands the archive as the sane dialect does, which unpacks it, and raises as that does; InvalidArchive, in the
    original's words, for a path that comes twice.
    """

    def __init__(self, take: Callable[[bytes], None], *, max_entries: int = MAX_ENTRIES) -> None:
        self._take = take
        self._parser = TarSink(self, dialect=Sane(sparse=True, max_entries=max_entries), raw=True)
        self._seen: set[bytes] = set()
        self._segment = bytearray()
        self._position = 0
        self._is_behind = False  # the archive, and in what trails it
        self._file: Entry | None = None
        self._checksum = 0
        self.size = 0
        """What the headers say of sizes, added up: the file `layersize`."""
        self.entries = 0
        """How many there are."""

    def write(self, chunk: Chunk, /) -> None:
        """Take the next bytes."""
        self._parser.write(chunk)

    def finish(self) -> None:
        """The layer ends here: the last line is written."""
        self._parser.finish()
        if self._segment and not self._is_behind:
            self._end_segment()
        self._end_segment()

    def entry(self, entry: Entry, /) -> None:
        parts = [part for part in entry.name.split(b"/") if part not in (b"", b".")]
        self._see(parts, entry)
        self.entries += 1
        self.size += entry.size
        if self._segment:
            self._end_segment()
        if entry.size and entry.type in _REGULAR and not entry.sparse and not _is_note(parts):
            self._file = entry
            self._checksum = 0
        else:
            self._line(_FILE, b"%bnull" % _named(entry.name, 0))

    def data(self, chunk: Chunk, /) -> None:
        if self._file is None:
            self.raw(chunk)
        else:
            self._checksum = go_iso(chunk, self._checksum)

    def end(self) -> None:
        if self._file is not None:
            checksum = b2a_base64(self._checksum.to_bytes(_CHECKSUM, "big"), newline=False)
            self._line(_FILE, b'%b"%b"' % (_named(self._file.name, self._file.size), checksum))
            self._file = None

    def raw(self, chunk: Chunk, /) -> None:
        if self._parser.ended and not self._is_behind:
            self._is_behind = True
            if self._segment:
                self._end_segment()
        self._segment += chunk
        if len(self._segment) >= MAX_SEGMENT:
            self._end_segment()

    def _see(self, parts: list[bytes], entry: Entry) -> None:
        path = blake2b(b"/".join(parts), digest_size=_CHECKSUM).digest()
        if path in self._seen:
            where = f"at byte {entry.offset}"
            raise InvalidArchive("duplicates of file paths not supported", where=where, got=repr(entry.name)[:200])
        self._seen.add(path)

    def _end_segment(self) -> None:
        self._line(_SEGMENT, b'"payload":"%b"' % b2a_base64(self._segment, newline=False))
        self._segment.clear()

    def _line(self, kind: int, said: bytes) -> None:
        self._take(b'{"type":%d,%b,"position":%d}\n' % (kind, said, self._position))
        self._position += 1


def _named(name: bytes, size: int) -> bytes:
    """The members of a file line, up to the value of its payload."""
    try:
        said = b'"name":%b,' % quote(name.decode()) if name else b""
    except UnicodeDecodeError:
        said = b'"name_raw":"%b",' % b2a_base64(name, newline=False)
    return b'%b%b"payload":' % (said, b'"size":%d,' % size if size else b"")


def _is_note(parts: list[bytes]) -> bool:
    """Whether no file comes of an entry of this name: it is the root, a whiteout, or a note of aufs to itself."""
    return not parts or parts[-1].startswith(_WHITEOUT) or parts[0].startswith(_AUFS)


def assemble(lines: Iterable[bytes], content: Content) -> Iterator[bytes]:
    """The archive again, in chunks of about 1 MiB, or less where its pieces are tiny. `content` gives that of a file by
    its name in the archive.

    Raises ContentCorrupt for lines that nobody wrote, for a file that is longer or shorter than it was, and, behind its
    last byte, for one of which the checksum is not right; and what `content` raises.
    """
    waiting: list[memoryview] = []
    size = 0
    for piece in _pieces(lines, content):
        view = memoryview(piece)
        for at in range(0, len(view), _CHUNK):
            part = view[at : at + _CHUNK]
            waiting.append(part)
            size += len(part)
            if size >= _CHUNK or len(waiting) >= _MOST_WAITING:
                yield b"".join(waiting)
                waiting.clear()
                size = 0
    if waiting:
        yield b"".join(waiting)


def _pieces(lines: Iterable[bytes], content: Content) -> Iterator[bytes]:
    kind = None
    idle = 0
    for position, line in enumerate(lines):
        try:
            kind, name, size, payload = _decoded(line, position)
        except (PullerError, ValueError) as error:
            got = printable(error.what if isinstance(error, PullerError) else str(error), limit=200)
            raise ContentCorrupt(
                "the record of an archive is damaged", where=f"line {position + 1}", got=got
            ) from error
        idle = 0 if size or payload else idle + 1
        if idle > _MOST_IDLE:
            raise ContentCorrupt("the record of an archive goes on and adds nothing", where=f"line {position + 1}")
        if kind == _SEGMENT:
            yield payload
        elif size:
            yield from _checked(content(name), name, size, payload)
    if kind != _SEGMENT:  # the last line always is one
        raise ContentCorrupt("the record of an archive ends too early")


def _decoded(line: bytes, position: int) -> tuple[int, bytes, int, bytes]:
    """Kind, name, size and payload of a line. Raises ValueError and InvalidManifest."""
    said = load_document(line, what="a line", limit=MAX_LINE)
    if size_of(said, "position", what="a line") != position:
        raise ValueError("a line in a wrong place")
    kind = said.get("type")
    if kind == _SEGMENT:
        return _SEGMENT, b"", 0, _bytes_of(said, "payload")
    if kind != _FILE or isinstance(kind, bool):
        raise ValueError("a line of no known type")
    size = size_of(said, "size", what="a line") if "size" in said else 0
    if not size:
        return _FILE, b"", 0, b""
    if ("name" in said) == ("name_raw" in said):
        raise ValueError("a file of no name, or of two")
    name = _bytes_of(said, "name_raw") if "name_raw" in said else _text_of(said, "name").encode()
    checksum = _bytes_of(said, "payload")
    if len(checksum) != _CHECKSUM:
        raise ValueError("no checksum of a file")
    return _FILE, name, size, checksum


def _text_of(said: dict[str, Any], key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str):
        raise ValueError(f"no text as {key}")
    return value


def _bytes_of(said: dict[str, Any], key: str) -> bytes:
    return a2b_base64(_text_of(said, key).encode(), strict_mode=True)


def _checked(chunks: Iterable[bytes], name: bytes, size: int, checksum: bytes) -> Iterator[bytes]:
    left, found = size, 0
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            break
        found = go_iso(chunk, found)
        yield chunk
    if left or found.to_bytes(_CHECKSUM, "big") != checksum:
        wanted = f"{size} bytes with {checksum.hex()}"
        got = "more" if left < 0 else f"{size - left} bytes with {found:016x}"
        shown = printable(name.decode(errors="backslashreplace"), limit=200)
        raise ContentCorrupt(f'file integrity checksum failed for "{shown}"', wanted=wanted, got=got)
