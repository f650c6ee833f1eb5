"""Reach: how far from the open internet an address lies, and the rule that nobody outside sends us inside.

A public registry that redirects to 169.254.169.254 or to localhost wants our machine to ask on its behalf (THREATS B3,
B8). Names prove nothing, so the rule is applied to every address at the moment a socket is made for it.
"""

import ipaddress
import socket
from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")  # Linux connects 0.0.0.0 to itself


class Reach(IntEnum):
    """Who can lie at an address, from everybody to nobody."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    NOWHERE = 3  # link-local (cloud metadata), unspecified, multicast, reserved: never a registry's helper


Classify: TypeAlias = Callable[[str], Reach]
AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


def reach_of(address: str) -> Reach:
    """Classify a numeric address. IPv4 inside IPv6 (mapped, NAT64, 6to4, Teredo) counts as the IPv4 address it is."""
    parsed = _embedded(ipaddress.ip_address(address.partition("%")[0]))
    if parsed.is_loopback:
        return Reach.LOOPBACK
    nowhere = parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast or parsed.is_reserved
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.is_site_local:
        return Reach.PRIVATE  # fec0::/10, deprecated, yet still somebody's inside (RFC 3879)
    if nowhere or (parsed.version == 4 and parsed in _THIS_NETWORK):
        return Reach.NOWHERE
    return Reach.PUBLIC if parsed.is_global else Reach.PRIVATE


def _embedded(address: _Address) -> _Address:
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


class RefusedAddress(OSError):
    """An address beyond the boundary."""


class Boundary:
    """The addresses that one pool of connections may use: those whose reach is at most `limit`, or exactly `only`.

    Without either any address will do: the user named the registry. `seen` is the most public reach met so far.
    """

    def __init__(self, *, limit: Reach | None = None, only: Reach | None = None, classify: Classify = reach_of) -> None:
        self._limit = limit
        self._only = only
        self._classify = classify
        self.seen: Reach | None = None

    def admits(self, address: str) -> bool:
        """Whether a numeric address may be connected to."""
        reach = self._classify(address)
        if self._only is not None:
            return reach is self._only
        return self._limit is None or (reach is not Reach.NOWHERE and reach <= self._limit)

    def enter(self, address: str) -> None:
        """A numeric address is about to be connected to. Raises RefusedAddress."""
        if not self.admits(address):
            raise RefusedAddress(f"{address} is not an address this registry may send us to")
        reach = self._classify(address)
        self.seen = reach if self.seen is None else min(self.seen, reach)

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """Make the socket for one address of a connection attempt. Raises RefusedAddress before anything is sent."""
        family, kind, protocol, _, peer = info
        self.enter(str(peer[0]))
        return socket.socket(family, kind, protocol)


class BoundedResolver(AbstractResolver):
    """A resolver that keeps only the addresses a boundary admits. Raises RefusedAddress when none is left."""

    def __init__(self, inner: AbstractResolver, boundary: Boundary) -> None:
        self._inner = inner
        self._boundary = boundary

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answers = await self._inner.resolve(host, port, family)
        admitted = [answer for answer in answers if self._boundary.admits(answer["host"])]
        if answers and not admitted:
            raise RefusedAddress(f"{host} leads to an address this registry may not send us to")
        return admitted

    async def close(self) -> None:
        await self._inner.close()
