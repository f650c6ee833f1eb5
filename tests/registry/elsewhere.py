"""Elsewhere: names, addresses and logins for tests of what leaves the client, and to whom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from puller.registry.retry import RetryPolicy
from puller.registry.transport.reach import Reach, reach_of
from testregistry import Basic, TestRegistry, faults, serve
from tests.registry.scene import (
    OneLogin,
    content,
    described,
)

BLOB = content(50_000)
WANTED = described(BLOB)
ONCE = RetryPolicy(attempts=1)
LOGIN = OneLogin("alice", "marker-password")


def told(registry: TestRegistry) -> str:
    """`registry.test:<port>`: a name that is no loopback name, for Names that lead to 127.0.0.1."""
    return f"registry.test:{registry.host.rpartition(':')[2]}"


HERE = {"registry.test": "127.0.0.1", "cdn.test": "127.0.0.1", "inside.test": "127.0.0.2"}


def pretend(address: str) -> Reach:
    """127.0.0.1 stands for the open internet; everything else is what it is."""
    return Reach.PUBLIC if address == "127.0.0.1" else reach_of(address)


@asynccontextmanager
async def sent_on(location: str, **more: object) -> AsyncIterator[TestRegistry]:
    """A registry, with Basic authentication, that sends every blob request on."""
    async with serve(auth=Basic({"alice": "marker-password"})) as registry:
        registry.add_blob("app", BLOB)
        registry.faults.append(faults.redirect(None, location, kind="blob", times=None))
        yield registry
