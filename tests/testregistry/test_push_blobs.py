"""Distribution-spec 1.1, "Push": blobs, whole, in chunks, mounted."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from testregistry import Request, TestRegistry, images, serve
from testregistry.grammar import digest_of
from tests.testregistry.asking import Got, absolute, ask, get, with_digest

CONTENT = b"0123456789" * 50
DIGEST = digest_of(CONTENT)


async def start(registry: TestRegistry, name: str = "app", query: str = "") -> str:
    got = await ask("POST", f"{registry.url}/v2/{name}/blobs/uploads/{query}", headers={"Content-Length": "0"})
    assert got.status == 202
    return absolute(registry.url, got.headers["Location"])


async def patch(location: str, chunk: bytes, span: str | None) -> Got:
    headers = {"Content-Type": "application/octet-stream"}
    if span is not None:
        headers["Content-Range"] = span
    return await ask("PATCH", location, headers=headers, data=chunk)


async def stored(registry: TestRegistry, digest: str = DIGEST, name: str = "app") -> bytes | None:
    got = await get(f"{registry.url}/v2/{name}/blobs/{digest}")
    return got.body if got.status == 200 else None


async def test_post_then_put_stores_a_blob_and_says_where() -> None:
    async with serve() as registry:
        location = await start(registry)
        got = await ask("PUT", with_digest(location, DIGEST), data=CONTENT)
        assert got.status == 201
        assert got.headers["Docker-Content-Digest"] == DIGEST
        assert (await get(absolute(registry.url, got.headers["Location"]))).body == CONTENT


async def test_a_started_upload_has_a_unique_location() -> None:
    async with serve() as registry:
        assert await start(registry) != await start(registry)


async def test_one_post_with_a_digest_stores_a_blob() -> None:
    async with serve() as registry:
        got = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/?digest={DIGEST}", data=CONTENT)
        assert got.status == 201
        assert await stored(registry) == CONTENT


async def test_an_empty_blob_can_be_pushed() -> None:
    async with serve() as registry:
        got = await ask("PUT", with_digest(await start(registry), digest_of(b"")), headers={"Content-Length": "0"})
        assert got.status == 201
        assert await stored(registry, digest_of(b"")) == b""


async def test_sha512_blobs_are_stored_under_their_own_digest() -> None:
    digest = f"sha512:{hashlib.sha512(CONTENT).hexdigest()}"
    async with serve() as registry:
        got = await ask("PUT", with_digest(await start(registry), digest), data=CONTENT)
        assert (got.status, got.headers["Docker-Content-Digest"]) == (201, digest)
        assert await stored(registry, digest) == CONTENT


@pytest.mark.parametrize("verb", ["POST", "PUT"])
async def test_content_with_another_digest_is_refused_and_not_stored(verb: str) -> None:
    wrong = digest_of(b"something else")
    async with serve() as registry:
        where = await start(registry) if verb == "PUT" else f"{registry.url}/v2/app/blobs/uploads/"
        got = await ask(verb, with_digest(where, wrong), data=CONTENT)
        assert (got.status, got.codes()) == (400, ["DIGEST_INVALID"])
        assert await stored(registry, wrong) is None
        assert await stored(registry) is None


@pytest.mark.parametrize("digest", ["", "sha256:beef", "md5:" + "0" * 32])
async def test_closing_an_upload_wants_a_proper_digest(digest: str) -> None:
    async with serve() as registry:
        got = await ask("PUT", with_digest(await start(registry), digest), data=CONTENT)
    assert (got.status, got.codes()) == (400, ["DIGEST_INVALID"])


async def test_chunks_in_order_make_a_blob() -> None:
    async with serve() as registry:
        location = await start(registry)
        for first in (0, 200, 400):
            chunk = CONTENT[first : first + 200]
            got = await patch(location, chunk, f"{first}-{first + len(chunk) - 1}")
            assert (got.status, got.headers["Range"]) == (202, f"0-{first + len(chunk) - 1}")
            location = absolute(registry.url, got.headers["Location"])
        got = await ask("PUT", with_digest(location, DIGEST), headers={"Content-Length": "0"})
        assert got.status == 201
        assert await stored(registry) == CONTENT


async def test_the_last_chunk_may_come_with_the_closing_put() -> None:
    async with serve() as registry:
        location = await start(registry)
        await patch(location, CONTENT[:300], "0-299")
        got = await ask("PUT", with_digest(location, DIGEST), headers={"Content-Range": "300-499"}, data=CONTENT[300:])
        assert got.status == 201
        assert await stored(registry) == CONTENT


@pytest.mark.parametrize("span", ["100-199", "0-99", "49-148", "51-150"])
async def test_a_chunk_out_of_order_is_416_and_says_where_the_upload_stands(span: str) -> None:
    async with serve() as registry:
        location = await start(registry)
        await patch(location, CONTENT[:50], "0-49")
        got = await patch(location, CONTENT[:100], span)
        assert (got.status, got.headers["Range"]) == (416, "0-49")
        assert "Location" in got.headers


async def test_the_first_chunk_must_begin_with_zero() -> None:
    async with serve() as registry:
        got = await patch(await start(registry), CONTENT[:50], "1-50")
    assert got.status == 416


@pytest.mark.parametrize("span", ["bytes 0-49/500", "bytes=0-49", "0-", "-49", "a-b"])
async def test_a_content_range_in_another_form_is_416(span: str) -> None:
    async with serve() as registry:
        got = await patch(await start(registry), CONTENT[:50], span)
    assert got.status == 416


async def test_a_closing_put_out_of_order_is_416() -> None:
    async with serve() as registry:
        location = await start(registry)
        await patch(location, CONTENT[:300], "0-299")
        span = {"Content-Range": "200-499"}
        assert (await ask("PUT", with_digest(location, DIGEST), headers=span, data=CONTENT[200:])).status == 416


async def test_a_chunk_of_another_length_than_announced_is_refused_and_forgotten() -> None:
    async with serve() as registry:
        location = await start(registry)
        got = await patch(location, CONTENT[:40], "0-49")
        assert (got.status, got.codes()) == (400, ["SIZE_INVALID"])
        assert (await get(location)).headers["Range"] == "0-0"
        assert (await patch(location, CONTENT[:50], "0-49")).status == 202


async def test_a_stream_without_length_or_range_is_taken_as_the_next_bytes() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield CONTENT[:123]
        yield CONTENT[123:]

    async with serve() as registry:
        location = await start(registry)
        got = await ask("PATCH", location, data=pieces())
        assert (got.status, got.headers["Range"]) == (202, "0-499")
        assert (await ask("PUT", with_digest(location, DIGEST))).status == 201
        assert await stored(registry) == CONTENT


async def test_a_second_chunk_without_a_range_is_416() -> None:
    async with serve() as registry:
        location = await start(registry)
        await patch(location, CONTENT[:50], None)
        assert (await patch(location, CONTENT[50:], None)).status == 416


async def test_the_status_of_an_upload_is_204_with_its_range() -> None:
    async with serve() as registry:
        location = await start(registry)
        await patch(location, CONTENT[:50], "0-49")
        got = await get(location)
    assert (got.status, got.headers["Range"]) == (204, "0-49")
    assert "Location" in got.headers


async def test_a_cancelled_upload_is_gone() -> None:
    async with serve() as registry:
        location = await start(registry)
        assert (await ask("DELETE", location)).status == 204
        got = await ask("PUT", with_digest(location, DIGEST), data=CONTENT)
    assert (got.status, got.codes()) == (404, ["BLOB_UPLOAD_UNKNOWN"])


async def test_a_finished_upload_is_gone() -> None:
    async with serve() as registry:
        location = await start(registry)
        await ask("PUT", with_digest(location, DIGEST), data=CONTENT)
        assert (await get(location)).status == 404


async def test_an_upload_url_must_be_used_as_it_was_given() -> None:
    async with serve() as registry:
        location = await start(registry)
        got = await ask("PUT", f"{location.partition('?')[0]}?digest={DIGEST}", data=CONTENT)
    assert (got.status, got.codes()) == (400, ["BLOB_UPLOAD_INVALID"])


async def test_an_upload_belongs_to_its_repository() -> None:
    async with serve() as registry:
        location = await start(registry)
        got = await ask("PUT", with_digest(location.replace("/v2/app/", "/v2/other/"), DIGEST), data=CONTENT)
    assert got.status == 404


async def test_a_blob_is_mounted_from_another_repository() -> None:
    async with serve() as registry:
        registry.add_blob("source", CONTENT)
        got = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/?mount={DIGEST}&from=source")
        assert got.status == 201
        assert (await get(absolute(registry.url, got.headers["Location"]))).body == CONTENT


async def test_a_mount_without_from_finds_the_blob_anywhere() -> None:
    async with serve() as registry:
        registry.add_blob("source", CONTENT)
        got = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/?mount={DIGEST}")
        assert got.status == 201
        assert await stored(registry) == CONTENT


@pytest.mark.parametrize("query", [f"mount={DIGEST}&from=nobody", f"mount={DIGEST}", "mount=garbage&from=source"])
async def test_a_mount_that_cannot_be_begins_an_upload_instead(query: str) -> None:
    async with serve() as registry:
        registry.add_blob("source", b"something else")
        location = await start(registry, query=f"?{query}")
        assert (await ask("PUT", with_digest(location, DIGEST), data=CONTENT)).status == 201


async def test_pushing_what_is_there_already_is_no_error() -> None:
    async with serve() as registry:
        registry.add("app:1", images.image())
        for _ in range(2):
            assert (await ask("PUT", with_digest(await start(registry), DIGEST), data=CONTENT)).status == 201


async def test_an_upload_into_a_bad_name_is_refused() -> None:
    async with serve() as registry:
        got = await ask("POST", f"{registry.url}/v2/App/blobs/uploads/")
    assert (got.status, got.codes()) == (400, ["NAME_INVALID"])


async def test_two_chunks_at_once_for_one_upload_are_taken_one_after_the_other() -> None:
    go = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield CONTENT[:10]
        await go.wait()
        yield CONTENT[10:50]

    async with serve() as registry:
        location = await start(registry)
        arrived: asyncio.Queue[Request] = asyncio.Queue()
        registry.on_request.append(arrived.put_nowait)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(ask("PATCH", location, headers={"Content-Range": "0-49"}, data=slow()))
            await arrived.get()
            second = group.create_task(patch(location, CONTENT[50:100], "50-99"))
            await arrived.get()
            go.set()
        assert (first.result().status, second.result().status) == (202, 202)
        assert (await get(location)).headers["Range"] == "0-99"


async def test_a_chunk_that_breaks_off_is_forgotten() -> None:
    async with serve() as registry:
        location = await start(registry)
        await patch(location, CONTENT[:50], "0-49")
        arrived: asyncio.Queue[Request] = asyncio.Queue()
        registry.on_request.append(arrived.put_nowait)
        parts = urlsplit(location)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"PATCH {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n"
        writer.write(f"{head}Content-Length: 50\r\nContent-Range: 50-99\r\n\r\n".encode() + CONTENT[50:60])
        await writer.drain()
        await arrived.get()
        writer.transport.abort()
        assert (await patch(location, CONTENT[50:100], "50-99")).status == 202
        assert (await get(location)).headers["Range"] == "0-99"
