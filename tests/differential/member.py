"""Member and Reading: what a reader of tar says an archive holds, in words that all readers share. No reader here."""

import json
import re
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from puller.stream.tarentry import CONTIGUOUS, HARD_LINK, OLD_REGULAR, OLD_SPARSE, REGULAR, SYMLINK

FILES: Final = frozenset((REGULAR, OLD_REGULAR, CONTIGUOUS, OLD_SPARSE))

_SLASHES: Final = re.compile(rb"/{2,}")


class Member(NamedTuple):
    """One entry: `type` a tar type with all kinds of files as `0`, `mtime` in nanoseconds, `content` its SHA-256.

    Names are without the slashes that some readers drop: at the end of all but files, and where two stand in a row. The
    root is `.`. A reader that cannot tell a field says None.
    """

    name: bytes
    type: bytes
    size: int | None
    mode: int
    uid: int
    gid: int
    mtime: int | None
    linkname: bytes
    content: str | None

    @classmethod
    def of(
        cls, name: bytes, kind: bytes, size: int | None, mode: int, uid: int, gid: int, mtime: int | None,
        linkname: bytes, content: str | None,
    ) -> Self:  # fmt: skip
        """In the common words: only files have a size and content, only links lead somewhere."""
        if kind in FILES:
            kind = REGULAR
        is_file, is_link = kind == REGULAR, kind in (HARD_LINK, SYMLINK)
        return cls(
            _plain_name(name, is_file=is_file), kind, size if is_file else 0, mode & 0o7777, uid, gid, mtime,
            linkname if is_link else b"", content if is_file else None,
        )  # fmt: skip

    def plain(self) -> list[object]:
        """As JSON can carry it."""
        return [value.decode("latin-1") if isinstance(value, bytes) else value for value in self]

    @classmethod
    def of_plain(cls, values: list[object]) -> Self:
        """The way back."""
        raw = {"name", "type", "linkname"}
        fields = zip(cls._fields, values, strict=True)
        return cls(*(str(value).encode("latin-1") if field in raw else value for field, value in fields))  # type: ignore[arg-type]  # what `plain` wrote


def _plain_name(name: bytes, *, is_file: bool) -> bytes:
    name = _SLASHES.sub(b"/", name)
    if not is_file:
        name = name if name == b"/" else name.rstrip(b"/")
    return b"." if name in (b"", b"/", b"./") else name


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reader made of one archive. `refusal` is what ended it before its end; empty where it was content.

    `contents`: SHA-256 of all files' content in a row, for a reader that tells no more.
    """

    members: tuple[Member, ...]
    refusal: str = ""
    contents: str | None = None

    def dumped(self) -> str:
        """One line of JSON."""
        return json.dumps([[member.plain() for member in self.members], self.refusal])

    @classmethod
    def loaded(cls, line: str) -> Self:
        """From such a line."""
        members, refusal = json.loads(line)
        return cls(tuple(Member.of_plain(values) for values in members), refusal)
