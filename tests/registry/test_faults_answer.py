"""Faults before a body flows: rows N7, N8, N11, N12, N14, N21, N27, N28, N31, N33 and N34 of the fault matrix."""

import asyncio
import email.utils
import selectors
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from puller.errors import (
    ConnectionLost,
    ProtocolViolation,
    PullerError,
    RateLimited,
    RegistryError,
    TLSFailure,
    Unauthorized,
    Unavailable,
    UnsafeRedirect,
)
from puller.model.mediatype import OCI_MANIFEST
from puller.model.reference import Reference
from puller.registry.patience import Patience
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from testregistry import Bearer, TestRegistry, faults, serve
from testregistry.canary import serve_canary
from testregistry.certificates import Authority
from testregistry.raw import Close, Pause, Step, serve_script
from tests.registry.scene import MANIFEST, MANIFEST_DESCRIPTOR, Names, Time, content, described, fetched, opened

BLOB = content(50_000)
Kind = Literal["manifest", "blob", "tags", "token"]
Ask = Callable[[TestRegistry, Repository], Awaitable[None]]


async def ask_tag(registry: TestRegistry, repository: Repository) -> None:
    assert await repository.resolve(Reference.parse(registry.name("app:1"))) == MANIFEST_DESCRIPTOR


async def ask_manifest(registry: TestRegistry, repository: Repository) -> None:
    assert await fetched(repository, MANIFEST_DESCRIPTOR) == MANIFEST


async def ask_blob(registry: TestRegistry, repository: Repository) -> None:
    assert await fetched(repository, described(BLOB)) == BLOB


async def ask_tags(registry: TestRegistry, repository: Repository) -> None:
    assert [tag async for tag in repository.tags()] == ["1"]


# What is asked for, and which of the registry's endpoints is at fault.
ROWS = pytest.mark.parametrize(
    ("ask", "kind"),
    [(ask_tag, "manifest"), (ask_manifest, "manifest"), (ask_blob, "blob"), (ask_tags, "tags"), (ask_blob, "token")],
    ids=["tag", "manifest", "blob", "tags", "token"],
)


def fill(registry: TestRegistry) -> None:
    registry.add_blob("app", BLOB)
    registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")


# N7, N8: not now ------------------------------------------------------------------------------------------------------


@ROWS
@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1000000000", 120.0),
        ("-1", None),
        ("soon", None),
        ("7.5", None),
        ("", None),
        (None, None),
    ],
)
async def test_n7_a_429_is_waited_out_as_told(ask: Ask, kind: Kind, told: str | None, wait: float | None) -> None:
    headers = {} if told is None else {"Retry-After": told}
    now = Time()
    async with serve(auth=Bearer(), faults=[faults.status(429, headers=headers, kind=kind)]) as registry:
        fill(registry)
        async with opened(registry.name("app"), now=now) as repository:
            await ask(registry, repository)
    jitter = 0.5  # the first of the schedule, at its largest
    assert now.slept == [jitter if wait is None else wait + jitter]


@pytest.mark.parametrize(("ahead", "wait"), [(30, 30.0), (-3600, 0.0), (100_000, 120.0)])
async def test_n7_retry_after_may_be_a_date(ahead: float, wait: float) -> None:
    now = Time()
    date = email.utils.formatdate(now.now + ahead, usegmt=True)
    async with serve(faults=[faults.status(429, headers={"Retry-After": date})]) as registry:
        fill(registry)
        async with opened(registry.name("app"), now=now) as repository:
            await ask_blob(registry, repository)
    assert now.slept == [wait + 0.5]


async def test_n7_one_slow_registry_does_not_slow_another() -> None:
    slow, fast = Time(), Time()
    async with serve(faults=[faults.status(429, times=3)]) as one, serve() as other:
        for registry, now in ((one, slow), (other, fast)):
            fill(registry)
            async with opened(registry.name("app"), now=now) as repository:
                await ask_blob(registry, repository)
    assert (len(slow.slept), fast.slept) == (3, [])


@ROWS
@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 521])
async def test_n8_a_burst_of_failures_is_sat_out(ask: Ask, kind: Kind, code: int) -> None:
    async with serve(auth=Bearer(), faults=[faults.status(code, kind=kind, times=4)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            await ask(registry, repository)


@ROWS
@pytest.mark.parametrize(("code", "error"), [(429, RateLimited), (500, Unavailable), (503, Unavailable)])
async def test_n8_failures_without_end_are_a_typed_error_after_exactly_five_attempts(
    ask: Ask, kind: Kind, code: int, error: type[RegistryError]
) -> None:
    async with serve(auth=Bearer(), faults=[faults.status(code, kind=kind, times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(error) as caught:
                await ask(registry, repository)
        assert caught.value.attempts == 5
        assert registry.journal.count(kind=kind, status=code) == 5


async def test_n8_delays_grow() -> None:
    now = Time()
    async with serve(faults=[faults.status(503, times=4)]) as registry:
        fill(registry)
        async with opened(registry.name("app"), now=now) as repository:
            await ask_blob(registry, repository)
    assert now.slept == [0.5, 1.0, 2.0, 4.0]


@ROWS
@pytest.mark.parametrize("code", [400, 403, 404, 405, 409, 410, 418, 451, 501])
async def test_other_refusals_are_never_retried(ask: Ask, kind: Kind, code: int) -> None:
    async with serve(auth=Bearer(), faults=[faults.status(code, kind=kind, method="GET", times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            if ask is ask_tag:
                await ask(registry, repository)  # HEAD is enough
                return
            with pytest.raises(RegistryError):
                await ask(registry, repository)
        assert registry.journal.count(kind=kind, status=code) <= (2 if code == 400 else 1)


async def test_many_failing_tasks_share_one_budget() -> None:
    async with serve(faults=[faults.status(503, times=None)]) as registry:
        async with opened(registry.name("app"), retries=RetryPolicy(attempts=5, budget=7)) as repository:
            results = await asyncio.gather(
                *(fetched(repository, described(content(10, n))) for n in range(20)), return_exceptions=True
            )
        assert all(isinstance(result, Unavailable) for result in results)
        assert registry.journal.count() == 20 + 7


# N11, N12: who is there? ----------------------------------------------------------------------------------------------


async def test_n11_a_401_for_ever_ends_after_one_refresh() -> None:
    async with serve(auth=Bearer(), faults=[faults.expire_token(times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(Unauthorized) as caught:
                await ask_blob(registry, repository)
        assert registry.journal.count(kind="blob") == 2
        assert registry.journal.count(kind="token") == 1
        assert caught.value.host == registry.host


async def test_n11_a_403_is_final() -> None:
    async with serve(auth=Bearer(), faults=[faults.status(403, kind="blob", times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(Unauthorized):
                await ask_blob(registry, repository)
        assert registry.journal.count(kind="blob", status=403) == 1


async def test_n11_a_realm_that_changes_each_time_is_followed_once_a_request() -> None:
    async with serve() as registry:
        fill(registry)
        realms = iter(f"{registry.url}/token?{n}" for n in range(99))
        registry.faults.append(
            faults.status(401, kind="token", times=None),
            *(
                faults.status(401, headers={"WWW-Authenticate": f'Bearer realm="{next(realms)}"'}, kind="blob", skip=n)
                for n in range(9)
            ),
        )
        async with opened(registry.name("app")) as repository:
            with pytest.raises(Unauthorized):
                await ask_blob(registry, repository)
        assert registry.journal.count(kind="token") == 1


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(500, kind="token", times=None),
        faults.status(200, headers={"Content-Type": "text/html"}, body=b"<html>", kind="token", times=None),
        faults.status(200, body=b"{}", kind="token", times=None),
        faults.status(200, body=b'{"token": 5}', kind="token", times=None),
        faults.status(200, body=b'{"token": "a\\r\\nX: y"}', kind="token", times=None),
        faults.endless(kind="token", times=None),
        faults.status(204, kind="token", times=None),
    ],
    ids=["500", "HTML", "no token", "number", "line break", "endless", "204"],
)
async def test_n12_a_broken_token_server_is_a_typed_error(fault: faults.Fault) -> None:
    async with serve(auth=Bearer(), faults=[fault]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(RegistryError):
                await ask_blob(registry, repository)
        assert all("Authorization" not in request.headers for request in registry.journal)


async def test_n12_a_token_server_that_redirects_is_not_followed() -> None:
    async with serve_canary() as canary:
        redirect = faults.redirect(None, f"{canary.url}/token", kind="token", times=None)
        async with serve(auth=Bearer(), faults=[redirect]) as registry:
            fill(registry)
            async with opened(registry.name("app")) as repository:
                with pytest.raises(RegistryError):
                    await ask_blob(registry, repository)
        assert canary.requests == []


# N14, N21, N33: answers no registry should give -----------------------------------------------------------------------


@ROWS
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_n14_relative_redirects_are_followed(ask: Ask, kind: Kind, code: int) -> None:
    if kind == "token":
        pytest.skip("token servers are not followed")
    async with serve() as registry:
        fill(registry)
        registry.faults.append(
            faults.redirect(None, lambda request: f"{request.path}?hop=1", code=code, kind=kind)  # once
        )
        async with opened(registry.name("app")) as repository:
            await ask(registry, repository)


@ROWS
async def test_n14_a_redirect_in_circles_ends(ask: Ask, kind: Kind) -> None:
    async with serve(auth=Bearer()) as registry:
        fill(registry)
        registry.faults.append(faults.redirect(None, lambda request: request.path, kind=kind, times=None))
        async with opened(registry.name("app")) as repository:
            with pytest.raises((UnsafeRedirect, ProtocolViolation)):
                await ask(registry, repository)
        assert registry.journal.count(kind=kind, status=307) <= 2


async def test_n14_eleven_hops_are_too_many() -> None:
    async with serve() as registry:
        fill(registry)
        registry.faults.append(
            faults.redirect(
                None, lambda request: f"{request.path}?hop={len(registry.journal)}", kind="blob", times=None
            )
        )
        async with opened(registry.name("app")) as repository:
            with pytest.raises(UnsafeRedirect, match="too many"):
                await ask_blob(registry, repository)
        assert registry.journal.count(kind="blob") == 11


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "gzip, gzip", "x-unknown"])
@pytest.mark.parametrize("ask", [ask_manifest, ask_blob, ask_tags])
async def test_n21_an_encoded_body_is_refused(ask: Ask, coding: str) -> None:
    async with serve(faults=[faults.content_encoding(None, coding, times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation, match="encoded"):
                await ask(registry, repository)
        assert registry.journal.count() == 1


async def test_n21_identity_is_asked_for_and_taken_when_it_is_said() -> None:
    async with serve(faults=[faults.headers(add={"Content-Encoding": "identity"}, times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            await ask_blob(registry, repository)
        assert registry.journal.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("code", [201, 202, 203, 204, 205, 206, 207, 226, 300, 304, 305, 306])
@pytest.mark.parametrize("ask", [ask_manifest, ask_blob, ask_tags])
async def test_n33_a_success_that_is_none_is_a_typed_error(ask: Ask, code: int) -> None:
    async with serve(faults=[faults.status(code, times=None)]) as registry:
        fill(registry)
        async with opened(registry.name("app")) as repository:
            with pytest.raises(ProtocolViolation, match=str(code)):
                await ask(registry, repository)


@pytest.mark.parametrize("early", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"])
async def test_n33_informational_answers_are_passed_over(early: bytes) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB) + BLOB
    async with serve_script([early + whole]) as raw, opened(f"{raw.host}/app") as repository:
        assert await fetched(repository, described(BLOB)) == BLOB


@pytest.mark.parametrize("status", [b"101 Switching Protocols", b"099 Low", b"600 High", b"999 Higher"])
async def test_n33_statuses_out_of_range_are_a_typed_error(status: bytes) -> None:
    async with serve_script([(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n", Close())] * 9) as raw:
        async with opened(f"{raw.host}/app") as repository:
            with pytest.raises(RegistryError):
                await fetched(repository, described(BLOB))


# N27, N28: the way to the registry ------------------------------------------------------------------------------------


async def test_n27_a_name_that_does_not_resolve_is_unavailable_after_retries() -> None:
    names, now = Names({}), Time()
    async with opened("registry.test/app", names=names, now=now) as repository:
        with pytest.raises(Unavailable, match="does not resolve"):
            await fetched(repository, described(BLOB))
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
            assert await fetched(repository, described(BLOB)) == BLOB


async def test_n27_a_dead_address_beside_a_living_one_is_no_harm() -> None:
    async with serve() as registry:
        fill(registry)
        name = f"registry.test:{registry.host.partition(':')[2]}"
        names = Names({"registry.test": ("127.0.0.2", "127.0.0.1")})  # nothing listens at the first
        async with opened(f"{name}/app", names=names, plain_http=[name]) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB


async def test_n27_a_refused_connection_is_unavailable_after_retries() -> None:
    async with serve() as registry:
        host = registry.host
    async with opened(f"{host}/app") as repository:
        with pytest.raises(Unavailable, match="cannot connect") as caught:
            await fetched(repository, described(BLOB))
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
        steps += [Pause(whole / 50), BLOB[start : start + 1000]]
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with serve_script([tuple(steps)]) as raw, opened(f"{raw.host}/app", patience=patience) as repository:
        assert await fetched(repository, described(BLOB)) == BLOB
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
            task = asyncio.ensure_future(fetched(repository, described(BLOB)))
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_errors_of_a_lost_line_say_so() -> None:
    async with serve_script([Close()] * 9) as raw, opened(f"{raw.host}/app") as repository:
        with pytest.raises(ConnectionLost) as caught:
            await fetched(repository, described(BLOB))
    assert isinstance(caught.value, PullerError)
    assert "line was cut" in str(caught.value)
