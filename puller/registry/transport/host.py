"""Host: what a host name in a URL stands for: an address in any spelling, this machine, a plain name.

Names are judged as they are written; what a name resolves to is checked by `reach` where the connection is made.
"""

import ipaddress
import re
from typing import TypeAlias

from puller.registry.transport.reach import Reach, reach_of

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+", re.ASCII)
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*", re.ASCII)


def address_of(host: str) -> Address | None:
    """The IP address that `host` spells, in any form a resolver takes: `::1`, `127.1`, `0x7f.1`, `2130706433`.

    IPv6 is given without brackets. None for a name. The loose IPv4 forms are those of inet_aton(3).
    """
    host = host.removesuffix(".")
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    parts = host.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) and len(part) < 24 for part in parts):
        return None
    *leading, last = (_number(part) for part in parts)
    if any(part > 255 for part in leading) or last >= 256 ** (4 - len(leading)):
        return None
    high = sum(part << 8 * (3 - place) for place, part in enumerate(leading))
    return ipaddress.IPv4Address(high + last)


def _number(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    octal = text.startswith("0") and not set(text) & {"8", "9"}
    return int(text, 8 if octal else 10)


def is_plain_host(host: str) -> bool:
    """Whether `host` is a DNS name or an address in its normal spelling, without trailing dot."""
    address = address_of(host)
    if address is not None:
        return host.lower() == str(address) or (":" in host and "%" not in host)
    return len(host) <= 253 and _NAME.fullmatch(host) is not None and not _NUMBER.fullmatch(host.rpartition(".")[2])


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine by itself: 127.0.0.0/8, ::1, `localhost` and what is below it (RFC 6761)."""
    name = host.lower().removesuffix(".")
    address = address_of(host)
    if address is not None:
        return reach_of(str(address)) is Reach.LOOPBACK
    return name.rpartition(".")[2] == "localhost"


def is_local(host: str) -> bool:
    """Whether `host` by its spelling alone leads to this machine or to an address that is not public."""
    address = address_of(host)
    return is_loopback(host) if address is None else reach_of(str(address)) is not Reach.PUBLIC
