"""News of a load or an import: what is told while it goes on, from worker threads too."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from anyio import from_thread

from puller.model.digest import Digest
from puller.ops.pulling.watch import stop_when_cancelled

EVERY: Final = 0.1  # seconds between two words of progress


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` bytes of `what` are read; `size` None: nobody knows how many there are."""

    what: str
    done: int
    size: int | None


@dataclass(frozen=True, slots=True)
class Registered:
    """A graph image is here; not `is_new`: it was before, or another process was faster."""

    image_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob is in the store; not `is_new`: it was before."""

    digest: Digest
    is_new: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence for people: a name has moved, something was left out."""

    text: str


@dataclass(frozen=True, slots=True)
class Landed:
    """An image that was loaded: `name` in full form, None where the archive gives none. `image_id` is bare for a graph
    image, the digest of its config for one of content.
    """

    name: str | None
    image_id: str
    kind: Literal["graph", "content"]


News: TypeAlias = Progress | Registered | Stored | Said | Landed
Hear: TypeAlias = Callable[[News], None]


def unheard(news: News, /) -> None:
    """A listener that does not listen."""


def renamed(name: str, old: str) -> Said:
    """In Docker's words, that `name`, as people type it, has moved from the image `old`."""
    short = old.rpartition(":")[2][:12]
    return Said(f"The image {name} already exists, renaming the old one with ID {short} to empty string")


class Teller:
    """Tells progress of one thing out of a worker thread, and raises there the cancellation of its task."""

    def __init__(self, hear: Hear, what: str, size: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._hear = hear
        self._what = what
        self._size = size
        self._clock = clock
        self._silent_until = 0.0

    def __call__(self, done: int) -> None:
        stop_when_cancelled()
        now = self._clock()
        if now >= self._silent_until:
            self._silent_until = now + EVERY
            from_thread.run_sync(self._hear, Progress(self._what, done, self._size))
