"""Ahead: the pieces of one blob that are under way, each asked for, judged and asked for again by itself.

A piece that cannot be had is no failure of the blob: it and those behind it are given up, and a single stream goes on
from there, which finds out for itself what is wrong. So nothing fails in pieces that would not have failed in one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio
from anyio.abc import TaskGroup

from puller.errors import ConnectionLost, ProtocolViolation, PullerError, RateLimited, RegistryError, Unavailable
from puller.model.descriptor import Descriptor
from puller.registry.answer import Answer
from puller.registry.download.body import PROGRESS, STALE_URLS, Lead
from puller.registry.download.resume import Useless, check_claims, judge_piece
from puller.registry.download.segment import Segment
from puller.registry.download.way import Way
from puller.registry.download.width import Width
from puller.registry.download.window import Window
from puller.registry.retry import Setback, Trial
from puller.registry.session import Session


class Ahead:
    """`streams`: connections that the reader has beside these. Tasks run in `group`, and none of them fails."""

    def __init__(
        self, session: Session, wanted: Descriptor, window: Window, width: Width, group: TaskGroup, lead: Lead
    ) -> None:
        self._session = session
        self._wanted = wanted
        self._window = window
        self._width = width
        self._group = group
        self._lead = lead
        self._way = Way(session, lead.location)
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._changed = anyio.Event()
        self.streams = 1
        self.most = 1  # connections at once, so far
        self.received = 0
        self.retries = 0
        self.redirect: str | None = None
        self.resumed_at: list[int] = []

    def follow(self, lead: Lead) -> None:
        """Ask as a stream has shown anew that it may be asked; no piece is under way."""
        self._lead = lead
        self._way = Way(self._session, lead.location)

    def launch(self) -> None:
        """Begin as many pieces as may be under way now."""
        limit = min(self._width.wanted, self._session.shares.each(self._session.world.clock()))
        while limit > 1 and self.streams + len(self._scopes) < limit and (segment := self._window.claim()):
            scope = self._scopes[segment.start] = anyio.CancelScope()
            self.most = max(self.most, self.streams + len(self._scopes))
            self._group.start_soon(self._bring, segment, scope)

    async def changed(self) -> None:
        """Until a piece has got more, or has been given up."""
        self._changed = anyio.Event()
        await self._changed.wait()

    async def _bring(self, segment: Segment, scope: anyio.CancelScope) -> None:
        trial = self._session.trial(self._lead.request.what)
        with scope, self._counted(segment, trial):
            try:
                await self._fill(segment, trial)
            except PullerError as error:
                self._give_up(segment, error)
        self.launch()

    @contextmanager
    def _counted(self, segment: Segment, trial: Trial) -> Iterator[None]:
        try:
            yield
        finally:
            del self._scopes[segment.start]
            self.retries += trial.attempts - 1
            self._changed.set()

    async def _fill(self, segment: Segment, trial: Trial) -> None:
        secured = stale = 0
        while True:
            setback = await self._once(segment)
            if segment.is_full:
                return
            if segment.filled - secured >= PROGRESS:
                secured, stale = segment.filled, 0
                trial.progressed()
            stale += setback.stale
            if stale > STALE_URLS:
                raise setback.error
            self._weigh(setback)
            await trial.after(setback)
            self.resumed_at.append(segment.start + segment.filled)

    async def _once(self, segment: Segment) -> Setback:
        """Ask for what is missing, and take what comes. Raises PullerError where no other attempt will help."""
        start = segment.start + segment.filled
        answer = await self._way.ask(replace(self._lead.request, start=start, end=segment.stop))
        if isinstance(answer, Setback):
            return answer
        try:
            self._accept(answer, start, segment.stop)
            await self._receive(answer, segment)
        except RegistryError as error:
            if not error.retryable:
                raise
            return Setback(error)
        finally:
            answer.close()
        return Setback(ConnectionLost("the body ended early", wanted=segment.size, got=segment.filled))

    async def _receive(self, answer: Answer, segment: Segment) -> None:
        reception = self._session.reception(answer.response, into=segment.room())
        try:
            while (chunk := await reception.next()) is not None:
                segment.add(chunk)
                self.received += len(chunk)
                self._changed.set()
        finally:
            reception.abandon()

    def _accept(self, answer: Answer, start: int, stop: int) -> None:
        """Raises PullerError for an answer of which nothing can be used."""
        check_claims(answer, self._wanted)
        verdict = judge_piece(answer, start=start, stop=stop, size=self._wanted.size or 0)
        if isinstance(verdict, Useless):
            self._session.shares.refused(self._lead.netloc)
            raise verdict.reason
        ours, theirs = self._lead.request.validator, answer.validator
        if ours is not None and theirs is not None and ours.origin == theirs.origin and ours != theirs:
            raise ProtocolViolation("a part of another version was sent", wanted=ours.etag, got=theirs.etag)
        self.redirect = answer.origin.netloc if answer.redirected else None

    def _weigh(self, setback: Setback) -> None:
        """More connections may be what is wrong."""
        now = self._session.world.clock()
        if isinstance(setback.error, RateLimited | Unavailable):
            self._width.stop()
            self._session.shares.throttled(now)
        elif not setback.stale:
            self._width.broken(now)

    def _give_up(self, segment: Segment, error: PullerError) -> None:
        self._width.stop()
        if self._session.trace is not None:
            self._session.trace.remark(f"going on in one stream: {error.what}", self._lead.request.what)
        for dropped in self._window.drop_from(segment):
            if dropped is not segment and dropped.start in self._scopes:
                self._scopes[dropped.start].cancel()
