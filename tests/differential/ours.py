"""What we make of an archive: how the SANE dialect reads it, and which entries an applier would not take."""

import hashlib
from typing import Final

from puller.errors import PullerError
from puller.stream.sane import Sane
from puller.stream.sink import Chunk
from puller.stream.tar import TarSink
from puller.stream.tarentry import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    SYMLINK,
    Entry,
    TarListener,
)
from tests.differential.member import FILES, Member, Reading
from tests.stream.pieces import Cut, feed, whole

MOST_HOLES: Final = 1 << 24  # bytes: generated sparse files are small, a mutated one may claim anything
TOO_LARGE: Final = "too large a hole to be compared"
# What LayerApplier acts on; for all else it raises InvalidArchive.
_TAKEN: Final = FILES | {HARD_LINK, SYMLINK, CHARACTER_DEVICE, BLOCK_DEVICE, DIRECTORY, FIFO}


class _Members(TarListener):
    def __init__(self) -> None:
        self.members: list[Member] = []
        self.refusal = ""
        self.contents = hashlib.sha256()
        self._entry: Entry | None = None
        self._content = hashlib.sha256()

    def entry(self, entry: Entry, /) -> None:
        self.refusal = self.refusal or _refusal(entry)
        self._entry = entry
        self._content = hashlib.sha256()

    def data(self, chunk: Chunk, /) -> None:
        self._content.update(chunk)
        self.contents.update(chunk)

    def hole(self, size: int, /) -> None:
        if size > MOST_HOLES:
            self.refusal = TOO_LARGE
        else:
            self.data(bytes(size))

    def end(self) -> None:
        entry = self._entry
        assert entry is not None
        self.members.append(
            Member.of(
                entry.name, entry.type, entry.size, entry.mode, entry.uid, entry.gid, entry.mtime, entry.linkname,
                self._content.hexdigest(),
            )
        )  # fmt: skip


def read(archive: bytes, *, cut: Cut = whole, sparse: bool = True) -> Reading:
    """Our reading, refused where the reader does or, by the entry alone, the applier.

    Raises nothing that is a PullerError; any other exception is a defect of ours.
    """
    found = _Members()
    try:
        feed(TarSink(found, dialect=Sane(sparse=sparse)), archive, cut)
    except PullerError as error:
        return Reading(tuple(found.members), f"{type(error).__name__}: {error}")
    return Reading(tuple(found.members), found.refusal, found.contents.hexdigest())


def _refusal(entry: Entry) -> str:
    """What LayerApplier says to an entry by itself: UnsafePath or InvalidArchive."""
    if entry.type not in _TAKEN:
        return f"an entry of type {entry.type!r}"
    if entry.type in (HARD_LINK, SYMLINK) and not entry.linkname:
        return "a link to nothing"
    if entry.type != DIRECTORY and not entry.name.strip(b"./"):
        return "an entry that would replace the root, or leads above it"
    return ""
