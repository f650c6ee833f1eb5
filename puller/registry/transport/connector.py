"""Connector: how a pool makes its connections, straight or through a proxy."""

import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp

from puller.registry.means import Means
from puller.registry.transport.proxy import Proxy
from puller.registry.transport.reach import AddressInfo, Boundary, BoundedResolver
from puller.registry.transport.throttle import Throttle
from puller.registry.transport.tunnel import HAPPY_EYEBALLS, Dial, HttpProxyConnector, SocksConnector, Unresolved

_KEPT_ALIVE = 30  # seconds; most servers and proxies close idle lines after a minute or so


def connector(
    proxy: Proxy | None,
    boundary: Boundary,
    *,
    tls: ssl.SSLContext | bool,
    proxy_tls: Callable[[], ssl.SSLContext],
    means: Means,
) -> aiohttp.TCPConnector:
    """Connections within `boundary`. A proxy is wherever the user says; what lies behind it is out of our sight.

    `tls` is for what is asked, `proxy_tls` for a proxy that is spoken to over TLS itself.
    """
    words: dict[str, Any] = {
        "ssl": tls,
        "limit": 0,
        "limit_per_host": means.concurrency,
        "happy_eyeballs_delay": HAPPY_EYEBALLS,
        "keepalive_timeout": _KEPT_ALIVE,
    }
    if proxy is None:
        resolver = BoundedResolver(means.resolver(), boundary)
        return aiohttp.TCPConnector(
            resolver=resolver, socket_factory=_narrowed(boundary.open_socket, means.throttle), **words
        )
    to_proxy = _narrowed(Boundary().open_socket, means.throttle)
    if proxy.speaks_http:
        return HttpProxyConnector(proxy_tls=proxy_tls, resolver=means.resolver(), socket_factory=to_proxy, **words)
    behind = Unresolved() if proxy.resolves else BoundedResolver(means.resolver(), boundary)
    dial = Dial(means.resolver(), to_proxy)
    return SocksConnector(proxy, boundary=boundary, dial=dial, resolver=behind, **words)


def _narrowed(
    open_socket: Callable[[AddressInfo], socket.socket], throttle: Throttle | None
) -> Callable[[AddressInfo], socket.socket]:
    if throttle is None:
        return open_socket

    def opened(info: AddressInfo) -> socket.socket:
        sock = open_socket(info)
        throttle.narrow(sock)
        return sock

    return opened
