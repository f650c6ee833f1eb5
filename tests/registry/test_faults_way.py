"""The way to the registry, and time: rows N27, N28, N31 and N34 of the fault matrix."""

import asyncio
import selectors
import ssl
import time
from pathlib import Path

import pytest

from puller.errors import (
    ConnectionLost,
    PullerError,
    TLSFailure,
    Unavailable,
)
from puller.registry.transport.patience import Patience
from testregistry import Bearer, faults, serve
from testregistry.certificates import Authority
from testregistry.raw import Close, Pause, Step, serve_script
from tests.registry.asking import ask_blob, fill
from tests.registry.scene import SMALL, Names, Time, content, described, fetched, opened

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`

# N27, N28: the way to the registry ------------------------------------------------------------------------------------


async def test_n27_a_name_that_does_not_resolve_is_unavailable_after_retries() -> None:
    names, now = Names({}), Time()
    async with opened("registry.test/app", names=names, now=now) as repository:
        with pytest.raises(Unavailable, match="does not resolve"):
            await fetched(repository, described(SMALL))
    assert len(names.asked) == 5


async def test_n27_a_name_that_flaps_is_waited_for() -> None:
    async with serve() as registry:
        fill(registry)
        port = registry.host.partition(":")[2]
        names = Names({})
        name = f"registry.test:{port}"
        now = Time()
        original = now.sleep

        async def sleep(seconds: float) -> None:
            names.names["registry.test"] = "127.0.0.1"
            await original(seconds)

        now.sleep = sleep  # type: ignore[method-assign] # the name comes back while the client waits
        async with opened(f"{name}/app", names=names, now=now, plain_http=[name]) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL


async def test_n27_a_dead_address_beside_a_living_one_is_no_harm() -> None:
    async with serve() as registry:
        fill(registry)
        name = f"registry.test:{registry.host.partition(':')[2]}"
        names = Names({"registry.test": ("127.0.0.2", "127.0.0.1")})  # nothing listens at the first
        async with opened(f"{name}/app", names=names, plain_http=[name]) as repository:
            assert await fetched(repository, described(SMALL)) == SMALL


async def test_n27_a_refused_connection_is_unavailable_after_retries() -> None:
    async with serve() as registry:
        host = registry.host
    async with opened(f"{host}/app") as repository:
        with pytest.raises(Unavailable, match="cannot connect") as caught:
            await fetched(repository, described(SMALL))
    assert caught.value.attempts == 5


async def test_a_registry_with_a_certificate_of_the_given_authority_is_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve(tls=authority.server()) as registry:
        fill(registry)
        async with opened(registry.name("app"), ca_file=authority.file) as repository:
            await ask_blob(registry, repository)


@pytest.mark.parametrize("wrong", ["expired", "other host", "self-signed"])
async def test_n28_a_bad_certificate_is_final_and_leads_to_no_plain_http(tmp_path: Path, wrong: str) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    tls: ssl.SSLContext = {
        "expired": lambda: authority.server(expired=True),
        "other host": lambda: authority.server("elsewhere.test"),
        "self-signed": lambda: Authority(tmp_path / "other", "a stranger").server(),
    }[wrong]()
    now = Time()
    async with serve(tls=tls) as registry:
        fill(registry)
        async with opened(registry.name("app"), ca_file=authority.file, now=now) as repository:
            with pytest.raises(TLSFailure):
                await ask_blob(registry, repository)
        assert len(registry.journal) == 0
    assert now.slept == []


async def test_n28_a_connection_cut_in_mid_record_is_resumed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    blob = content(3_000_000)
    async with serve(tls=authority.server()) as registry:
        digest = registry.add_blob("app", blob)
        registry.faults.append(faults.reset(digest, after=1_234_567))
        async with opened(registry.name("app"), ca_file=authority.file) as repository:
            assert await fetched(repository, described(blob)) == blob


# N31, N34: time -------------------------------------------------------------------------------------------------------


async def steps_until(task: asyncio.Task[bytes], steps: int) -> None:
    for _ in range(steps):
        if task.done():
            return
        await asyncio.sleep(0)


@pytest.mark.parametrize("size", [10_000, 3_000_000])
async def test_n31_a_fetch_cancelled_at_any_step_leaves_nothing_behind(size: int) -> None:
    blob = content(size)
    async with serve(auth=Bearer()) as registry:
        registry.add_blob("app", blob)
        before = asyncio.all_tasks()
        for step in range(0, 200, 3):
            async with opened(registry.name("app")) as repository:
                task = asyncio.ensure_future(fetched(repository, described(blob)))
                await steps_until(task, step)
                task.cancel()
                started = time.monotonic()
                await asyncio.wait([task])
                assert time.monotonic() - started < 1
                assert await fetched(repository, described(blob)) == blob
        await asyncio.sleep(0.05)
        serving = {task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}
        assert serving == set()


FACTOR = 1000.0


class FastSelector(selectors.DefaultSelector):
    """Waits for a thousandth of the time it is told."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / FACTOR)


class FastLoop(asyncio.SelectorEventLoop):
    """A loop whose hours are seconds."""

    def __init__(self) -> None:
        super().__init__(FastSelector())

    def time(self) -> float:
        return super().time() * FACTOR


async def long_download() -> None:
    whole = 400.0  # seconds, and aiohttp's own limit for an answer is 300
    # Only that limit is left to bite: a hiccup of the machine is many seconds on this loop.
    patience = Patience(connect=1000, first_byte=1000, stall=1000, window=1000)
    steps: list[Step] = [b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"]
    for start in range(0, 50_000, 1000):
        steps += [Pause(whole / 50), SMALL[start : start + 1000]]
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with serve_script([tuple(steps)]) as raw, opened(f"{raw.host}/app", patience=patience) as repository:
        assert await fetched(repository, described(SMALL)) == SMALL
    assert loop.time() - started > 360


def test_n34_a_download_may_take_longer_than_five_minutes() -> None:
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        runner.run(long_download())


async def test_a_retry_that_waits_can_be_cancelled() -> None:
    async with serve(faults=[faults.status(503, times=None)]) as registry:
        now = Time()
        waiting = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        now.sleep = sleep  # type: ignore[method-assign] # a wait that never ends
        async with opened(registry.name("app"), now=now) as repository:
            task = asyncio.ensure_future(fetched(repository, described(SMALL)))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_errors_of_a_lost_line_say_so() -> None:
    async with serve_script([Close()] * 9) as raw, opened(f"{raw.host}/app") as repository:
        with pytest.raises(ConnectionLost) as caught:
            await fetched(repository, described(SMALL))
    assert isinstance(caught.value, PullerError)
    assert "line was cut" in str(caught.value)
