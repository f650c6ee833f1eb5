"""Tally: keeps account of one copy. A push keeps its own, blob by blob, for its report."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from puller.contracts.content import Body, Fetcher, disowned
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Delivered, Report, Subject, Warned
from puller.model.push import Arrival, PushedBlob
from puller.model.report import Origin
from puller.model.sync import Carried
from puller.stream.sink import Chunk


class Tally(Protocol):
    """Hears what becomes of each blob and document."""

    def now(self) -> float:
        """Seconds, by its own clock."""
        ...

    def add(self, role: str, descriptor: Descriptor, arrival: tuple[Arrival, int], started: float) -> None:
        """It is there: how, and the bytes that were sent for it; begun at `started`."""
        ...

    def warn(self, text: str) -> None:
        """Done, but look. The same is said once."""
        ...


class CopyTally:
    """Counts what a copy comes to; what becomes of each blob goes on to `report`, as of `subject`."""

    def __init__(self, subject: Subject, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self.subject = subject
        self._report = report
        self._clock = clock
        self._started = clock()
        self._arrived = {"pushed": 0, "mounted": 0, "exists": 0}
        self._sent = 0
        self._warnings: dict[str, None] = {}
        self.fetched = 0
        self.near = 0

    def now(self) -> float:
        """See Tally."""
        return self._clock()

    def add(self, role: str, descriptor: Descriptor, arrival: tuple[Arrival, int], started: float) -> None:
        """See Tally."""
        outcome, sent = arrival
        self._arrived[outcome] += 1
        self._sent += sent
        kind, digest, size = descriptor.media_type, str(descriptor.digest), descriptor.size
        blob = PushedBlob(role, digest, kind, size, outcome, sent, round(self._clock() - started, 3))
        self._report(Delivered(self.subject, blob))

    def warn(self, text: str) -> None:
        """See Tally."""
        if text not in self._warnings:
            self._warnings[text] = None
            self._report(Warned(self.subject, text))

    def took(self, size: int) -> None:
        """So many bytes came from the source."""
        self.fetched += size

    def took_near(self, size: int) -> None:
        """So many bytes came from where the run had brought them before."""
        self.near += size

    def carried(self, root: Digest) -> Carried:
        """The sum."""
        arrived = self._arrived
        return Carried(
            str(root),
            self.fetched,
            self.near,
            self._sent,
            arrived["pushed"],
            arrived["mounted"],
            arrived["exists"],
            round(self._clock() - self._started, 3),
            tuple(self._warnings),
        )


class Metered:
    """A Fetcher that tells `took` of the bytes that it gives."""

    def __init__(self, fetcher: Fetcher, took: Callable[[int], None]) -> None:
        self._fetcher = fetcher
        self._took = took

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        """See Fetcher."""
        async with self._fetcher.fetch(wanted, offset=offset) as body:
            yield _MeteredBody(body, self._took)

    def disown(self, digest: Digest) -> bool:
        """See Alternatives: False where there are none."""
        return disowned(self._fetcher, digest)


class _MeteredBody:
    def __init__(self, body: Body, took: Callable[[int], None]) -> None:
        self._body = body
        self._took = took

    @property
    def origin(self) -> Origin:
        return self._body.origin

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        async for chunk in self._body:
            self._took(len(chunk))
            yield chunk


def unmetered(size: int, /) -> None:
    """Nobody counts."""
