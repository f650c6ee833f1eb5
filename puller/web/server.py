"""Server: a few pages for programs of the same machine or network, by GET and HEAD alone.

Whoever can reach it can read them: they hold no secret. Nobody can make it hold much: few connections, each for a short
time, small headers, no bodies.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from puller.errors import InvalidConfig

MOST = 32  # connections at a time
LONGEST = 30.0  # seconds that one may last, whatever it does
HEADER_BYTES = 4096
_LISTEN = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:\s]*):)?(?P<port>[0-9]{1,5})", re.ASCII)
_LOGGER = logging.getLogger(__name__)
# What strangers send that is no HTTP is theirs to know.
_QUIET = logging.Logger("unheard", logging.CRITICAL + 1)
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered."""

    text: str
    content_type: str
    status: int = 200


Pages: TypeAlias = Mapping[str, Callable[[], Page]]


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: a host or an address, and a port; 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`127.0.0.1:9090`, `[::1]:9090`, `:9090` and `9090`; the last two listen to this machine alone.

        Raises InvalidConfig.
        """
        match = _LISTEN.fullmatch(text)
        if match is None or int(match["port"]) > 65535:
            raise InvalidConfig("no address to listen on", wanted="as in 127.0.0.1:9090", got=text[:100])
        return cls((match["host"] or "127.0.0.1").strip("[]"), int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@asynccontextmanager
async def serving(listen: Listen, pages: Pages) -> AsyncIterator[Listen]:
    """Answer for `pages`, by path, until the block ends; gives the address that it got. Raises InvalidConfig."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return _answer(request, pages)

    server = _Bounded(
        answer,
        access_log=None,
        logger=_QUIET,
        tcp_keepalive=False,
        keepalive_timeout=LONGEST,
        lingering_time=0.0,
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
        max_headers=50,
    )
    runner = web.ServerRunner(server, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port)
        try:
            await site.start()
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InvalidConfig("cannot listen there", where=listen, got=reason) from error
        host, port = runner.addresses[0][:2]
        yield Listen(host, port)
    finally:
        await runner.cleanup()


def _answer(request: web.BaseRequest, pages: Pages) -> web.Response:
    page = pages.get(request.path)
    if request.method not in ("GET", "HEAD"):
        return _plain(405, "only GET and HEAD\n", {"Allow": "GET, HEAD"})
    if page is None:
        return _plain(404, "".join(f"{path}\n" for path in pages))
    try:
        shown = page()
    except Exception:
        _LOGGER.exception("the page %s failed", request.path)
        return _plain(500, "this page failed; the log says why\n")
    content_type = {"Content-Type": shown.content_type}
    return web.Response(body=shown.text.encode(), status=shown.status, headers=_HEADERS | content_type)


def _plain(status: int, text: str, more: Mapping[str, str] | None = None) -> web.Response:
    headers = _HEADERS | {"Content-Type": "text/plain; charset=utf-8"} | dict(more or {})
    answer = web.Response(body=text.encode(), status=status, headers=headers)
    if status == 405:
        answer.force_close()  # a body may follow, which nobody reads
    return answer


class _Bounded(web.Server):
    """Closes connections that are too many or last too long."""

    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self._ends: dict[RequestHandler, asyncio.TimerHandle] = {}

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._ends) >= MOST:
            transport.abort()
            return
        self._ends[handler] = asyncio.get_running_loop().call_later(LONGEST, transport.abort)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        end = self._ends.pop(handler, None)
        if end is not None:
            end.cancel()
        super().connection_lost(handler, exc)
