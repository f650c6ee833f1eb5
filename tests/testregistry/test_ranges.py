"""RFC 9110 ranges and conditions, which the spec's "Pulling blobs" and "Resumable pulls" lean on."""

from __future__ import annotations

import pytest

from testregistry import serve
from testregistry.grammar import digest_of
from tests.testregistry.asking import Got, ask

CONTENT = bytes(range(200))
DIGEST = digest_of(CONTENT)


async def blob(*, method: str = "GET", **headers: str) -> Got:
    async with serve() as registry:
        registry.add_blob("app", CONTENT)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await ask(method, f"{registry.url}/v2/app/blobs/{DIGEST}", headers=named)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("0-0", 0, 0), ("50-", 50, 199), ("10-19", 10, 19), ("199-", 199, 199), ("100-900", 100, 199),
        ("-5", 195, 199), ("-900", 0, 199),
    ],
)  # fmt: skip
async def test_a_range_is_answered_with_206_and_exactly_those_bytes(asked: str, first: int, last: int) -> None:
    got = await blob(Range=f"bytes={asked}")
    assert got.status == 206
    assert got.body == CONTENT[first : last + 1]
    assert got.headers["Content-Range"] == f"bytes {first}-{last}/200"
    assert got.headers["Content-Length"] == str(last - first + 1)
    assert got.headers["Docker-Content-Digest"] == DIGEST


@pytest.mark.parametrize("asked", ["200-", "900-1000", "-0", "50-10"])
async def test_a_range_outside_the_blob_is_416_with_its_size(asked: str) -> None:
    got = await blob(Range=f"bytes={asked}")
    assert (got.status, got.headers["Content-Range"]) == (416, "bytes */200")


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b", "bytes 1-2"])
async def test_what_is_no_single_byte_range_is_ignored(asked: str) -> None:
    got = await blob(Range=asked)
    assert (got.status, got.body) == (200, CONTENT)


async def test_a_blob_says_that_it_takes_ranges() -> None:
    got = await blob()
    assert got.headers["Accept-Ranges"] == "bytes"


async def test_head_pays_no_heed_to_a_range() -> None:
    got = await blob(method="HEAD", Range="bytes=5-9")
    assert (got.status, got.headers["Content-Length"]) == (200, "200")


async def test_if_none_match_with_the_etag_is_304_without_a_body() -> None:
    etag = (await blob()).headers["ETag"]
    got = await blob(If_None_Match=f'"other", {etag}')
    assert (got.status, got.body) == (304, b"")
    assert got.headers["ETag"] == etag


async def test_if_none_match_with_another_etag_is_answered_in_full() -> None:
    assert (await blob(If_None_Match='"other"')).status == 200


async def test_if_match_with_another_etag_is_412() -> None:
    assert (await blob(If_Match='"other"')).status == 412


async def test_if_range_with_the_etag_lets_the_range_count() -> None:
    assert (await blob(Range="bytes=5-", If_Range=f'"{DIGEST}"')).status == 206


@pytest.mark.parametrize("validator", ['"other"', f'W/"{DIGEST}"', "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_if_range_with_anything_else_brings_the_whole_blob(validator: str) -> None:
    got = await blob(Range="bytes=5-", If_Range=validator)
    assert (got.status, got.body) == (200, CONTENT)


async def test_a_range_of_an_empty_blob_is_416() -> None:
    async with serve() as registry:
        digest = registry.add_blob("app", b"")
        got = await ask("GET", f"{registry.url}/v2/app/blobs/{digest}", headers={"Range": "bytes=0-"})
    assert (got.status, got.headers["Content-Range"]) == (416, "bytes */0")


async def test_a_manifest_answers_conditions_too() -> None:
    async with serve() as registry:
        digest = registry.add_manifest("app", b"{}", "application/json", "1")
        got = await ask("GET", f"{registry.url}/v2/app/manifests/1", headers={"If-None-Match": f'"{digest}"'})
    assert got.status == 304
