"""Parallel: one large blob on its way here, in one stream or in pieces over several connections, whichever is faster.

It begins as one stream. Where the line is slower than the reader, the stream gets an end, and pieces behind it are
asked for at the same time; the reader gets them in order, so that what it has hashed and written is one prefix, and a
kill loses no more than a window. With one connection left to have, a stream goes on where the pieces end.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Self

import anyio
from anyio.abc import TaskGroup

from puller.model.descriptor import Descriptor
from puller.model.report import Origin
from puller.registry.download.ahead import Ahead
from puller.registry.download.body import Download
from puller.registry.download.pool import Pool
from puller.registry.download.width import RangePolicy, Width
from puller.registry.download.window import Window
from puller.registry.session import Session
from puller.stream.sink import Chunk


@asynccontextmanager
async def in_pieces(
    download: Download, session: Session, wanted: Descriptor, *, offset: int, pool: Pool
) -> AsyncIterator["Parallel"]:
    """A Body over an open `download` of `wanted` from `offset` on; leaving it ends all of its tasks.

    What the block raises comes out as it is, and not as a group.
    """
    failure: Exception | None = None
    window = Window(pool, wanted.size or 0)
    with session.shares.wide(), pool.user(), closing(window):
        async with anyio.create_task_group() as group:
            try:
                yield Parallel(download, session, wanted, window, offset=offset, policy=pool.policy, group=group)
            except Exception as error:
                failure = error
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Parallel:
    """A Body. `wanted` has a size."""

    def __init__(
        self,
        download: Download,
        session: Session,
        wanted: Descriptor,
        window: Window,
        *,
        offset: int,
        policy: RangePolicy,
        group: TaskGroup,
    ) -> None:
        self._download = download
        self._session = session
        self._wanted = wanted
        self._size = wanted.size or 0
        self._policy = policy
        self._group = group
        self._width = Width(policy)
        self._window = window
        self._ahead: Ahead | None = None
        self._streaming = True
        self._position = offset
        self._streamed = 0  # bytes
        self._waited = 0.0  # seconds

    @property
    def origin(self) -> Origin:
        """Who served it so far."""
        single, ahead = self._download.origin, self._ahead
        if ahead is None:
            return single
        return Origin(
            single.host,
            ahead.redirect or single.redirect,
            single.attempts + ahead.retries,
            tuple(sorted((*single.resumed_at, *ahead.resumed_at))),
            connections=ahead.most,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        self._window.reclaim()
        clock = self._session.world.clock
        asked = clock()
        chunk = await self._next()
        now = clock()
        if chunk is None:
            raise StopAsyncIteration
        self._position += len(chunk)
        self._waited += now - asked
        received = self._streamed + (self._ahead.received if self._ahead else 0)
        self._width.observe(now, received, self._waited, limit=self._session.shares.each(now))
        return chunk

    async def _next(self) -> Chunk | None:
        while True:
            if self._streaming:
                self._widen()
                chunk = await anext(self._download, None)
                if chunk is not None:
                    self._streamed += len(chunk)
                    return chunk
                self._stream(False)
            elif self._ahead is not None and (piece := self._window.first) is not None:
                self._ahead.launch()
                view = piece.take()
                if piece.is_taken:
                    self._window.pass_first()
                if view is not None:
                    return view
                await self._ahead.changed()
            elif self._position < self._size:
                await self._download.go_on_at(self._position)
                self._stream(True)
            else:
                return None

    def _stream(self, on: bool) -> None:
        self._streaming = on
        if not on:
            self._download.close()
        if self._ahead is not None:
            self._ahead.streams = int(on)

    def _widen(self) -> None:
        """Ask for pieces beside the stream, if it is time; or let the stream go on, if they have been given up."""
        download, shares = self._download, self._session.shares
        if download.stop is not None:
            if self._window.first is None and self._position != download.stop:
                download.stop = None
            elif self._ahead is not None:
                self._ahead.launch()
            return
        limit = min(self._width.wanted, shares.each(self._session.world.clock()))
        lead = download.lead if limit > 1 and self._size - self._position >= self._policy.least else None
        if lead is not None and shares.serves_ranges(lead.netloc):
            if self._ahead is None:
                self._ahead = Ahead(self._session, self._wanted, self._window, self._width, self._group, lead)
            else:
                self._ahead.follow(lead)
            stop = self._window.begin(self._position)
            self._ahead.launch()
            if self._window.first is not None:
                download.stop = stop
