"""Borrowed: the body of one blob that comes from local places, one after the other, and then from the registry."""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace

from anyio import to_thread

from puller.contracts.content import Body, Fetcher
from puller.contracts.lending import Lender, Window
from puller.errors import ContentCorrupt, LayerError, PullerError, StoreError
from puller.model.descriptor import Descriptor
from puller.model.diskerror import disk_error
from puller.model.report import Origin, Passed
from puller.stream.sink import Chunk

CHUNK = 1 << 20


class Borrowed:
    """A Body. `places` are asked before `source`; `stack` closes whatever was opened.

    `served` is filled with the places that gave any of its bytes; `useless` hears of those that have it and cannot give
    it. `passed` are who was not asked at all.
    """

    def __init__(
        self,
        source: Fetcher,
        wanted: Descriptor,
        offset: int,
        places: Sequence[Lender],
        stack: AsyncExitStack,
        *,
        served: set[Lender],
        passed: Sequence[Passed],
        useless: Callable[[Lender, Descriptor, PullerError], None],
    ) -> None:
        self._source = source
        self._wanted = wanted
        self._position = offset
        self._places = iter(places)
        self._stack = stack
        self._served = served
        self._passed = list(passed)
        self._useless = useless
        self._copied = 0
        self._broken_at: tuple[int, ...] = ()
        self._last = ""
        self._lent: tuple[Lender, Window] | None = None
        self._body: Body | None = None

    @property
    def origin(self) -> Origin:
        """Who served it so far: the last of them."""
        if self._body is None:
            return Origin(self._last, resumed_at=self._broken_at, passed=tuple(self._passed), copied=self._copied)
        origin = self._body.origin
        return replace(
            origin,
            resumed_at=self._broken_at + origin.resumed_at,
            passed=(*self._passed, *origin.passed),
            copied=self._copied,
        )

    async def open(self) -> None:
        """Find the next one that has it. Raises as a fetch from the source."""
        self._lent = None
        for place in self._places:
            try:
                window = await to_thread.run_sync(self._stack.enter_context, place.lent(self._wanted))
            except (StoreError, LayerError) as error:
                self._pass_over(place, error)
                continue
            if window is not None:
                self._lent, self._last = (place, window), place.name
                return
        self._body = await self._stack.enter_async_context(self._source.fetch(self._wanted, offset=self._position))

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        buffer = memoryview(bytearray(CHUNK))
        while self._lent is not None:
            place, window = self._lent
            try:
                while self._position < window.size:
                    length = await to_thread.run_sync(_read, window, self._position, buffer)
                    self._served.add(place)
                    self._position += length
                    self._copied += length
                    yield buffer[:length]
            except StoreError as error:
                self._pass_over(place, error)
                self._broken_at += (self._position,)
                await self.open()
            else:
                self._served.add(place)
                return
        assert self._body is not None
        async for chunk in self._body:
            yield chunk

    def _pass_over(self, place: Lender, error: PullerError) -> None:
        self._passed.append(Passed(place.name, error.what))
        self._useless(place, self._wanted, error)


def _read(window: Window, position: int, buffer: memoryview) -> int:
    """Fill `buffer` with what lies in `window` from `position` on; how many bytes that are. Raises StoreError."""
    wanted = min(len(buffer), window.size - position)
    with _as_store_error():
        length = os.preadv(window.fd, [buffer[:wanted]], window.start + position)
    if length == 0:
        raise ContentCorrupt("it has become shorter", wanted=window.size, got=position)
    return length


def read_small(place: Lender, wanted: Descriptor, *, limit: int) -> bytes | None:
    """The whole of a document; None where the place has none, or it is of more than `limit` bytes. Blocking.

    Raises StoreError, LayerError.
    """
    with place.lent(wanted) as window:
        if window is None or window.size > limit:
            return None
        with _as_store_error():
            return os.pread(window.fd, window.size, window.start)


@contextmanager
def _as_store_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(error, where=None) from error
