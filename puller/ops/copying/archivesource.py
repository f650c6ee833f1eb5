"""ArchiveSource: an archive of images as a place to copy from."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import anyio
from anyio import to_thread

from puller.archive.content import Piece, pour
from puller.archive.failure import translated
from puller.archive.opened import Archive
from puller.archive.spool import CHUNK, Bounds, FileSink, nameless
from puller.errors import ContentCorrupt, ContentMissing, InvalidReference, LayerError, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.model.referrer import is_list_tag
from puller.model.report import Origin
from puller.ops.copying.archivecontent import Content, Name
from puller.ops.loading.blame import said_by_archive
from puller.ops.pulling.watch import stop_when_cancelled
from puller.stream.sink import Chunk

T = TypeVar("T")
Args = TypeVarTuple("Args")
_SHOWN = 10  # names in a message


class ArchiveSource:
    """An ImageSource over an open archive; `folder` is where a layer goes that must be unpacked to be read."""

    def __init__(self, place: str, archive: Archive, content: Content, folder: Path) -> None:
        self._place = place
        self._archive = archive
        self._content = content
        self._folder = folder
        self._lock = anyio.Lock()  # of `content`, which remembers what it has read

    @property
    def place(self) -> str:
        """`oci-archive:/file` or `docker-archive:/file`."""
        return self._place

    @property
    def names(self) -> Sequence[Name]:
        """The names in the archive, whole where they are."""
        return self._content.names

    async def tags(self) -> AsyncIterator[str]:
        """The tags of all names, each once, in the order of the archive."""
        for tag in dict.fromkeys(name.tag for name in self._content.names):
            if tag is not None:
                yield tag

    async def resolve(self, reference: Reference) -> Descriptor:
        """What `reference` means here: its digest; else its whole name; else its tag, of whatever repository; one that
        has neither tag nor digest means the only image there is.

        Raises ContentMissing, InvalidReference where it may mean several, and what is wrong with the archive.
        """
        if reference.digest is not None:
            found = await self._run(self._content.manifest, reference.digest)
            if found is None:
                raise ContentMissing("the archive does not hold this image", where=self._place, digest=reference.digest)
            return found
        return await self._run(self._content.image, self._named(reference))

    def _named(self, reference: Reference) -> int:
        names = self._content.names
        found = {name.image for name in names if name.reference == reference.tagged()}
        if not found and reference.tag is not None:
            found = {name.image for name in names if name.tag == reference.tag}
        elif not found:
            found = set(range(self._content.images)) - self._lists()
        if len(found) == 1:
            return found.pop()
        known = sorted({str(name.reference or name.tag) for name in names})
        there = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "") or "none with a name"
        if not found:
            raise ContentMissing("no image of the archive has this name", reference=reference, got=there)
        raise InvalidReference("the archive has several such images", reference=reference, got=there)

    def _lists(self) -> set[int]:
        """What has no other names than those of lists of referrers, and so is nothing that somebody means."""
        names = self._content.names
        others = {name.image for name in names if name.tag is None or not is_list_tag(name.tag)}
        return {name.image for name in names} - others

    async def holds(self, descriptor: Descriptor) -> bool:
        """Whether it lies here, of the right size."""
        piece = await self._run(self._content.piece, descriptor.digest)
        return piece is not None and descriptor.size in (None, piece.descriptor.size)

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """See ImageSource: those that the layout lists, and those under the fallback tag."""
        return await self._run(self._content.referrers, subject)

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator["ArchiveBody"]:
        """See Fetcher. Raises ContentMissing, and ContentCorrupt by size."""
        piece = await self._run(self._content.piece, wanted.digest)
        if piece is None:
            raise ContentMissing("the archive does not hold this blob", where=self._place, digest=wanted.digest)
        if wanted.size not in (None, piece.descriptor.size):
            raise ContentCorrupt(
                "the archive holds a blob of another size",
                where=self._place,
                wanted=wanted.size,
                got=piece.descriptor.size,
                digest=wanted.digest,
            )
        with ExitStack() as stack:
            if piece.content is not None:
                yield ArchiveBody(self._place, piece.content, -1, offset, len(piece.content))
                return
            assert piece.member is not None
            fd, start, size = self._archive.file.fd, piece.member.start, piece.member.size
            if piece.unpacked is not None:
                fd, start, size = await to_thread.run_sync(self._unpacked, stack, piece)
            yield ArchiveBody(self._place, b"", fd, start + offset, start + size)

    def _unpacked(self, stack: ExitStack, piece: Piece) -> tuple[int, int, int]:
        """A file with what a member unpacks to, that is as packed as no registry knows it."""
        fd = stack.enter_context(nameless(self._folder))
        with translated(self._folder):
            pour(self._archive, piece, FileSink(fd, Bounds()), offset=0, pulse=stop_when_cancelled)
            return fd, 0, os.fstat(fd).st_size

    async def _run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        async with self._lock:
            return await to_thread.run_sync(self._blamed, function, args)

    def _blamed(self, function: Callable[[*Args], T], args: tuple[*Args]) -> T:
        try:
            with said_by_archive():
                return function(*args)
        except (LayerError, VerificationError) as error:
            error.where = self._place if error.where is None else f"{self._place}: {error.where}"
            raise


class ArchiveBody:
    """Bytes in memory, or from `at` to `end` of the file `fd`. Iterate once."""

    def __init__(self, place: str, content: bytes, fd: int, at: int, end: int) -> None:
        self.origin = Origin(place)
        self._content = content
        self._fd = fd
        self._at = at
        self._end = end

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        if self._fd < 0:
            if self._at < self._end:
                yield memoryview(self._content)[self._at :]
            return
        buffer = memoryview(bytearray(min(CHUNK, max(0, self._end - self._at))))
        while self._at < self._end:
            length = await to_thread.run_sync(self._read, buffer)
            self._at += length
            yield buffer[:length]

    def _read(self, buffer: memoryview) -> int:
        with translated("the archive"):
            length = os.preadv(self._fd, [buffer[: self._end - self._at]], self._at)
        if not length:
            raise ContentCorrupt("the archive has become shorter while it was read", got=f"{self._at} bytes")
        return length
