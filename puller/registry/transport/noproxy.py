"""NoProxy: the hosts that are asked without the proxy, as $NO_PROXY lists them.

The rules are those of Go's golang.org/x/net/http/httpproxy (proxy.go: config.init, useProxy), so a list that suits
docker, skopeo or crane means the same here. A name is judged as it is written; nothing is resolved for it.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self, TypeAlias

from puller.registry.transport.host import Address

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_WITH_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*):([^:\[\]]*)")


@dataclass(frozen=True, slots=True)
class NoProxy:
    """`networks` and `addresses` are of hosts that are written as numbers. `domains` start with a dot.

    The text beside an address or a domain is the port it holds for, empty for every one; the flag of a domain says
    whether the name without the dot counts, too.
    """

    everything: bool = False
    networks: tuple[_Network, ...] = ()
    addresses: tuple[tuple[Address, str], ...] = ()
    domains: tuple[tuple[str, str, bool], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a list with commas. What cannot be a host is left out, as Go leaves it out."""
        networks: list[_Network] = []
        addresses: list[tuple[Address, str]] = []
        domains: list[tuple[str, str, bool]] = []
        for entry in filter(None, (part.strip().lower() for part in text.split(","))):
            if entry == "*":
                return cls(everything=True)
            if (network := _network(entry)) is not None:
                networks.append(network)
                continue
            host, port = _split(entry)
            address = literal(host)
            if address is not None:
                addresses.append((address, port))
            elif host:
                below = host.removeprefix("*")
                itself = not below.startswith(".")
                domains.append((f".{as_ascii(below.removeprefix('.'))}", port, itself))
        return cls(False, tuple(networks), tuple(addresses), tuple(domains))

    def covers(self, host: str, port: int) -> bool:
        """Whether a host, an IPv6 address without brackets, is asked without the proxy."""
        if self.everything:
            return True
        address = literal(host)
        if address is not None and any(address in network for network in self.networks):
            return True
        if any(address == known and wanted in ("", str(port)) for known, wanted in self.addresses):
            return True
        name = as_ascii(host.lower())
        return any(
            (name.endswith(domain) or (itself and name == domain[1:])) and wanted in ("", str(port))
            for domain, wanted, itself in self.domains
        )


NOBODY = NoProxy()  # is asked without the proxy


def literal(host: str) -> Address | None:
    """The address that `host` is in its normal spelling; IPv4 inside IPv6 is IPv4. None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def as_ascii(name: str) -> str:
    """A name as DNS has it; one that has no such form stays as it is."""
    try:
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def _network(entry: str) -> _Network | None:
    if "/" not in entry:
        return None
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _split(entry: str) -> tuple[str, str]:
    match = _WITH_PORT.fullmatch(entry)
    host, port = (entry, "") if match is None else (match[1], match[2])
    return host.removeprefix("[").removesuffix("]"), port
