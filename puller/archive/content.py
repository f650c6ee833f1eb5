"""Content of an archive: images named by the digests of what they are made of, proved before anything is stored."""

from dataclasses import dataclass, replace
from typing import Final

from puller.archive.members import Member
from puller.archive.opened import Archive
from puller.contracts.layers import Told
from puller.errors import DiffIDMismatch, DigestMismatch, SizeMismatch
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.stream.inflate import Compression, Inflate
from puller.stream.layer import MAX_UNPACKED, LayerReader
from puller.stream.sink import Chunk, Digester, Pulse, Sink, Tee, unwatched

NOTHING: Final = Facts()
# Docker reads these in archives; no registry knows them, so such a layer is kept as it unpacks.
OLD: Final = frozenset(("bzip2", "xz"))
LAYER_TYPES: Final[dict[Compression, str]] = {
    "none": mediatype.DOCKER_PLAIN_LAYER, "gzip": mediatype.DOCKER_LAYER, "zstd": mediatype.DOCKER_ZSTD_LAYER,
    "bzip2": mediatype.DOCKER_PLAIN_LAYER, "xz": mediatype.DOCKER_PLAIN_LAYER,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """One blob: `content` for a document, else the member that holds it. `unpacked`: what is kept is what the member
    unpacks to. `facts`: what reading it has proved.
    """

    descriptor: Descriptor
    content: bytes | None = None
    member: Member | None = None
    unpacked: Compression | None = None
    facts: Facts = NOTHING


@dataclass(frozen=True, slots=True)
class ContentImage:
    """An image, or an index of several: `root` is its manifest's descriptor, `image_id` its config's digest (an index
    has its own), `pieces` all its blobs, each before those that name it.

    `absent` lists, by index, the entries that the archive leaves out. `is_made`: the archive has no manifest, and one
    was made of what it has.
    """

    root: Descriptor
    image_id: Digest
    names: tuple[Reference, ...]
    pieces: tuple[Piece, ...]
    absent: tuple[tuple[Digest, tuple[Digest, ...]], ...] = ()
    is_made: bool = False


class Prover:
    """Reads members for what they prove. `told` hears how many bytes were read in all; what `pulse` raises ends it."""

    def __init__(self, archive: Archive, *, told: Told | None = None, pulse: Pulse = unwatched) -> None:
        self._archive = archive
        self._told = told
        self._pulse = pulse
        self._read = 0
        self._proved: dict[tuple[int, str], Piece] = {}  # by where the member lies

    def layer(self, member: Member, diff_id: Digest) -> Piece:
        """A layer of which only the diff ID is known. Raises DiffIDMismatch, LayerError, Unsupported."""
        piece = self.found(member, algorithm=diff_id.algorithm)
        check_diff_id(member, diff_id, piece.facts.diff_id)
        return piece

    def found(self, member: Member, *, algorithm: str = "sha256") -> Piece:
        """A layer of which nothing is known; `algorithm` is that of the diff ID it is found to have. Raises LayerError,
        Unsupported.
        """
        known = self._proved.get((member.start, algorithm))
        if known is not None:
            return known
        compression = self._archive.compression(member)
        digester = Digester()
        if compression == "none" and algorithm == digester.algorithm:  # then the one is the other
            self._pass(member, digester)
            facts = Facts(diff_id=digester.digest, unpacked_size=digester.size)
        elif compression in OLD:
            inner = Digester(algorithm)
            sink = Tee(digester, inner)
            self._pass(member, Inflate(sink, compression=compression, limit=MAX_UNPACKED, pulse=self._pulse))
            facts = Facts(diff_id=inner.digest, unpacked_size=inner.size)
        else:
            reader = LayerReader(promised=compression, tarsum=False, algorithm=algorithm, pulse=self._pulse)
            self._pass(member, Tee(digester, reader))
            facts = reader.facts
        descriptor = Descriptor(LAYER_TYPES[compression], digester.digest, digester.size)
        unpacked = compression if compression in OLD else None
        piece = Piece(descriptor, member=member, unpacked=unpacked, facts=replace(facts, verified=True))
        self._proved[member.start, algorithm] = piece
        return piece

    def blob(self, member: Member, wanted: Descriptor, diff_id: Digest | None) -> Piece:
        """A blob that is described, and of a layer of an image its diff ID. Raises VerificationError, LayerError."""
        if wanted.size not in (None, member.size):
            raise SizeMismatch("a blob of another size", where=member.name, wanted=wanted.size, got=member.size)
        digester = Digester(wanted.digest.algorithm)
        facts = Facts()
        if diff_id is None:
            self._pass(member, digester)
        else:
            promised = mediatype.compression_of(wanted.media_type)
            reader = LayerReader(promised=promised, tarsum=False, algorithm=diff_id.algorithm, pulse=self._pulse)
            self._pass(member, _Judged(digester, reader, wanted.digest, member.name))
            facts = reader.facts
            check_diff_id(member, diff_id, facts.diff_id)
        check_digest(member.name, wanted.digest, digester.digest)
        return Piece(wanted, member=member, facts=replace(facts, verified=True))

    def _pass(self, member: Member, sink: Sink) -> None:
        for chunk in self._archive.chunks(member):
            self._pulse()
            sink.write(chunk)
            self._read += len(chunk)
            if self._told is not None:
                self._told(self._read)
        sink.finish()


class _Judged(Sink):
    """Says of bytes that are both wrong and unreadable that they are wrong."""

    def __init__(self, digester: Digester, reader: LayerReader, wanted: Digest, where: str) -> None:
        self._digester = digester
        self._reader = reader
        self._wanted = wanted
        self._where = where
        self._failure: Exception | None = None

    def write(self, chunk: Chunk, /) -> None:
        self._digester.write(chunk)
        if self._failure is None:
            try:
                self._reader.write(chunk)
            except Exception as error:
                self._failure = error

    def finish(self) -> None:
        check_digest(self._where, self._wanted, self._digester.digest)
        if self._failure is not None:
            raise self._failure
        self._reader.finish()


def check_digest(where: str, wanted: Digest, got: Digest) -> None:
    """Raise DigestMismatch unless both are one."""
    if wanted != got:
        raise DigestMismatch("the archive holds other bytes under this digest", where=where, wanted=wanted, got=got)


def check_diff_id(member: Member, wanted: Digest, got: Digest | None) -> None:
    """Raise DiffIDMismatch unless both are one (THREATS C12, G6)."""
    if wanted != got:
        raise DiffIDMismatch(
            "the uncompressed layer is not the one the config names", where=member.name, wanted=wanted, got=got
        )


def pour(archive: Archive, piece: Piece, sink: Sink, *, offset: int, pulse: Pulse = unwatched) -> None:
    """Write the bytes of a piece from `offset` on into `sink`. Blocking. Raises as reading it does."""
    if piece.content is not None:
        sink.write(piece.content[offset:])
        return
    assert piece.member is not None
    if piece.unpacked is None:
        for chunk in archive.chunks(piece.member, offset):
            pulse()
            sink.write(chunk)
        return
    inflate = Inflate(_Rest(sink, offset), compression=piece.unpacked, limit=MAX_UNPACKED, pulse=pulse)
    for chunk in archive.chunks(piece.member):
        inflate.write(chunk)
    inflate.finish()


class _Rest(Sink):
    """Hands on what comes behind the first `skip` bytes."""

    def __init__(self, sink: Sink, skip: int) -> None:
        self._sink = sink
        self._skip = skip

    def write(self, chunk: Chunk, /) -> None:
        skipped = min(self._skip, len(chunk))
        self._skip -= skipped
        if skipped < len(chunk):
            self._sink.write(memoryview(chunk)[skipped:])

    def finish(self) -> None:
        pass
