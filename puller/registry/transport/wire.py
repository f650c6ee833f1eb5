"""Wire: one pool of connections and one request on it; the only module that speaks aiohttp's exceptions.

A pool has one TLS policy, one identity, one boundary of addresses and one proxy or none, and none is shared (THREATS
B20). No cookies, no netrc, no proxies of aiohttp's own finding, no redirects, no decompression: what a request carries
is what its caller wrote (B6, B17, B19).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from puller.contracts.access import Trust
from puller.errors import ConnectionLost, ProtocolViolation, TLSFailure, Unavailable, UnsafeRedirect
from puller.registry.means import Means
from puller.registry.transport.connector import connector
from puller.registry.transport.host import address_of
from puller.registry.transport.origin import Origin, redacted
from puller.registry.transport.outflow import PIECE, Outflow
from puller.registry.transport.proxy import Proxy
from puller.registry.transport.reach import Boundary, RefusedAddress
from puller.registry.transport.throttle import Throttle
from puller.registry.transport.tunnel import is_of_proxy, refusal, unreachable

if TYPE_CHECKING:
    from puller.registry.transport.trace import Ask

MAX_FIELD = 16 << 10  # bytes of one header line; signed Locations are long, header bombs longer (THREATS B16)
MAX_FIELDS = 128
READ_AHEAD = 1 << 20  # aiohttp stops reading at twice this
_TLS_HINT = (
    "For an authority of your own give --ca FILE; a registry without TLS has to be named: --plain-http HOST:PORT."
)
_CERTIFICATE_HINT = "It wants a client certificate: PEM files HOST:PORT/client.cert and client.key in a certs.d folder."
# Over TLS 1.3 the refusal comes when we think we are through, and a reset may overtake its reason.
_CUT_HINT = "A server that wants a client certificate, or another one, may cut the line like this."
_WANTING = ("CERTIFICATE_REQUIRED", "ALERT_HANDSHAKE_FAILURE", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA")
_PROXY_HINT = "A proxy has to be named: --proxy URL, or --proxy env for that of the environment."
_NAME_HINT = f"Is the host's name right, and can this machine resolve names? {_PROXY_HINT}"
_REACH_HINT = f"Is the address right, the registry up, and no firewall between? {_PROXY_HINT}"
# X509_V_ERR_… of openssl/x509_vfy.h: what no other authority would mend.
_VERIFY_HINTS = {
    9: "The certificate is not valid yet: is this machine's clock right?",
    10: "Its owner has to renew it. Is this machine's clock right?",
    62: "The certificate names other hosts: is this name right? `puller ping` tells which.",
    64: "The certificate names other hosts: is this address right? `puller ping` tells which.",
}


class Wire:
    """Sends single requests; the answer's head is in when `send` returns."""

    def __init__(self, boundary: Boundary, *, tls: Callable[[], ssl.SSLContext], means: Means) -> None:
        self.boundary = boundary
        self._tls = tls
        self._patience = means.patience
        self._means = means
        self._trace = means.trace
        self._pools: dict[tuple[str, Proxy | None], aiohttp.ClientSession] = {}

    async def send(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        *,
        form: Mapping[str, str] | None = None,
        body: bytes | Outflow | None = None,
        answer_within: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send one request, wait for the head of the answer; the caller closes or releases it.

        `answer_within`: seconds from the last byte of `body`, else as patience says. A body that is sent piece by piece
        goes on until the answer is in, whatever that answer is. Raises Unavailable, ConnectionLost, TLSFailure,
        UnsafeRedirect (an address out of bounds), ProtocolViolation; of a proxy, also Unauthorized.
        """
        proxy = self._way(url)
        pool = self._pool(url.scheme, proxy)
        # A proxy reads requests that are not for https itself, and passes them on without what was for it.
        reader = proxy if proxy is not None and proxy.speaks_http and url.scheme == "http" else None
        login = {} if reader is None or reader.authorization is None else {"Proxy-Authorization": reader.authorization}
        # The deadline starts with the connection: the wait for a place in the pool is not the server's fault. Without
        # it a head that drips, or never ends for 1xx answers, would pass every wait for a single byte (N6).
        wait = self._patience.first_byte if answer_within is None else answer_within
        with self._heard(method, url, headers, proxy) as ask, translated(url, proxy, _CUT_HINT):
            self._means.census.count(Origin.of(url).netloc, method)
            async with _Deadline(self._patience.connect + wait, ask) as deadline:
                response = await pool.request(
                    method,
                    url,
                    headers={**headers, **login},
                    data=form if body is None else self._paced(body, deadline, wait=wait),
                    allow_redirects=False,
                    timeout=self._timeout(max(wait, self._patience.stall)),
                    trace_request_ctx=deadline,
                    **self._proxied(proxy),
                )
                if ask is not None:
                    ask.answered(response)
                if response.status == 407 and reader is not None:
                    response.close()
                    raise refusal(reader, 407)
                return response

    async def close(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    def _heard(
        self, method: str, url: URL, headers: Mapping[str, str], proxy: Proxy | None
    ) -> AbstractContextManager["Ask | None"]:
        """The ear on one request, until its head is here or an error; None where nobody listens."""
        trace = self._trace
        return nullcontext() if trace is None else trace.listening(method, url, headers, str(proxy or ""))

    def _way(self, url: URL) -> Proxy | None:
        """The proxy to ask by. Raises UnsafeRedirect for an address that the proxy must not be asked for."""
        proxy = self._means.proxies.way(Origin.of(url))
        address = None if proxy is None else address_of(url.raw_host or "")
        if address is not None:
            try:
                self.boundary.enter(str(address))
            except RefusedAddress as error:
                raise UnsafeRedirect("sent to an address out of bounds", where=redacted(url), got=str(error)) from None
        return proxy

    async def _paced(self, body: bytes | Outflow, deadline: "_Deadline", *, wait: float) -> AsyncIterator[bytes]:
        """The pieces of `body`: each has to go out in time, the answer to come `wait` seconds after the last.

        Time spent waiting for the next piece does not count: a slow disk, or our own limit, is not the server's fault.
        """
        deadline.move(None)
        async for piece in _pieces(body, self._means.throttle):
            deadline.move(self._patience.stall)
            yield piece
            deadline.move(None)
        deadline.move(wait)

    def _proxied(self, proxy: Proxy | None) -> dict[str, Any]:
        """What aiohttp has to know of an HTTP proxy. Its own way with credentials shows them in the repr of errors."""
        if proxy is None or not proxy.speaks_http:
            return {}
        headers = {"User-Agent": self._means.user_agent}
        if proxy.authorization is not None:
            headers["Proxy-Authorization"] = proxy.authorization
        return {"proxy": URL(str(proxy)), "proxy_headers": headers}

    def _pool(self, scheme: str, proxy: Proxy | None) -> aiohttp.ClientSession:
        # Made on first need: a pool wants a running loop, and loading the system's certificates takes a while.
        key = scheme, proxy
        if key not in self._pools:
            self._pools[key] = self._open_pool(scheme, proxy)
        return self._pools[key]

    def _open_pool(self, scheme: str, proxy: Proxy | None) -> aiohttp.ClientSession:
        throttle = self._means.throttle
        answers: type[aiohttp.ClientResponse] = aiohttp.ClientResponse
        watchers = [_deadline_begun()]
        if self._trace is not None:
            from puller.registry.transport.trace import Witness, connections  # only where somebody listens

            answers, watchers = Witness, [*watchers, connections()]
        return aiohttp.ClientSession(
            connector=connector(
                proxy,
                self.boundary,
                tls=self._tls() if scheme == "https" else False,
                proxy_tls=lambda: self._means.tls(Trust(self._means.proxies.authorities)),
                means=self._means,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            requote_redirect_url=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            read_bufsize=READ_AHEAD if throttle is None else throttle.piece,
            max_line_size=MAX_FIELD,
            max_field_size=MAX_FIELD,
            max_headers=MAX_FIELDS,
            response_class=answers,
            trace_configs=watchers,
        )

    def _timeout(self, read: float) -> aiohttp.ClientTimeout:
        # aiohttp would end any body after 300 s; `connect` would count the wait for a free place in the pool.
        return aiohttp.ClientTimeout(total=None, connect=None, sock_connect=self._patience.connect, sock_read=read)


class _Deadline:
    """When a request has to be answered: `first` seconds after it has, or begins to make, a connection.

    It moves while the request's body flows, which another task sees to. `ask`: who wants to know of the connection.
    """

    def __init__(self, first: float, ask: "Ask | None" = None) -> None:
        self.first = first
        self.ask = ask
        self._timeout = asyncio.timeout(None)
        self._is_open = False

    async def __aenter__(self) -> "_Deadline":
        await self._timeout.__aenter__()
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        await self._timeout.__aexit__(kind, error, trace)

    def move(self, seconds: float | None) -> None:
        """So many seconds from now, or None: no deadline for the time being. Too late, once it has passed."""
        if self._is_open and not self._timeout.expired():
            self._timeout.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)


async def _pieces(body: bytes | Outflow, throttle: Throttle | None) -> AsyncIterator[bytes]:
    """A body cut small enough to see whether it flows, each piece when it may go."""
    size = PIECE if throttle is None else min(PIECE, throttle.piece)
    async for part in body if isinstance(body, Outflow) else _alone(body):
        for start in range(0, len(part), size):
            piece = part[start : start + size]
            if throttle is not None:
                await throttle.take(len(piece))
            yield piece


async def _alone(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _deadline_begun() -> aiohttp.TraceConfig:
    """Lets the deadline that comes with a request run from the moment it has, or begins to make, a connection."""

    async def began(session: aiohttp.ClientSession, context: SimpleNamespace, parameters: object) -> None:
        deadline: _Deadline = context.trace_request_ctx
        deadline.move(deadline.first)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(began)
    trace.on_connection_reuseconn.append(began)
    return trace


@contextmanager
def translated(url: URL, proxy: Proxy | None = None, cut_hint: str = "") -> Iterator[None]:
    """Turn what aiohttp raises into this package's errors, naming the place without its query, and the proxy.

    `cut_hint` is for a line over TLS that ends where nothing has come yet.
    """
    try:
        yield
    except aiohttp.ClientHttpProxyError as error:
        if proxy is None:
            raise ProtocolViolation("malformed HTTP", where=_named(url, proxy)) from error
        raise refusal(proxy, error.status) from None  # aiohttp's error holds what the proxy was told of us
    except aiohttp.ClientConnectorError as error:
        if proxy is not None and is_of_proxy(error, proxy):
            raise _off_proxy(error, proxy) from error
        raise _unconnected(error, url, _named(url, proxy)) from error
    except aiohttp.ClientSSLError as error:
        raise TLSFailure("no trusted TLS connection", where=_named(url, proxy), got=_words(error)) from error
    except aiohttp.ConnectionTimeoutError as error:
        raise Unavailable("no connection in time", where=_named(url, proxy), hint=_REACH_HINT) from error
    except (aiohttp.ServerTimeoutError, TimeoutError) as error:
        raise ConnectionLost("no answer in time", where=_named(url, proxy)) from error
    except (aiohttp.InvalidURL, aiohttp.ClientResponseError) as error:
        what = "not a canonical address" if isinstance(error, aiohttp.InvalidURL) else "malformed HTTP"
        kind = UnsafeRedirect if isinstance(error, aiohttp.InvalidURL) else ProtocolViolation
        # Its parser's errors quote what came, which may be a token, and the whole address (THREATS B15).
        raise kind(what, where=_named(url, proxy)) from None
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error.__cause__, ssl.SSLError):
            got, hint = _words(error.__cause__), _tls_hint(error.__cause__, "")
            raise TLSFailure("the TLS connection broke", where=_named(url, proxy), got=got, hint=hint) from error
        hint = cut_hint if url.scheme == "https" else ""
        # Of a cut line aiohttp's own error may hold half an answer, headers and all.
        cause = error if isinstance(error, OSError) else None
        raise ConnectionLost("the line was cut", where=_named(url, proxy), hint=hint) from cause
    except ValueError as error:  # also UnicodeError: a host that the idna codec or a socket cannot take
        raise UnsafeRedirect("not an address that can be asked", where=_named(url, proxy)) from error


def _named(url: URL, proxy: Proxy | None) -> str:
    return redacted(url) if proxy is None else f"{redacted(url)} through {proxy}"


def _unconnected(
    error: aiohttp.ClientConnectorError, url: URL, where: str
) -> Unavailable | TLSFailure | UnsafeRedirect:
    cause = error.os_error
    if isinstance(cause, RefusedAddress):
        return UnsafeRedirect("sent to an address out of bounds", where=where, got=str(cause))
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Unavailable("the host name does not resolve", where=where, hint=_NAME_HINT)
    # A reset while connecting over TLS comes from the handshake; trying again, or without TLS, is what an attacker
    # who cuts it would like (THREATS B1, N28).
    if isinstance(error, aiohttp.ClientConnectorSSLError) or isinstance(cause, (ssl.SSLError, ssl.CertificateError)):
        hint = _tls_hint(cause, _TLS_HINT)
        return TLSFailure("no trusted TLS connection", where=where, got=_words(cause), hint=hint)
    if url.scheme == "https" and isinstance(cause, ConnectionResetError):
        return TLSFailure("the TLS handshake was cut", where=where, hint=_TLS_HINT)
    return Unavailable("cannot connect", where=where, got=_words(cause), hint=_REACH_HINT)


def _tls_hint(cause: BaseException, otherwise: str) -> str:
    reason = str(getattr(cause, "reason", ""))
    if any(word in reason for word in _WANTING):
        return _CERTIFICATE_HINT
    return _VERIFY_HINTS.get(getattr(cause, "verify_code", 0), otherwise)


def _off_proxy(error: aiohttp.ClientConnectorError, proxy: Proxy) -> Unavailable | TLSFailure:
    cause = error.os_error
    if isinstance(error, aiohttp.ClientConnectorSSLError) or isinstance(cause, (ssl.SSLError, ssl.CertificateError)):
        return TLSFailure("no trusted TLS connection to the proxy", where=proxy, got=_words(cause), host=proxy.netloc)
    return unreachable(proxy, cause)


def _words(error: BaseException) -> str:
    return str(getattr(error, "verify_message", "") or getattr(error, "strerror", "") or type(error).__name__)[:200]
