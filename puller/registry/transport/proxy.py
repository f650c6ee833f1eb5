"""Proxy: who carries our connections to others, and for which hosts.

Which proxy there is comes from the command line, or from the environment if it was asked for (THREATS B19); none is
guessed. What a proxy wants to know of us goes to the proxy and nobody else.
"""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from puller.errors import InvalidConfig
from puller.registry.transport.host import is_loopback, is_plain_host
from puller.registry.transport.noproxy import NOBODY, NoProxy
from puller.registry.transport.origin import Origin

# As Go's httpproxy has them; curl alone takes 1080 for proxies of any kind.
_PORTS = {"http": 80, "https": 443, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_FORM = "http://HOST:PORT, https://, socks5://, socks5h:// or socks4a://"
_ESCAPE_HINT = "Characters such as @ : / # in a user's name or password are written as %40 %3A %2F %23."


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy; `host` is lower case, an IPv6 address without brackets. Shown without its user and password."""

    scheme: str
    host: str
    port: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, *, where: str = "--proxy") -> Self:
        """Read a URL, or `host:port` of an HTTP proxy. Raises InvalidConfig, which shows no secret."""
        try:
            parts = urlsplit(text if _SCHEME.match(text) else f"http://{text}")
            host = parts.hostname or ""
            port = parts.port
        except ValueError:
            raise _unusable(where) from None
        # A password with a bare / or # ends the host too early: what is left must neither be looked up nor shown.
        if not is_plain_host(host) or parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
            raise _unusable(where)
        if parts.scheme not in _PORTS:
            raise _unusable(where, got=f"{parts.scheme}://")
        username, password = _login(parts, where)
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], username, password)

    @property
    def speaks_http(self) -> bool:
        """Whether it is an HTTP proxy; else it speaks SOCKS."""
        return self.scheme in ("http", "https")

    @property
    def resolves(self) -> bool:
        """Whether names are resolved by the proxy, out of our sight; `socks5` alone wants addresses of us (as curl)."""
        return self.scheme != "socks5"

    @property
    def authorization(self) -> str | None:
        """The Proxy-Authorization value for an HTTP proxy (RFC 7617, in UTF-8)."""
        if not self.username and not self.password:
            return None
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")

    @property
    def netloc(self) -> str:
        """`host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of a run: by the scheme of what is asked for, but for the hosts of `without`.

    This machine is never asked through one: what it serves is not what another machine calls by that name, and it may
    be spoken to without TLS. `authorities` vouch for proxies of `https://` beside those of the system.
    """

    http: Proxy | None = None
    https: Proxy | None = None
    without: NoProxy = NOBODY
    authorities: tuple[Path, ...] = ()

    def way(self, origin: Origin) -> Proxy | None:
        """The proxy to reach `origin` by; None: straight."""
        proxy = self.https if origin.scheme == "https" else self.http
        if proxy is None or is_loopback(origin.host) or self.without.covers(origin.host, origin.port):
            return None
        return proxy


STRAIGHT = Proxies()  # no proxy at all


def _login(parts: SplitResult, where: str) -> tuple[str, str]:
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not (username + password).isprintable():
        raise InvalidConfig("a proxy's user and password must be printable", where=where)
    if parts.scheme in ("http", "https"):
        if ":" in username:
            raise InvalidConfig("a proxy's user must not contain a colon", where=where)  # RFC 7617 section 2
        return username, password
    if not (username + password).isascii() or max(len(username), len(password)) > 255:
        raise InvalidConfig("user and password of a SOCKS proxy must be ASCII, 255 at most of each", where=where)
    if parts.scheme == "socks4a" and password:
        raise InvalidConfig("SOCKS 4 knows no passwords", where=where, wanted="socks5:// or socks5h://")
    if parts.scheme != "socks4a" and bool(username) != bool(password):
        # RFC 1929: each has one byte at least.
        raise InvalidConfig("a SOCKS proxy wants both user and password, or neither", where=where)
    return username, password


def _unusable(where: str, *, got: str | None = None) -> InvalidConfig:
    return InvalidConfig("not a proxy that can be used", where=where, wanted=_FORM, got=got, hint=_ESCAPE_HINT)
