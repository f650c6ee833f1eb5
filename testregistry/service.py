"""What every HTTP listener here does with a request: write the journal, run the hooks, have it answered, send that."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web
from multidict import CIMultiDict

from testregistry.call import Call, Handler
from testregistry.errors import Refusal
from testregistry.journal import Journal, Request
from testregistry.target import Target
from testregistry.wire import Reply, Sleep

Hook: TypeAlias = Callable[[Request], Awaitable[None] | None]


class Service:
    """A handler with its journal and hooks; `digest_of` says which content a request is about."""

    def __init__(self, handler: Handler, sleep: Sleep, digest_of: Callable[[Target], str | None]) -> None:
        self.journal = Journal()
        self.on_request: list[Hook] = []
        self.on_answer: list[Hook] = []
        self._handler = handler
        self._sleep = sleep
        self._digest_of = digest_of

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        target = Target.of_path(request.rel_url.raw_path)
        record = _record(request, target)
        self.journal.open(record)
        await _run(self.on_request, record)
        record.digest = self._digest_of(target)
        call = Call(request.method, target, request.headers, request.query, request.content, record)
        try:
            answer = await self._handler(call)
        except Refusal as refusal:
            answer = refusal.answer()
        record.status = answer.status
        record.answer_headers = CIMultiDict(answer.headers)
        await _run(self.on_answer, record)
        return Reply(answer, record, self._sleep)


def _record(request: web.BaseRequest, target: Target) -> Request:
    line = request.transport
    peer = None if line is None else line.get_extra_info("peername")
    return Request(
        method=request.method,
        path=request.rel_url.raw_path,
        query=request.rel_url.raw_query_string,
        headers=request.headers,
        kind=target.kind,
        started=time.monotonic(),
        repository=target.repository,
        reference=target.reference,
        port=peer[1] if peer else 0,
        certificate=None if line is None else line.get_extra_info("peercert"),
        version=f"{request.version.major}.{request.version.minor}",
    )


async def _run(hooks: list[Hook], record: Request) -> None:
    for hook in list(hooks):
        outcome = hook(record)
        if inspect.isawaitable(outcome):
            await outcome
