"""Relay: one body that goes on at the next host where the one before it has broken for good."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Self, TypeAlias

from puller.contracts.content import Body
from puller.errors import PullerError
from puller.model.report import Origin
from puller.registry.mirrors.inquiry import Inquiry, Turn
from puller.registry.mirrors.replica import Replica
from puller.registry.repository import Repository
from puller.stream.sink import Chunk

# Opens the body at a repository, from an offset on.
Begin: TypeAlias = Callable[[Repository, int], AbstractAsyncContextManager[Body]]


class Relay:
    """A Body. Opened before it is iterated, closed by whoever opened it, in one task.

    `served` is filled with who gave any of its bytes; `done` hears of the host that gave the last one. With `whole` all
    has to come from one host, so that a body that has begun is not gone on with at another.
    """

    def __init__(
        self,
        inquiry: Inquiry,
        begin: Begin,
        offset: int,
        *,
        served: set[Replica],
        done: Callable[[Replica], None],
        whole: bool = False,
    ) -> None:
        self._inquiry = inquiry
        self._begin = begin
        self._position = offset
        self._served = served
        self._done = done
        self._whole = whole
        self._turn: Turn | None = None
        self._context: AbstractAsyncContextManager[Body] | None = None
        self._body: Body | None = None
        self._chunks: AsyncIterator[Chunk] | None = None
        self._attempts = 0  # of those who have broken
        self._resumed_at: tuple[int, ...] = ()

    @property
    def origin(self) -> Origin:
        """Who served it so far: the last of them, and who was passed over before it."""
        assert self._body is not None
        origin = self._body.origin
        return replace(
            origin,
            attempts=self._attempts + origin.attempts,
            resumed_at=self._resumed_at + origin.resumed_at,
            passed=self._inquiry.passed,
        )

    async def open(self) -> None:
        """Wait for a host whose body can be used. Raises the error of the last one."""
        while True:
            turn = self._inquiry.next()
            try:
                context = self._begin(turn.repository, self._position)
                body = await context.__aenter__()
            except PullerError as error:
                self._inquiry.failed(turn, error)
                self._attempts += error.attempts or 1
                continue
            self._turn, self._context, self._body, self._chunks = turn, context, body, aiter(body)
            return

    async def close(self, error: BaseException | None = None) -> None:
        """Give up whatever is still on the line; `error` is what ended it."""
        context, self._context = self._context, None
        if context is not None:
            await context.__aexit__(type(error) if error else None, error, error.__traceback__ if error else None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while True:
            assert self._turn is not None
            assert self._body is not None
            assert self._chunks is not None
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                self._done(self._turn.replica)
                raise
            except PullerError as error:
                broken = self._body.origin
                await self.close(error)
                self._inquiry.failed(self._turn, error)
                if self._whole and self._turn.replica in self._served:
                    raise
                self._attempts += broken.attempts
                self._resumed_at += (*broken.resumed_at, self._position)
                await self.open()
                continue
            self._served.add(self._turn.replica)
            self._position += len(chunk)
            return chunk
