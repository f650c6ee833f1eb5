"""Tunnel: connections that a proxy carries, and what may go wrong at the proxy, as errors that name it.

HTTP proxies are aiohttp's own business: CONNECT for https, the absolute form of RFC 9112 section 3.2.2 for http. SOCKS
is spoken by python-socks over a socket opened here. Either way TLS is between us and the registry, inside the tunnel.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

import aiohappyeyeballs
import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest

from puller.errors import ProtocolViolation, RegistryError, Unauthorized, Unavailable
from puller.model.text import printable
from puller.registry.retry import passes
from puller.registry.transport.noproxy import literal
from puller.registry.transport.proxy import Proxy
from puller.registry.transport.reach import AddressInfo, Boundary

HAPPY_EYEBALLS = 0.25  # seconds before the next address is tried beside the first (RFC 8305)
_NOT_ALLOWED = 2  # RFC 1928 section 6: connection not allowed by ruleset
_AGREE_HINT = "Does the proxy speak this SOCKS, and are user and password right?"
_LOGIN_HINT = "Give user and password as in http://USER:PASSWORD@HOST:PORT."
_RULES_HINT = "The proxy's rules forbid this host or port; ask whoever runs it."
_UP_HINT = "Is the proxy's address right, and is it up?"


class HttpProxyConnector(aiohttp.TCPConnector):
    """All its requests go through one HTTP proxy."""

    def __init__(self, *, proxy_tls: Callable[[], ssl.SSLContext], **words: Any) -> None:
        super().__init__(**words)
        self._proxy_tls = proxy_tls

    def _get_ssl_context(self, req: ClientRequest) -> ssl.SSLContext | None:
        # aiohttp would meet the proxy with the registry's context, and so prove who we are to it (THREATS B6). The
        # one request without a proxy is its own, to the proxy.
        if req.proxy is None:
            return self._proxy_tls() if req.is_ssl() else None
        return super()._get_ssl_context(req)


class SocksConnector(aiohttp.TCPConnector):
    """All its connections go through one SOCKS proxy. Names are resolved by `resolver`, or left to the proxy."""

    def __init__(self, proxy: Proxy, *, boundary: Boundary, dial: "Dial", **words: Any) -> None:
        super().__init__(**words)
        self._proxy = proxy
        self._boundary = boundary
        self._dial = dial

    async def _wrap_create_connection(
        self,
        *arguments: Any,
        addr_infos: list[AddressInfo],
        req: ClientRequest,
        timeout: aiohttp.ClientTimeout,
        client_error: type[Exception] = aiohttp.ClientConnectorError,
        **words: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        sock = await self._first_of(addr_infos, timeout.sock_connect)
        return await self._wrap_existing_connection(
            *arguments, sock=sock, req=req, timeout=timeout, client_error=client_error, **words
        )

    async def _first_of(self, infos: list[AddressInfo], seconds: float | None) -> socket.socket:
        """A socket that the proxy has connected with one of some addresses, or with a name."""
        *others, last = infos
        for info in others:
            try:
                return await self._through(info, seconds)
            except Unavailable:
                continue
        return await self._through(last, seconds)

    async def _through(self, info: AddressInfo, seconds: float | None) -> socket.socket:
        from python_socks import ProxyError, ProxyType
        from python_socks.async_.asyncio import Proxy as Negotiation

        proxy = self._proxy
        host, port = str(info[4][0]), info[4][1]
        if not proxy.resolves:
            self._boundary.enter(host)
        kind = ProxyType.SOCKS4 if proxy.scheme == "socks4a" else ProxyType.SOCKS5
        # `rdns`: what is still a name here is for the proxy. `forward` opens the socket to it, as we open sockets.
        words = {"rdns": True, "forward": cast(Any, self._dial)}
        negotiation = Negotiation(kind, proxy.host, proxy.port, proxy.username, proxy.password, **words)
        try:
            return await negotiation.connect(host, port, timeout=seconds)
        except ProxyError as error:
            raise _socks_refusal(proxy, error) from None
        except TimeoutError:
            raise Unavailable("no connection by the proxy in time", where=proxy, hint=_UP_HINT) from None
        except OSError as error:
            raise unreachable(proxy, error) from None


class Dial:
    """Opens sockets to a proxy; python-socks takes it for a proxy before the proxy."""

    def __init__(self, resolver: AbstractResolver, open_socket: Callable[[AddressInfo], socket.socket]) -> None:
        self._resolver = resolver
        self._open_socket = open_socket

    async def connect(self, dest_host: str, dest_port: int, timeout: float | None = None) -> socket.socket:
        """A socket that is connected; whoever calls watches the time. Raises OSError."""
        if literal(dest_host) is not None:
            addresses = [dest_host]
        else:
            answers = await self._resolver.resolve(dest_host, dest_port, socket.AF_UNSPEC)
            addresses = [answer["host"] for answer in answers]
        return await aiohappyeyeballs.start_connection(
            [_info(address, dest_port) for address in addresses],
            happy_eyeballs_delay=HAPPY_EYEBALLS,
            interleave=1,
            socket_factory=self._open_socket,
        )


class Unresolved(AbstractResolver):
    """Leaves names as they are: the proxy resolves them."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=host, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


def _info(address: str, port: int) -> AddressInfo:
    is_six = ":" in address
    peer: tuple[str, int] | tuple[str, int, int, int] = (address, port, 0, 0) if is_six else (address, port)
    return socket.AF_INET6 if is_six else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", peer


def is_of_proxy(error: aiohttp.ClientConnectorError, proxy: Proxy) -> bool:
    """Whether a connection failed on its way to the proxy, and not beyond it."""
    return isinstance(error, aiohttp.ClientProxyConnectionError) or (error.host, error.port) == (proxy.host, proxy.port)


def unreachable(proxy: Proxy, error: OSError) -> Unavailable:
    """The error for a proxy that cannot be connected to."""
    got = printable(error.strerror or type(error).__name__, limit=200)
    return Unavailable("cannot connect to the proxy", where=proxy, got=got, hint=_UP_HINT, host=proxy.netloc)


def refusal(proxy: Proxy, status: int) -> RegistryError:
    """The error for an HTTP proxy that answers so to CONNECT, or 407 to any request."""
    got = f"HTTP {status}"
    if status == 407:
        what = "the proxy refuses these credentials" if proxy.authorization else "the proxy wants credentials"
        return Unauthorized(what, where=proxy, got=got, hint=_LOGIN_HINT, host=proxy.netloc)
    if passes(status):
        return Unavailable("the proxy cannot reach the host", where=proxy, got=got, host=proxy.netloc)
    if status in (401, 403, 405, 451):
        return Unauthorized("the proxy does not allow it", where=proxy, got=got, hint=_RULES_HINT, host=proxy.netloc)
    return ProtocolViolation("the proxy opens no tunnel", where=proxy, got=got, hint=_RULES_HINT, host=proxy.netloc)


def _socks_refusal(proxy: Proxy, error: Any) -> RegistryError:
    """python-socks tells a reply's code where the proxy gave one; a line that ended has none, nor a cause with one."""
    got = printable(str(error), limit=200)
    if error.error_code == _NOT_ALLOWED:
        return Unauthorized("the proxy does not allow it", where=proxy, got=got, hint=_RULES_HINT, host=proxy.netloc)
    if error.error_code is not None:
        return Unavailable("the proxy cannot reach the host", where=proxy, got=got, host=proxy.netloc)
    if not hasattr(error.__cause__, "error_code"):
        return Unavailable("the proxy cuts the line", where=proxy, hint=_UP_HINT, host=proxy.netloc)
    return Unauthorized("no agreement with the proxy", where=proxy, got=got, hint=_AGREE_HINT, host=proxy.netloc)
