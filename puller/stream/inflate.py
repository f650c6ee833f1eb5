"""Inflate: a push decompressor for layers (gzip, zstd, or plain), bounded in memory, output and members.

bzip2 and xz, which only archives of old hold, are taken where they are promised and refused everywhere else. Decoding
happens in this process only: no program is run for any format (THREATS D7, D8).
"""

from typing import Final, Literal, TypeAlias

from puller.errors import InvalidCompression, LimitExceeded, Unsupported
from puller.stream.codec import BZIP2, GZIP, XZ, XZ_MEMORY, ZSTD, ZSTD_WINDOW_LOG, Codec, Decompressor
from puller.stream.sink import Chunk, Pulse, Sink, unwatched

Compression: TypeAlias = Literal["gzip", "zstd", "bzip2", "xz", "none"]

OUTPUT_CHUNK: Final = 1 << 19
RATIO_FROM: Final = 16 << 20  # a small layer of zeros may well shrink a thousandfold
MAX_EMPTY_MEMBERS: Final = 1024
# A member costs some 20 microseconds however short. Honest ones are long: pigz and bgzf cut every 64 KiB or more,
# eStargz twice for each file, whose header alone has 512 bytes.
SHORT_MEMBERS: Final = 10_000
MEMBER_AVERAGE: Final = 256  # bytes of output, from the 10,000th member on

_CODECS: Final[dict[str, Codec]] = {codec.name: codec for codec in (GZIP, ZSTD, BZIP2, XZ)}
SNIFFED: Final = 6  # bytes that tell a compression
_OLD: Final = frozenset(("bzip2", "xz"))  # Docker takes them in archives; no media type of a registry names them
_BZIP2, _XZ = b"BZh", b"\xfd7zXZ\0"
_ZSTD_MAGIC, _SKIPPABLE_MAGIC = b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18"
# What follows the end of a member is handed back as a copy. Small first windows keep thousands of short members from
# copying the rest of a large chunk each (THREATS D5); a long member soon gets large ones.
_FIRST_WINDOW, _LARGEST_WINDOW = 1 << 12, 1 << 17


def sniff(first: bytes) -> Compression:
    """The compression of a stream by its first six bytes."""
    if first.startswith(b"\x1f\x8b"):
        return "gzip"
    if first.startswith(_ZSTD_MAGIC) or (first[1:4] == _SKIPPABLE_MAGIC and first[0] >> 4 == 5):
        return "zstd"
    if first.startswith(_BZIP2):
        return "bzip2"
    return "xz" if first.startswith(_XZ) else "none"


def check_compression(promised: str | None, found: Compression) -> None:
    """Hold a layer to its media type (`mediatype.compression_of`; None promises nothing). Raises InvalidCompression.

    A gzip blob under a plain type and the reverse are two readings of one layer (THREATS D7). Raises Unsupported for
    bzip2 and xz that were not promised.
    """
    if found in _OLD and promised != found:
        raise Unsupported(f"{found} compression", wanted="gzip, zstd or no compression")
    if promised is not None and promised != found:
        raise InvalidCompression("layer is not compressed as its media type says", wanted=promised, got=found)


class Inflate:
    """Hands the uncompressed stream to `sink`, in chunks of at most 512 KiB (a plain stream as it comes).

    `what` it is, for errors. `compression` None: recognised by its first bytes; `promised` is then checked against it.
    `limit` is the most bytes of output; `max_ratio` the most bytes of output for one of input, from 16 MiB on (None:
    `limit` decides, for honest zeros reach all that the formats can do: 1,032 : 1 in gzip, 32,768 : 1 in zstd). `pulse`
    is called before each chunk of output; what it raises ends the pass. Raises InvalidCompression for broken, truncated
    or trailing data, LimitExceeded, Unsupported.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        what: str = "layer",
        compression: Compression | None = None,
        promised: str | None = None,
        limit: int | None = None,
        max_ratio: int | None = None,
        pulse: Pulse = unwatched,
    ) -> None:
        self._output = _Output(sink, what, limit, max_ratio, pulse)
        self._promised = compression if promised is None else promised
        self._first = b""
        self._decoder: _Members | _Output | None = None
        self.compression = compression
        if compression is not None:
            self._choose(compression)

    @property
    def size(self) -> int:
        """Bytes of output so far."""
        return self._output.size

    def write(self, chunk: Chunk, /) -> None:
        """Take the next compressed bytes."""
        self._output.received += len(chunk)
        if self._decoder is None:
            self._first += chunk
            if len(self._first) >= SNIFFED:
                self._recognise()
        else:
            self._decoder.write(chunk)

    def finish(self) -> None:
        """The compressed stream ends here; finishes the sink. Raises InvalidCompression where it is cut short."""
        if self._decoder is None:
            self._recognise()
        if isinstance(self._decoder, _Members):
            self._decoder.finish()
        self._output.finish()

    def _recognise(self) -> None:
        first, self._first = self._first, b""
        self._choose(sniff(first)).write(first)

    def _choose(self, compression: Compression) -> "_Members | _Output":
        check_compression(self._promised, compression)
        self.compression = compression
        codec = _CODECS.get(compression)
        self._decoder = self._output if codec is None else _Members(codec, self._output)
        return self._decoder


class _Output:
    """Counts and limits what goes to the sink."""

    def __init__(self, sink: Sink, what: str, limit: int | None, max_ratio: int | None, pulse: Pulse) -> None:
        self._sink = sink
        self._what = what
        self._pulse = pulse
        self._limit = limit
        self._max_ratio = max_ratio
        self.received = 0
        self.size = 0

    def write(self, chunk: Chunk, /) -> None:
        self._pulse()
        self.size += len(chunk)
        if self._limit is not None and self.size > self._limit:
            raise LimitExceeded(
                f"{self._what} too large when unpacked", wanted=f"at most {self._limit} bytes", got="more"
            )
        if self._max_ratio is not None and self.size > max(RATIO_FROM, self.received * self._max_ratio):
            got = f"{self.size} bytes from {self.received}"
            raise LimitExceeded(f"{self._what} expands too much", wanted=f"at most {self._max_ratio} : 1", got=got)
        self._sink.write(chunk)

    def finish(self) -> None:
        self._sink.finish()


class _Members:
    """Takes members (gzip), frames (zstd) or streams (bzip2, xz) apart, one behind the other."""

    def __init__(self, codec: Codec, output: _Output) -> None:
        self._codec = codec
        self._output = output
        self._decoder: Decompressor | None = None
        self._header = b""
        self._window = _FIRST_WINDOW
        self._members = 0
        self._empty_members = 0
        self._size_before = 0
        self._padding = False

    def write(self, chunk: Chunk, /) -> None:
        view = memoryview(chunk)
        while view:
            view = self._begin(view) if self._decoder is None else self._continue(view, self._decoder)

    def finish(self) -> None:
        if self._decoder is not None or self._header or not self._members:
            raise InvalidCompression(f"truncated {self._codec.name} stream", where=f"{self._output.received} bytes")

    def _begin(self, view: memoryview) -> memoryview:
        if self._members and self._codec.padded and (self._padding or (not self._header and not view[0])):
            self._padding = True
            if any(view.tobytes().strip(b"\0")):
                raise self._broken("something other than zeros follows the last member")
            return view[:0]
        before = len(self._header)
        window = view[:_FIRST_WINDOW]
        header = self._header + window
        try:
            length = self._codec.header(header)
        except InvalidCompression as error:
            if self._members:
                raise self._broken("something other than a member follows the last one") from error
            raise
        if length is None:
            self._header = header
            return view[len(window) :]
        self._header = b""
        self._decoder = self._codec.new()
        self._window = _FIRST_WINDOW
        self._size_before = self._output.size
        return view[length - before :]

    def _continue(self, view: memoryview, decoder: Decompressor) -> memoryview:
        window = view[: self._window]
        try:
            piece = decoder.decompress(window, OUTPUT_CHUNK)
            while piece:
                self._output.write(piece)
                piece = b"" if decoder.eof or decoder.needs_input else decoder.decompress(b"", OUTPUT_CHUNK)
        except self._codec.errors as error:
            raise self._failure(error) from error
        if decoder.eof:
            self._end_member()
            return view[len(window) - len(decoder.unused_data) :]
        self._window = min(2 * self._window, _LARGEST_WINDOW)
        return view[len(window) :]

    def _end_member(self) -> None:
        self._decoder = None
        self._members += 1
        if self._output.size == self._size_before:
            self._empty_members += 1
            if self._empty_members > MAX_EMPTY_MEMBERS:
                raise LimitExceeded("too many empty members", wanted=f"at most {MAX_EMPTY_MEMBERS}")
        if self._members > SHORT_MEMBERS and self._output.size < self._members * MEMBER_AVERAGE:
            got = f"{self._output.size} bytes in {self._members} members"
            raise LimitExceeded("members too short", wanted=f"{MEMBER_AVERAGE} bytes on average", got=got)

    def _failure(self, error: Exception) -> InvalidCompression | LimitExceeded:
        if "too much memory" in str(error):
            return LimitExceeded("zstd window too large", wanted=f"at most {1 << (ZSTD_WINDOW_LOG - 20)} MiB")
        if "Memory usage limit" in str(error):
            return LimitExceeded("xz dictionary too large", wanted=f"at most {XZ_MEMORY >> 20} MiB of memory")
        return self._broken(str(error))

    def _broken(self, reason: str) -> InvalidCompression:
        return InvalidCompression(
            f"broken {self._codec.name} stream", where=f"within {self._output.received} bytes", got=reason
        )
