"""Reach: where a name leads, and which of the addresses there can be connected to. Nothing is sent."""

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final, TypeAlias

from aiohttp.abc import AbstractResolver

from puller.model.text import printable
from puller.registry.pinging.finding import Attempt, Named, Reached, Verdict
from puller.registry.transport.host import address_of

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial: TypeAlias = Callable[[str, int], Awaitable[Streams]]

MOST = 8  # addresses that are tried
# What this machine says of a family of addresses that it does not have, or that leads nowhere from here.
_PATHLESS: Final = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


async def named(host: str, port: int, resolver: AbstractResolver, *, within: float) -> Named:
    """What `host` resolves to, within so many seconds. An address stands for itself."""
    literal = address_of(host)
    if literal is not None:
        return _sorted(host, [str(literal)])
    try:
        async with asyncio.timeout(within):
            answers = await resolver.resolve(host, port, socket.AF_UNSPEC)
    except TimeoutError:
        return Named(Verdict.FAIL, host, problem=f"no answer from the name servers in {within:g} s")
    except (OSError, UnicodeError) as error:
        return Named(Verdict.FAIL, host, problem=printable(getattr(error, "strerror", None) or str(error), limit=120))
    return _sorted(host, [answer["host"] for answer in answers])


async def reached(addresses: Sequence[str], port: int, dial: Dial, *, within: float, proxy: str = "") -> Reached:
    """Try them all at a time. A family that fails where the other does not is worth a warning: it costs time."""
    attempts = await asyncio.gather(*(_attempt(address, port, dial, within) for address in addresses[:MOST]))
    good = [attempt for attempt in attempts if not attempt.problem]
    bad = [attempt for attempt in attempts if attempt.problem and not attempt.is_pathless]
    verdict = Verdict.FAIL if not good else Verdict.WARN if bad else Verdict.OK
    return Reached(verdict, port, tuple(attempts), proxy)


async def _attempt(address: str, port: int, dial: Dial, within: float) -> Attempt:
    begun = monotonic()
    problem, pathless = "", False
    try:
        async with asyncio.timeout(within):
            _, writer = await dial(address, port)
        await closed(writer)
    except TimeoutError:
        problem = f"no answer in {within:g} s"
    except OSError as error:
        problem = os.strerror(error.errno) if error.errno else type(error).__name__
        pathless = error.errno in _PATHLESS
    return Attempt(address, monotonic() - begun, problem, pathless)


async def closed(writer: asyncio.StreamWriter) -> None:
    """Give a connection up, whatever becomes of it."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _sorted(host: str, addresses: Sequence[str]) -> Named:
    known = dict.fromkeys(addresses)
    v6 = tuple(address for address in known if _is_v6(address))
    v4 = tuple(address for address in known if address not in v6)
    if not known:
        return Named(Verdict.FAIL, host, problem="the name has no addresses")
    return Named(Verdict.OK, host, v4, v6)


def _is_v6(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).version == 6
