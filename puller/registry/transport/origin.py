"""Origin: scheme, host and port, the unit that secrets belong to; and how a registry's name becomes one.

Also the one way a URL may be shown. Which addresses an origin may lie at is the business of `reach`.
"""

import ipaddress
from dataclasses import dataclass
from typing import Self

from yarl import URL

from puller.contracts.access import Protection
from puller.model.reference import DOCKER_HUB
from puller.model.text import printable

# The name in references is not the host that serves them (docker/cli, registry/config.go: IndexServer).
_HUB_HOST = "registry-1.docker.io"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """`scheme://host:port` of RFC 6454; the host is lower case and an IPv6 address stands without brackets."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: URL) -> Self:
        """The origin of an absolute http or https URL. Raises ValueError for any other."""
        # As it is asked for: `url.host` would turn `xn--…` into letters, and fails where there are none behind it.
        host, port = url.raw_host, url.port
        if url.scheme not in _PORTS or not host or port is None:
            raise ValueError("not an absolute http or https URL")
        return cls(url.scheme, host.lower(), port)

    @property
    def netloc(self) -> str:
        """`host`, or `host:port` where the port is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the *name* promises this machine; what it resolves to is checked when connecting."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def url(self, path: str) -> URL:
        """The URL of a path (and query) that is already encoded."""
        return URL(f"{self}{path}", encoded=True)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


def registry_origin(registry: str, protection: Protection = Protection.USUAL) -> Origin:
    """Where the registry of a reference is served (THREATS B1).

    HTTPS, with two exceptions: a registry that somebody has named for plain HTTP, and, if nothing is said, a loopback
    host. The choice is made from names alone: nothing is tried and then tried again with less protection.
    """
    netloc = _HUB_HOST if registry == DOCKER_HUB else registry
    secure = Origin.of(URL(f"https://{netloc}"))
    if protection is Protection.PLAIN or (protection is Protection.USUAL and secure.is_loopback):
        return Origin.of(URL(f"http://{netloc}"))
    return secure


def redacted(url: URL | str) -> str:
    """`url` without query, fragment and userinfo, safe to show: signed URLs carry their secret there (THREATS B15)."""
    try:
        parsed = url if isinstance(url, URL) else URL(url, encoded=True)
        origin = Origin.of(parsed)
    except ValueError:
        scheme = url.scheme if isinstance(url, URL) else url.partition(":")[0]
        return printable(f"{scheme}:…" if scheme.isalpha() else "…", limit=40)
    return printable(f"{origin}{parsed.raw_path}", limit=300)
