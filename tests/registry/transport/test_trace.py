"""Trace: what is told of requests to whoever listens, and that it holds no secret."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from puller.contracts.access import Endpoint
from puller.errors import PullerError
from puller.model.event import Event, Traced
from puller.model.exchange import (
    Answered,
    Granted,
    Overdue,
    Received,
    Redirected,
    Remarked,
    Retried,
    Unanswered,
)
from puller.model.mediatype import OCI_MANIFEST
from puller.model.reference import Reference
from puller.registry.client import RegistryClient
from puller.registry.repository import Repository
from puller.registry.retry import RetryPolicy
from puller.registry.transport.proxy import Proxies, Proxy
from testregistry import Basic, Bearer, TestRegistry, certificates, faults, serve
from testregistry.cdn import serve_cdn
from testregistry.proxy import serve_proxy
from tests.registry.mirrors.several import Listed
from tests.registry.scene import (
    MANIFEST,
    MANIFEST_DESCRIPTOR,
    QUICK,
    OneLogin,
    Time,
    content,
    described,
    fetched,
)

SECRET = "marker-password"
USERS = {"ann": SECRET}
BLOB = content(60_000)
LARGE = content(5 << 20)
T = TypeVar("T", bound=Traced)


@asynccontextmanager
async def heard(
    registry: TestRegistry,
    events: list[Event],
    *,
    login: bool = False,
    ca_file: Path | None = None,
    debug: bool = True,
    overdue: float = 5.0,
) -> AsyncIterator[Repository]:
    """The repository `app` through a client that tells of every request."""
    client = RegistryClient(
        keyring=OneLogin("ann", SECRET) if login else None,
        plain_http=[registry.host] if login else [],
        ca_file=ca_file,
        report=events.append,
        debug=debug,
        world=Time().world(real_clock=True),
        patience=replace(QUICK, overdue=overdue),
        retries=RetryPolicy(attempts=3),
    )
    async with client:
        yield client.repository(Reference.parse(registry.name("app")))


def only(events: list[Event], kind: type[T]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


async def test_without_debug_nothing_is_told_of_requests() -> None:
    events: list[Event] = []
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with heard(registry, events, debug=False) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB
    assert only(events, Traced) == []


async def test_a_request_is_told_with_status_line_and_bytes() -> None:
    events: list[Event] = []
    async with serve() as registry:
        registry.add_blob("app", BLOB)
        async with heard(registry, events) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB
            assert await fetched(repository, described(BLOB)) == BLOB
    first, second = only(events, Answered)
    assert (first.asked.number, first.asked.method, first.status) == (1, "GET", 200)
    assert first.asked.url == f"{registry.url}/v2/app/blobs/{described(BLOB).digest}"
    assert first.line is not None
    assert (first.line.peer, first.line.is_new, first.line.tls) == (registry.host, True, "")
    assert second.line is not None
    assert not second.line.is_new
    assert dict(first.told)["Content-Length"] == str(len(BLOB))
    sizes = {fact.asked.number: fact.size for fact in only(events, Received)}
    sizes |= {fact.asked.number: fact.received for fact in (first, second) if fact.received is not None}
    assert sizes == {1: len(BLOB), 2: len(BLOB)}


async def test_the_bytes_of_a_body_that_bypasses_the_parser_are_counted() -> None:
    events: list[Event] = []
    async with serve() as registry:
        registry.add_blob("app", LARGE)
        async with heard(registry, events) as repository:
            assert await fetched(repository, described(LARGE)) == LARGE
    assert sum(fact.size for fact in only(events, Received)) == len(LARGE)
    assert all(fact.is_whole for fact in only(events, Received))


@pytest.mark.parametrize("raw", [BLOB, LARGE], ids=["parsed", "direct"])
async def test_a_body_that_breaks_off_is_told_with_the_retry_and_the_range_that_follows(raw: bytes) -> None:
    events: list[Event] = []
    async with serve(faults=[faults.cut(None, after=20_000, kind="blob")]) as registry:
        registry.add_blob("app", raw)
        async with heard(registry, events) as repository:
            assert await fetched(repository, described(raw)) == raw
    broken = next(fact for fact in only(events, Received) if not fact.is_whole)
    assert broken.size == 20_000
    (retried,) = only(events, Retried)
    assert (retried.host, retried.attempt) == (registry.host, 2)
    ranged = next(fact for fact in only(events, Answered) if fact.asked.range)
    assert ranged.asked.range.startswith("bytes=20000-")
    assert ("Content-Range", f"bytes 20000-{len(raw) - 1}/{len(raw)}") in ranged.told


async def test_the_tls_version_of_a_new_connection_is_told(tmp_path: Path) -> None:
    events: list[Event] = []
    authority = certificates.Authority(tmp_path)
    async with serve(tls=authority.server()) as registry:
        registry.add_blob("app", BLOB)
        async with heard(registry, events, ca_file=authority.file) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB
    (first,) = only(events, Answered)
    assert first.line is not None
    assert first.line.tls == "TLSv1.3"


async def test_b15_a_redirect_is_told_without_its_signature() -> None:
    events: list[Event] = []
    async with serve() as registry, serve_cdn(registry) as cdn:
        registry.add_blob("app", BLOB)
        registry.faults.append(cdn.redirect())
        async with heard(registry, events) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB
        assert any("sig" in request.query for request in cdn.journal)
    (redirected,) = only(events, Redirected)
    assert (redirected.status, redirected.origin) == (307, registry.url)
    assert redirected.target.startswith(cdn.url)
    assert not redirected.with_secrets
    assert "?" not in repr(only(events, Traced))


async def test_b15_a_token_is_told_by_scope_and_lifetime_and_not_itself() -> None:
    events: list[Event] = []
    async with serve(auth=Bearer(USERS, anonymous=set())) as registry:
        registry.add_blob("app", BLOB)
        async with heard(registry, events, login=True) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB
        sent = [request.headers.get("Authorization", "") for request in registry.journal]
    (granted,) = only(events, Granted)
    assert (granted.scope, granted.account) == ("repository:app:pull", "the test's")
    assert granted.lifetime >= 60
    told = repr(only(events, Traced))
    assert SECRET not in told
    assert all(value.split(" ")[-1] not in told for value in sent if value)


async def test_b15_headers_are_told_only_where_their_value_can_hold_no_secret() -> None:
    events: list[Event] = []
    told = {
        "RateLimit-Limit": "100;w=21600",
        "RateLimit-Remaining": SECRET,
        "X-RateLimit-Reset": "60",
        "Set-Cookie": SECRET,
    }
    async with serve(auth=Basic(USERS), faults=[faults.headers(None, add=told, times=None)]) as registry:
        registry.add_blob("app", BLOB)
        async with heard(registry, events, login=True) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB
    names = {name: value for fact in only(events, Answered) for name, value in fact.told}
    assert (names["RateLimit-Limit"], names["X-RateLimit-Reset"]) == ("100;w=21600", "60")
    assert "RateLimit-Remaining" not in names
    assert SECRET not in repr(only(events, Traced))


async def test_a_request_that_fails_is_told_with_its_reason() -> None:
    events: list[Event] = []
    async with serve() as registry:
        pass
    async with heard(registry, events) as repository:
        with pytest.raises(PullerError):
            await fetched(repository, described(BLOB))
    failed = only(events, Unanswered)
    assert [fact.asked.number for fact in failed] == [1, 2, 3]
    assert {fact.kind for fact in failed} == {"Unavailable"}


async def test_a_request_without_an_answer_is_told_as_pending() -> None:
    events: list[Event] = []
    async with serve(faults=[faults.hang(None, kind="blob")]) as registry:
        registry.add_blob("app", BLOB)
        async with heard(registry, events, overdue=0.05) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB
    (overdue,) = only(events, Overdue)
    assert overdue.asked.number == 1
    assert overdue.seconds >= 0.05


async def test_a_request_that_is_cancelled_is_not_told_as_pending_later() -> None:
    events: list[Event] = []
    async with serve(faults=[faults.hang(None, kind="blob")]) as registry:
        registry.add_blob("app", BLOB)
        async with heard(registry, events, overdue=0.15) as repository:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await fetched(repository, described(BLOB))
            await asyncio.sleep(0.1)
    assert only(events, Overdue) == []


async def test_a_range_that_is_ignored_is_told_as_a_decision() -> None:
    events: list[Event] = []
    odd = [faults.cut(None, after=20_000, kind="blob"), faults.wrong_range(None, "multipart")]
    async with serve(faults=odd) as registry:
        registry.add_blob("app", BLOB)
        async with heard(registry, events) as repository:
            assert await fetched(repository, described(BLOB)) == BLOB
    assert [fact.text.split(":")[0] for fact in only(events, Remarked)] == ["asking for the whole"]


async def test_a_manifest_that_was_read_with_its_name_is_told_as_not_asked_again() -> None:
    events: list[Event] = []
    async with serve() as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        async with heard(registry, events) as repository:
            pinned = Reference.parse(registry.name(f"app@{MANIFEST_DESCRIPTOR.digest}"))
            assert await fetched(repository, await repository.resolve(pinned)) == MANIFEST
    assert [fact.where for fact in only(events, Remarked)] == [MANIFEST_DESCRIPTOR.digest.short]


async def test_b15_the_proxy_of_a_connection_is_told_without_its_password() -> None:
    events: list[Event] = []
    async with serve() as registry, serve_proxy(users=USERS, hosts={"registry.test": "127.0.0.1"}) as proxy:
        registry.add_blob("app", BLOB)
        host = f"registry.test:{registry.host.rpartition(':')[2]}"
        way = Proxy.parse(proxy.url.replace("://", f"://ann:{SECRET}@"))
        client = RegistryClient(
            plain_http=[host], proxies=Proxies(way, way), report=events.append, debug=True, world=Time().world()
        )
        async with client:
            repository = client.repository(Reference.parse(f"{host}/app"))
            assert await fetched(repository, described(BLOB)) == BLOB
    (answered,) = only(events, Answered)
    assert answered.line is not None
    assert (answered.line.proxy, answered.line.peer) == (proxy.url, proxy.host)
    assert SECRET not in repr(events)


async def test_a_request_to_a_mirror_is_told_as_one() -> None:
    events: list[Event] = []
    async with serve() as mirror, serve() as registry:
        mirror.add_blob("app", BLOB)
        endpoints = [Endpoint(mirror.host, "app", is_mirror=True), Endpoint(registry.host, "app")]
        client = RegistryClient(routes=Listed(endpoints), report=events.append, debug=True, world=Time().world())
        async with client:
            source = client.source(Reference.parse(registry.name("app")))
            async with source.fetch(described(BLOB)) as body:
                assert b"".join([bytes(chunk) async for chunk in body]) == BLOB
    assert [fact.asked.mirror for fact in only(events, Answered)] == [True]
