"""Items: what an archive is written of, one a member. Layers are streams of known size, so none is held in memory."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from puller.legacy.gotime import GoTime
from puller.model.digest import Digest
from puller.stream.sink import Sink

_LATEST: Final = 8**11 - 1  # seconds: what the field of a header holds

# Writes its content into a sink, and leaves `finish` to the caller.
Feed: TypeAlias = Callable[[Sink], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stream:
    """Content that lies elsewhere: `size` bytes, which must come to `digest` when they are fed."""

    size: int
    digest: Digest
    feed: Feed


@dataclass(frozen=True, slots=True)
class Directory:
    """`name` has no slash behind it; `mtime` is in seconds since 1970, here and below."""

    name: str
    mtime: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """A regular file."""

    name: str
    content: bytes | Stream
    mtime: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link to `target`."""

    name: str
    target: str
    mtime: int = 0


Item: TypeAlias = Directory | File | Link


def in_order(items: Iterable[Item]) -> Sequence[Item]:
    """The items as a walk over a tree of them comes by: by the bytes of their names, directories before content."""
    return sorted(items, key=lambda item: [part.encode() for part in item.name.split("/")])


def seconds(time: GoTime) -> int:
    """A moment as Docker's archives state it: whole seconds since 1970; 0 for what lies before, or after 2242."""
    # Howard Hinnant's days_from_civil: years begin in March, so that a leap day is the last of its year.
    year = time.year - (time.month <= 2)
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((time.month + 9) % 12) + 2) // 5 + time.day - 1
    days = era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
    found = days * 86400 + time.hour * 3600 + (time.minute - time.offset) * 60 + time.second
    return found if 0 <= found <= _LATEST else 0
