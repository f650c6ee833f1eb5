"""The other origin: a listener that keeps every request with all its headers, to show that no secret came along."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from testregistry.answer import Answer
from testregistry.body import BytesBody
from testregistry.call import Call
from testregistry.journal import Journal, Request
from testregistry.listener import listening
from testregistry.service import Service
from testregistry.wire import Sleep

DEFAULT = Answer(200, (("Content-Type", "text/plain"),), BytesBody(b"canary"))


class Canary:
    """A listener with a journal; `answer` may be set at any time, to an Answer or a function of the request."""

    def __init__(self, answer: Answer | Callable[[Request], Answer], sleep: Sleep) -> None:
        self.answer = answer
        self.url = ""
        self.host = ""
        self.service = Service(self._answer, sleep, lambda target: target.reference)

    @property
    def journal(self) -> Journal:
        return self.service.journal

    @property
    def requests(self) -> list[Request]:
        """Every request so far."""
        return self.journal.requests

    def header_names(self) -> set[str]:
        """Return the names of all headers that ever came, in lower case."""
        return {name.lower() for request in self.requests for name in request.headers}

    def saw(self, text: str) -> bool:
        """Tell whether this text came in any header value, path or query."""
        return any(
            text in part
            for request in self.requests
            for part in (request.path, request.query, *request.headers.values())
        )

    async def _answer(self, call: Call) -> Answer:
        return self.answer if isinstance(self.answer, Answer) else self.answer(call.record)


@asynccontextmanager
async def serve_canary(
    answer: Answer | Callable[[Request], Answer] = DEFAULT,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[Canary]:
    """Listen for the length of the block; every request is answered with `answer`."""
    canary = Canary(answer, sleep)
    async with listening(canary.service.handle, host, port, tls) as address:
        canary.host, canary.url = address.host, address.url
        yield canary
