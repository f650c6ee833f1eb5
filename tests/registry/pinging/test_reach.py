"""Names and connections: what leads nowhere is told apart."""

import asyncio

from puller.registry.pinging.finding import (
    Named,
    Reached,
    SetUp,
    Verdict,
)
from puller.registry.pinging.reach import reached
from testregistry import serve
from tests.registry.pinging.asking import findings, is_usable, one
from tests.registry.scene import Names


async def test_a_name_that_does_not_resolve_ends_it() -> None:
    found = await findings("nowhere.test", names=Names({}))
    assert not is_usable(found)
    assert one(found, Named).problem
    assert [type(finding) for finding in found] == [SetUp, Named]


async def test_a_host_that_refuses_connections_ends_it() -> None:
    async with serve() as registry:
        pass
    found = await findings(registry.host)
    (attempt,) = one(found, Reached).attempts
    assert (one(found, Reached).verdict, attempt.problem) == (Verdict.FAIL, "Connection refused")


async def test_a_family_of_addresses_that_does_not_work_is_a_warning() -> None:
    async def dial(address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if ":" in address:
            await asyncio.Event().wait()
        return await asyncio.open_connection(address, port)

    async with serve() as registry:
        port = int(registry.host.rpartition(":")[2])
        finding = await reached(["2001:db8::1", "127.0.0.1"], port, dial, within=0.05)
    assert finding.verdict is Verdict.WARN
    assert [attempt.problem for attempt in finding.attempts] == ["no answer in 0.05 s", ""]


async def test_a_machine_without_ipv6_is_no_reason_to_warn() -> None:
    async def dial(address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if ":" in address:
            raise OSError(101, "Network is unreachable")
        return await asyncio.open_connection(address, port)

    async with serve() as registry:
        port = int(registry.host.rpartition(":")[2])
        finding = await reached(["2001:db8::1", "127.0.0.1"], port, dial, within=1)
    assert finding.verdict is Verdict.OK
    assert finding.attempts[0].is_pathless
