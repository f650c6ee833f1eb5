"""A blob host beside the registry: serves its content under signed URLs that expire, and wants no Authorization."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from testregistry import faults
from testregistry.answer import Answer
from testregistry.app import TestRegistry
from testregistry.auth import Clock
from testregistry.body import BytesBody
from testregistry.call import Call
from testregistry.fault import Fault, Faults, compose
from testregistry.journal import Journal
from testregistry.listener import listening
from testregistry.service import Service
from testregistry.serving import serve_content
from testregistry.wire import Sleep

_PATH = re.compile(r"/blobs/([a-z0-9]+:[a-f0-9]+)")


class Cdn:
    """A blob host; `url_for` signs. Its requests are in its own journal, with kind "other" and their digest."""

    def __init__(self, registry: TestRegistry, lifetime: float, clock: Clock, sleep: Sleep) -> None:
        self.url = ""
        self.host = ""
        self.faults = Faults()
        self.service = Service(self._answer, sleep, lambda target: None)
        self._registry = registry
        self._lifetime = lifetime
        self._clock = clock
        self._key = secrets.token_bytes(32)

    @property
    def journal(self) -> Journal:
        return self.service.journal

    def url_for(self, digest: str) -> str:
        """Return a signed URL for a blob, good until its lifetime is over or `expire` is called."""
        until = f"{self._clock() + self._lifetime:.3f}"
        return f"{self.url}/blobs/{digest}?until={until}&sig={self._signature(digest, until)}"

    def redirect(self, digest: str | None = None) -> Fault:
        """Return a fault that sends blob requests of the registry here, each time with a fresh URL."""
        return faults.redirect(
            digest, lambda request: self.url_for(request.digest or ""), kind="blob", method="GET", times=None
        )

    def expire(self) -> None:
        """Let every URL signed so far be refused with 403."""
        self._key = secrets.token_bytes(32)

    async def _answer(self, call: Call) -> Answer:
        match = _PATH.fullmatch(call.record.path)
        call.record.digest = match.group(1) if match else None
        return await compose(self._serve, self.faults.claim(call.record, before_auth=False), self._registry)(call)

    async def _serve(self, call: Call) -> Answer:
        digest, until = call.record.digest or "", call.query.get("until", "0")
        if "Authorization" in call.headers:
            # As object stores do: a signature in the query and a header beside it contradict each other.
            return _refuse(400, "InvalidArgument")
        if not hmac.compare_digest(call.query.get("sig", ""), self._signature(digest, until)):
            return _refuse(403, "SignatureDoesNotMatch")
        if float(until) <= self._clock():
            return _refuse(403, "AccessDenied")
        body = self._registry.storage.shelf.find(digest)
        if body is None:
            return _refuse(404, "NoSuchKey")
        answer = serve_content(body, digest, "application/octet-stream", call.headers, method=call.method)
        return answer.without("Docker-Content-Digest")

    def _signature(self, digest: str, until: str) -> str:
        return hmac.new(self._key, f"{digest} {until}".encode(), "sha256").hexdigest()


@asynccontextmanager
async def serve_cdn(
    registry: TestRegistry,
    *,
    lifetime: float = 3600.0,
    clock: Clock = time.monotonic,
    port: int = 0,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[Cdn]:
    """Run a blob host for the content of a registry; signed URLs live for `lifetime` seconds of `clock`."""
    cdn = Cdn(registry, lifetime, clock, sleep)
    async with listening(cdn.service.handle, host, port, tls) as address:
        cdn.host, cdn.url = address.host, address.url
        yield cdn


def _refuse(status: int, code: str) -> Answer:
    document = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'
    return Answer(status, (("Content-Type", "application/xml"),), BytesBody(document.encode()))
