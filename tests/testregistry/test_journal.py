"""The journal and the hooks: what tests ask after a pull."""

from __future__ import annotations

import pytest

from testregistry import Request, TestRegistry, images, serve
from testregistry.target import Kind
from tests.testregistry.asking import ask, get

LAYER = images.layer({"a": b"b" * 1000})
IMAGE = images.image(LAYER)
OTHER = images.image(LAYER, annotations={"other": "yes"})


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v2/", "ping"),
        ("/v2", "ping"),
        ("/v2/app/manifests/1", "manifest"),
        ("/v2/app/blobs/sha256:00", "blob"),
        ("/v2/app/tags/list?n=1", "tags"),
        ("/v2/_catalog", "catalog"),
        ("/v2/app/referrers/sha256:00", "referrers"),
        ("/v2/app/blobs/uploads/", "upload"),
        ("/v2/app/blobs/uploads/some-session", "upload"),
        ("/token?service=x", "token"),
        ("/favicon.ico", "other"),
    ],
)
async def test_every_request_is_noted_with_its_kind(path: str, kind: Kind) -> None:
    async with serve() as registry:
        await get(f"{registry.url}{path}")
    (request,) = registry.journal.requests
    assert (request.method, request.kind) == ("GET", kind)
    assert f"{request.path}{'?' if request.query else ''}{request.query}" == path


async def test_a_request_keeps_repository_reference_headers_and_range() -> None:
    async with serve() as registry:
        registry.add("team/app:1", IMAGE)
        await get(f"{registry.url}/v2/team/app/manifests/1", X_Mine="yes", Range="bytes=0-")
    (request,) = registry.journal.requests
    assert (request.repository, request.reference, request.digest) == ("team/app", "1", IMAGE.digest)
    assert request.reference_or_digest == "1"
    assert (request.headers["x-mine"], request.range, request.version) == ("yes", "bytes=0-", "1.1")


async def test_a_request_keeps_what_was_answered() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        await get(f"{registry.url}/v2/app/blobs/{LAYER.digest}", Range="bytes=5-9")
    (request,) = registry.journal.requests
    assert (request.status, request.bytes_sent) == (206, 5)
    assert request.answer_headers["content-range"] == f"bytes 5-9/{LAYER.size}"
    assert request.finished is not None
    assert request.started <= request.finished


async def test_requests_are_counted_by_method_kind_digest_and_status() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        url = f"{registry.url}/v2/app/blobs/{LAYER.digest}"
        await get(url)
        await get(url, Range="bytes=9-")
        await ask("HEAD", url)
        await get(f"{registry.url}/v2/app/manifests/2")
    journal = registry.journal
    assert (len(journal), journal.count("GET"), journal.count("HEAD")) == (4, 3, 1)
    assert (journal.count(kind="blob"), journal.count(status=404)) == (3, 1)
    assert (journal.gets(LAYER.digest), journal.ranges(LAYER.digest)) == (2, [None, "bytes=9-"])
    assert journal.bytes_sent(LAYER.digest) == LAYER.size + LAYER.size - 9
    assert journal.count(repository="other") == 0


async def test_a_cleared_journal_is_empty() -> None:
    async with serve() as registry:
        await get(f"{registry.url}/v2/")
        registry.journal.clear()
        assert list(registry.journal) == []


async def digest_served(registry: TestRegistry) -> str:
    return (await get(f"{registry.url}/v2/app/manifests/1")).headers["Docker-Content-Digest"]


async def test_c3_what_a_hook_changes_before_a_request_that_request_sees() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        registry.add("app", OTHER)
        registry.on_request.append(lambda request: registry.tag("app:1", OTHER.digest))
        assert await digest_served(registry) == OTHER.digest
        assert registry.journal.requests[0].digest == OTHER.digest


async def test_c3_what_a_hook_changes_after_an_answer_only_the_next_request_sees() -> None:
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        registry.add("app", OTHER)
        registry.on_answer.append(lambda request: registry.tag("app:1", OTHER.digest))
        assert [await digest_served(registry) for _ in range(2)] == [IMAGE.digest, OTHER.digest]


async def test_a_hook_may_be_a_coroutine_function_and_sees_the_status() -> None:
    seen: list[int | None] = []

    async def look(request: Request) -> None:
        seen.append(request.status)

    async with serve() as registry:
        registry.on_request.append(look)
        registry.on_answer.append(look)
        await get(f"{registry.url}/v2/")
    assert seen == [None, 200]
