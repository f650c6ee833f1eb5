"""Members: what an archive holds and where it lies, from one walk over its headers. Nothing is unpacked.

Theory of operation. A reading of the tar dialect wishes for headers and for content; the walk answers the former from
the file and steps over the latter, so an archive of many gigabytes costs a few reads for each member.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from puller.archive.failure import translated
from puller.errors import InvalidArchive, LimitExceeded, UnsafePath
from puller.model.text import printable
from puller.stream.sane import Sane
from puller.stream.sink import Pulse, unwatched
from puller.stream.tar import Answer
from puller.stream.tarentry import (
    CONTIGUOUS,
    DIRECTORY,
    HARD_LINK,
    OLD_REGULAR,
    REGULAR,
    SYMLINK,
    Entry,
    TarListener,
)

MAX_MEMBERS: Final = 100_000  # an image of 127 layers has some 400

Type = Literal["file", "directory", "symlink", "hardlink", "other"]

_TYPES: Final[dict[bytes, Type]] = {
    REGULAR: "file", OLD_REGULAR: "file", CONTIGUOUS: "file",
    DIRECTORY: "directory", SYMLINK: "symlink", HARD_LINK: "hardlink",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its content is `size` bytes from `start` of the file on. `target` is where a link says it leads."""

    name: str
    type: Type
    start: int
    size: int
    target: str = ""


class Members:
    """The members of one archive by name, as `a/b`: without `./` before it or `/` behind it."""

    def __init__(self, by_name: Mapping[str, Member]) -> None:
        self._by_name = by_name

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        """Names in the order of the archive."""
        return iter(self._by_name)

    def folders(self) -> list[str]:
        """What lies at the top and holds something or is a directory, in order of names."""
        held = {name.partition("/")[0] for name, member in self._by_name.items() if _is_folder(name, member)}
        return sorted(held)

    def file(self, name: str) -> Member:
        """The regular file of that name, reached over one link at most.

        Links are resolved among the members alone, whatever lies on the disk (THREATS G1). Raises InvalidArchive where
        there is none, or something that is no file; UnsafePath for a link out of the archive.
        """
        found = self._by_name.get(name)
        if found is not None and found.type in ("symlink", "hardlink"):
            found = self._by_name.get(_followed(found))
            if found is not None and found.type in ("symlink", "hardlink"):
                raise InvalidArchive("a link to a link", where=printable(name), got=printable(found.name))
        if found is None:
            raise InvalidArchive("the archive lacks a file", where=printable(name))
        if found.type != "file":
            raise InvalidArchive("not a regular file", where=printable(name), got=found.type)
        return found


def _is_folder(name: str, member: Member) -> bool:
    return "/" in name or member.type == "directory"


def _followed(link: Member) -> str:
    """Where a link leads, as the name of a member."""
    if link.type == "hardlink":
        return _normal(link.target)
    if link.target.startswith("/"):
        raise UnsafePath("a link out of the archive", where=printable(link.name), got=printable(link.target))
    place = link.name.split("/")[:-1]
    for part in link.target.split("/"):
        if part == "..":
            if not place:
                raise UnsafePath("a link out of the archive", where=printable(link.name), got=printable(link.target))
            place.pop()
        elif part not in ("", "."):
            place.append(part)
    return "/".join(place)


def _normal(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise UnsafePath("a name that leads out of the archive", got=printable(name))
    return "/".join(parts)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def read_members(fd: int, *, pulse: Pulse = unwatched, most: int = MAX_MEMBERS) -> Members:
    """The members of the tar archive that is the file `fd`. `pulse` is called for each; what it raises ends the walk.

    Raises InvalidArchive for what is none, for one name twice (THREATS G5) and for names that lead out of it (as
    UnsafePath), TruncatedArchive, LimitExceeded, Unsupported.
    """
    with translated("the archive"):
        walk = _Walk(fd, os.fstat(fd).st_size, pulse)
        walk.run(most)
    if not walk.found:
        raise InvalidArchive("the archive is empty")
    return Members(walk.found)


class _Walk(TarListener):
    def __init__(self, fd: int, size: int, pulse: Pulse) -> None:
        self._fd = fd
        self._size = size
        self._pulse = pulse
        self._at = 0
        self.found: dict[str, Member] = {}

    def run(self, most: int) -> None:
        reading = Sane(max_entries=most)(self)
        answer: Answer | None = None
        while True:
            try:
                wish = reading.send(answer)  # type: ignore[arg-type]  # None is what begins a generator
            except StopIteration:
                return
            answer = self._header(wish) if isinstance(wish, int) else self._step(sum(wish))

    def _header(self, size: int) -> bytes:
        piece = os.pread(self._fd, size, self._at)
        self._at += len(piece)
        return piece

    def _step(self, size: int) -> int:
        came = min(size, max(0, self._size - self._at))
        self._at += came
        return came

    def entry(self, entry: Entry, /) -> None:
        self._pulse()
        name = _normal(_text(entry.name))
        if not name:
            return  # `./`, the folder that was packed
        member = Member(name, _TYPES.get(entry.type, "other"), self._at, entry.size, _text(entry.linkname))
        earlier = self.found.setdefault(name, member)
        if earlier is not member and not (earlier.type == member.type == "directory"):
            raise InvalidArchive(
                "the archive holds one name twice", where=f"at byte {entry.offset}", got=printable(name)
            )


def check_size(member: Member, limit: int) -> None:
    """Refuse to read a document of more than `limit` bytes into memory (THREATS G2). Raises LimitExceeded."""
    if member.size > limit:
        raise LimitExceeded(
            "document too large", where=printable(member.name), wanted=f"at most {limit} bytes", got=member.size
        )
