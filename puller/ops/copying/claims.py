"""LocalClaims: the claims of one process. A digest is fetched once, whoever needs it; where it arrived is remembered.

Memory is bounded: documents that are lent take 64 MiB at most, and the places of a million digests about 200 MB; beyond
that the oldest are forgotten, which costs a request each where they are needed again.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from puller.contracts.content import Body, Fetcher
from puller.contracts.images import Held, ImageSource
from puller.errors import PullerError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.report import Origin
from puller.stream.sink import Chunk

MAX_LENT = 64 << 20  # bytes
MAX_KNOWN = 1_000_000  # digests
MAX_PLACES = 100  # of one digest, the latest: a base of ten thousand repositories must not be looked for in all of them
_HERE = ("oci:", "store:")  # what is read again without a network
_FILES = ("oci-archive:", "docker-archive:")  # not to be read before they are whole


class Sources(Protocol):
    """Opens places to read from; the same object for the same place."""

    async def source(self, place: str) -> ImageSource:
        """A place to bring images from. Raises any PullerError."""
        ...


class LocalClaims:
    """Claims of one process and event loop. `places` open what has arrived somewhere, to read it there again; `noted`
    hears of each digest where it arrives first.
    """

    def __init__(
        self,
        places: Sources | None = None,
        *,
        lent: int = MAX_LENT,
        known: int = MAX_KNOWN,
        noted: Callable[[Digest, str], None] | None = None,
    ) -> None:
        self._sources = places
        self._max_lent = lent
        self._max_known = known
        self._turns: dict[Digest, tuple[anyio.Lock, int]] = {}
        self._places: OrderedDict[Digest, tuple[str, ...]] = OrderedDict()
        self._lent: OrderedDict[Digest, bytes] = OrderedDict()
        self._total = 0
        self._closed: set[str] = set()
        self._noted = noted

    def lender(self, registry: str, digest: Digest) -> str | None:
        """A repository of `registry` that has this digest for certain."""
        start = f"{registry}/"
        found = (place for place in self._places.get(digest, ()) if place.startswith(start))
        return next((place.removeprefix(start) for place in found), None)

    @asynccontextmanager
    async def claim(self, digest: Digest) -> AsyncIterator[Held]:
        """See Claims."""
        lock, users = self._turns.get(digest) or (anyio.Lock(fast_acquire=True), 0)
        self._turns[digest] = lock, users + 1
        try:
            async with lock:
                yield _LocalHeld(self, digest, await self._nearest(digest))
        finally:
            lock, users = self._turns[digest]
            if users == 1:
                del self._turns[digest]
            else:
                self._turns[digest] = lock, users - 1

    def is_at(self, digest: Digest, place: str) -> bool:
        """Whether it has arrived there."""
        return place in self._places.get(digest, ())

    def note(self, digest: Digest, place: str) -> None:
        """It has arrived there."""
        known = self._places.pop(digest, ())
        if not known and self._noted is not None:
            self._noted(digest, place)
        self._places[digest] = known if place in known else (*known[1 - MAX_PLACES :], place)
        if len(self._places) > self._max_known:
            self._places.popitem(last=False)

    def lend(self, digest: Digest, raw: bytes) -> None:
        """Have these bytes at hand for a while."""
        self._total += len(raw) - len(self._lent.pop(digest, b""))
        self._lent[digest] = raw
        while self._total > self._max_lent:
            self._total -= len(self._lent.popitem(last=False)[1])

    async def _nearest(self, digest: Digest) -> Fetcher | None:
        raw = self._lent.get(digest)
        if raw is not None:
            self._lent.move_to_end(digest)
            return _Lent(raw)
        places = self._places.get(digest)
        if places is None or self._sources is None:
            return None
        for place in sorted(places, key=lambda place: not place.startswith(_HERE)):
            if place not in self._closed and not place.startswith(_FILES):
                try:
                    return await self._sources.source(place)
                except PullerError:  # it can be written to and not read from: then from where it came the first time
                    self._closed.add(place)
        return None


class _LocalHeld:
    def __init__(self, claims: LocalClaims, digest: Digest, fetcher: Fetcher | None) -> None:
        self._claims = claims
        self._digest = digest
        self.fetcher = fetcher

    def is_at(self, place: str) -> bool:
        return self._claims.is_at(self._digest, place)

    def lend(self, raw: bytes) -> None:
        self._claims.lend(self._digest, raw)

    async def arrived(self, place: str) -> None:
        self._claims.note(self._digest, place)


class _Lent:
    """A Fetcher of one document in memory."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        yield _LentBody(self._raw, offset)


class _LentBody:
    origin = Origin("memory")

    def __init__(self, raw: bytes, offset: int) -> None:
        self._raw = raw
        self._offset = offset

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        if self._offset < len(self._raw):
            yield memoryview(self._raw)[self._offset :]
