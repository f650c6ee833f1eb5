"""Uploads over lines that break and through servers that fail: whole in the end, or a typed error."""

import asyncio
from dataclasses import replace

import anyio
import pytest

from puller.errors import (
    ConnectionLost,
    Unavailable,
)
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.ops.pulling.transfer import copy_blob
from puller.registry.retry import RetryPolicy
from puller.registry.transport.patience import Patience
from puller.stream.sink import Chunk
from testregistry import Answer, faults, serve
from testregistry.answer import Delivery, Silence
from testregistry.call import Call, Handler
from testregistry.fault import Powers
from tests.registry.bringing import bring, held, shelved, target
from tests.registry.scene import LARGE, SMALL, Time, content, described

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "lost"])
@pytest.mark.parametrize("after", [0, 1, 65_536, 3_000_000])
async def test_a_broken_stream_goes_on_where_the_registry_says(after: int, keep: bool) -> None:
    now = Time()
    async with serve(faults=[faults.cut_upload(after=after, keep=keep)]) as registry:
        async with target(registry, now=now) as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)
        (second,) = registry.journal.find("PATCH", status=202)
        start = after if keep and after > 1 else 0
        assert second.headers.get("Content-Range") == (f"{start}-{len(LARGE) - 1}" if start else None)
        assert registry.journal.count("POST") == (1 if start else 2)
    assert len(now.slept) >= 1


async def test_a_stream_that_breaks_for_ever_is_given_up_after_some_tries() -> None:
    async with serve(faults=[faults.cut_upload(after=100, keep=False, times=None)]) as registry:
        async with target(registry, retries=RetryPolicy(attempts=3)) as repository:
            with pytest.raises(ConnectionLost) as caught:
                await bring(repository, LARGE)
        assert registry.journal.count("PATCH") == 3
    assert caught.value.attempts == 3


async def test_a_stream_that_breaks_after_progress_each_time_is_not_given_up() -> None:
    cuts = [faults.cut_upload(after=1_200_000, times=3)]
    async with serve(faults=cuts) as registry, target(registry, retries=RetryPolicy(attempts=2)) as repository:
        await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert registry.journal.count("PATCH") == 4


async def test_a_watcher_sees_every_byte_once_for_each_try() -> None:
    class Seen:
        def __init__(self) -> None:
            self.raw = bytearray()

        def write(self, chunk: Chunk, /) -> None:
            self.raw += chunk

        def finish(self) -> None:
            pass

    seen = [Seen(), Seen()]
    async with serve(faults=[faults.cut_upload(after=2_000_000)]) as registry, target(registry) as repository:
        store = await shelved(LARGE)
        with pytest.raises(ConnectionLost):
            await copy_blob(store, repository, described(LARGE), lambda: [seen[0]], report=unheard)
        await copy_blob(store, repository, described(LARGE), lambda: [seen[1]], report=unheard)
        assert held(registry, LARGE)
    assert bytes(seen[1].raw) == LARGE


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "HEAD"])
@pytest.mark.parametrize("code", [500, 503, 429])
async def test_n7_a_server_that_fails_once_is_asked_again(method: str, code: int) -> None:
    where = {"method": method, "kind": "blob" if method == "HEAD" else "upload"}
    async with serve(faults=[faults.status(code, **where)]) as registry, target(registry) as repository:  # type: ignore[arg-type]  # any keywords of a fault
        await bring(repository, LARGE)
        assert held(registry, LARGE)


def lose_answer() -> faults.Fault:
    """Complete the upload, and close the connection instead of saying so."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        return replace(await handler(call), delivery=Delivery(silence=Silence.DROP))

    return faults.Fault("lose_answer", faults.Match(method="PUT", kind="upload"), act)


async def test_r8_an_answer_to_the_last_put_that_was_lost_is_looked_for_and_nothing_sent_twice() -> None:
    async with serve() as registry, target(registry) as repository:
        registry.faults.append(lose_answer())
        await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert registry.journal.count("PATCH") == 1


async def test_an_upload_that_the_registry_forgot_is_begun_again() -> None:
    async with serve(faults=[faults.status(404, method="PUT", kind="upload")]) as registry:
        async with target(registry) as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert registry.journal.count("POST") == 2


async def test_an_upload_that_is_out_of_step_asks_where_it_is() -> None:
    async with serve(faults=[faults.status(416, method="PATCH", kind="upload")]) as registry:
        async with target(registry) as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)


def deaf(method: str, *, times: int | None = None) -> faults.Fault:
    """Neither read what is sent nor answer."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    return faults.Fault("deaf", faults.Match(method=method, kind="upload", times=times), act)


@pytest.mark.parametrize(("method", "raw"), [("PATCH", content(30_000_000)), ("POST", SMALL)], ids=["body", "head"])
async def test_n6_a_line_that_stalls_is_left(method: str, raw: bytes) -> None:
    patience = Patience(connect=2, first_byte=0.1, stall=0.1)
    async with serve(faults=[deaf(method)]) as registry:
        async with target(registry, patience=patience, retries=RetryPolicy(attempts=2)) as repository:
            with pytest.raises(ConnectionLost, match="no answer in time"):
                await bring(repository, raw)
        assert registry.journal.count(method) == 2


async def test_an_answer_that_was_never_given_is_looked_for() -> None:
    patience = Patience(connect=2, first_byte=0.1, stall=0.1)
    async with serve(faults=[faults.hang(method="PATCH", kind="upload")]) as registry:
        async with target(registry, patience=patience) as repository:
            await bring(repository, LARGE)
        assert held(registry, LARGE)
        assert registry.journal.count("PATCH") == 1


async def test_unavailable_stays_unavailable_when_tries_run_out() -> None:
    fault = faults.status(503, method="POST", kind="upload", times=None)
    async with serve(faults=[fault]) as registry:
        async with target(registry, retries=RetryPolicy(attempts=2)) as repository:
            with pytest.raises(Unavailable) as caught:
                await bring(repository, SMALL)
    assert (caught.value.attempts, caught.value.phase) == (2, "upload")
    assert caught.value.digest == str(Digest.of(SMALL))


async def test_completing_a_blob_may_take_longer_than_any_other_answer() -> None:
    """Registries over object stores copy it then."""

    async def act(call: Call, handler: Handler, powers: Powers) -> Answer:
        await asyncio.sleep(0.4)
        return await handler(call)

    slow = faults.Fault("slow", faults.Match(method="PUT", kind="upload"), act)
    patience = Patience(connect=0.1, first_byte=0.1, stall=0.1)
    async with serve(faults=[slow]) as registry, target(registry, patience=patience) as repository:
        await bring(repository, LARGE)
        assert registry.journal.count("PUT") == 1


async def test_a_registry_without_head_is_brought_everything() -> None:
    async with serve(faults=[faults.status(405, method="HEAD", times=None)]) as registry:
        registry.add_blob("app", SMALL)
        async with target(registry) as repository:
            await bring(repository, SMALL)
        assert registry.journal.count("PUT", status=201) == 1


async def test_a_cancelled_upload_leaves_nothing_complete_and_may_be_begun_again() -> None:
    async with serve(faults=[deaf("PATCH", times=1)]) as registry, target(registry) as repository:
        begun = anyio.Event()
        registry.on_request.append(lambda record: begun.set() if record.method == "PATCH" else None)
        async with anyio.create_task_group() as group:
            group.start_soon(bring, repository, content(30_000_000))
            await begun.wait()
            group.cancel_scope.cancel()
        assert registry.journal.count("DELETE", kind="upload", status=204) == 1
        assert not held(registry, content(30_000_000))
        assert not repository.may_go_on(Digest.of(content(30_000_000)))
        await bring(repository, LARGE)
        assert held(registry, LARGE)
        await bring(repository, content(30_000_000))
        assert held(registry, content(30_000_000))


async def test_a_registry_that_does_not_answer_holds_up_nobody_who_stops() -> None:
    silent = [deaf("PATCH", times=1), faults.hang(method="DELETE", times=None)]
    async with serve(faults=silent) as registry, target(registry) as repository:
        begun = anyio.Event()
        registry.on_request.append(lambda record: begun.set() if record.method == "PATCH" else None)
        async with anyio.create_task_group() as group:
            group.start_soon(bring, repository, content(30_000_000))
            await begun.wait()
            group.cancel_scope.cancel()
            started = anyio.current_time()
        assert anyio.current_time() - started < 3  # seconds
        assert registry.journal.count("DELETE", kind="upload") == 1
