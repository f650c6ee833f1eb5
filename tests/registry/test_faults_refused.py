"""Registries and token servers that refuse: rows N7, N8, N11 and N12 of the fault matrix."""

import asyncio
import email.utils

import pytest

from puller.errors import (
    RateLimited,
    RegistryError,
    Unauthorized,
    Unavailable,
)
from puller.registry.retry import RetryPolicy
from testregistry import Bearer, faults, serve
from testregistry.canary import serve_canary
from tests.registry.asking import ROWS, Ask, Kind, ask_blob, ask_tag, fill
from tests.registry.scene import Time, content, described, fetched, opened

# N7, N8: not now ------------------------------------------------------------------------------------------------------


@ROWS
@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("600", 600.0),
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
    # Of a time that was told half a second more at most; else the first pause of a host, at its longest.
    assert sum(now.slept) == pytest.approx(1.0 if wait is None else wait + 0.5)


@ROWS
@pytest.mark.parametrize("told", ["1000000000", "999999999999999999", "Fri, 01 Jan 2077 00:00:00 GMT"])
async def test_n7_a_wait_that_is_too_long_is_a_typed_error_at_once(ask: Ask, kind: Kind, told: str) -> None:
    now = Time()
    async with serve(auth=Bearer(), faults=[faults.status(429, headers={"Retry-After": told}, kind=kind)]) as registry:
        fill(registry)
        async with opened(registry.name("app"), now=now) as repository:
            with pytest.raises(RateLimited, match="a wait of at most 15m"):
                await ask(registry, repository)
    assert now.slept == []


@pytest.mark.parametrize(("ahead", "wait"), [(30, 30.0), (-3600, 0.0)])
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


async def test_a_registry_that_answers_in_between_earns_its_retries_back() -> None:
    async with serve() as registry:
        fill(registry)
        async with opened(registry.name("app"), retries=RetryPolicy(budget=1)) as repository:
            for _ in range(5):
                registry.faults.append(faults.status(503))
                await ask_blob(registry, repository)


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
