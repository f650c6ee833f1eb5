"""The faults: which requests they meet, how often, and what they change in the answer."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from testregistry import Answer, Bearer, Request, faults, json_answer, serve
from testregistry.fault import Fault
from tests.testregistry.asking import ask, get
from tests.testregistry.serving import CONTENT, IMAGE, LAYER, SIZE, body_of, serving, wire


@pytest.mark.parametrize("at", [0, SIZE // 2, SIZE - 1, -1, -SIZE])
async def test_n3_flip_changes_exactly_one_byte(at: int) -> None:
    async with serving(faults.flip(LAYER.digest, at=at)) as (_, url):
        got = await get(url)
    assert [index for index in range(SIZE) if got.body[index] != CONTENT[index]] == [at % SIZE]
    assert len(got.body) == SIZE


async def test_n4_flip_means_the_place_in_the_whole_content_also_in_a_range() -> None:
    async with serving(faults.flip(LAYER.digest, at=105)) as (_, url):
        got = await get(url, Range="bytes=100-")
    assert [index for index in range(SIZE - 100) if got.body[index] != CONTENT[100 + index]] == [5]


async def test_flip_outside_the_range_served_changes_nothing() -> None:
    async with serving(faults.flip(LAYER.digest, at=5)) as (_, url):
        assert (await get(url, Range="bytes=100-")).body == CONTENT[100:]


async def test_answer_sends_what_a_function_of_the_request_makes() -> None:
    def page(request: Request) -> Answer:
        number = int(request.query.removeprefix("page=") or 0)
        link = f'</v2/app/tags/list?page={number + 1}>; rel="next"'
        return json_answer(200, {"name": "app", "tags": [f"t{number}"]}, ("Link", link))

    async with serving(faults.answer(None, page, kind="tags", times=None)) as (registry, _):
        got = await get(f"{registry.url}/v2/app/tags/list?page=7")
    assert got.json()["tags"] == ["t7"]
    assert got.headers["Link"] == '</v2/app/tags/list?page=8>; rel="next"'


@pytest.mark.parametrize("code", [401, 403, 404, 429, 500, 503])
async def test_n7_status_answers_with_the_status_headers_and_body_given(code: int) -> None:
    fault = faults.status(LAYER.digest, code, headers={"Retry-After": "2"}, body=b"busy")
    async with serving(fault) as (_, url):
        got = await get(url)
    assert (got.status, got.headers["Retry-After"], got.body) == (code, "2", b"busy")


async def test_n8_a_burst_ends_after_its_times() -> None:
    async with serving(faults.status(503, kind="manifest", times=2)) as (registry, _):
        url = f"{registry.url}/v2/app/manifests/1"
        assert [(await get(url)).status for _ in range(3)] == [503, 503, 200]


async def test_times_none_lasts_for_ever() -> None:
    async with serving(faults.status(503, kind="blob", times=None)) as (_, url):
        assert {(await get(url)).status for _ in range(5)} == {503}


async def test_skip_leaves_the_first_ones_alone() -> None:
    async with serving(faults.status(503, kind="blob", skip=2)) as (_, url):
        assert [(await get(url)).status for _ in range(4)] == [200, 200, 503, 200]


async def test_a_fault_meets_a_manifest_by_digest_also_behind_its_tag() -> None:
    async with serving(faults.status(IMAGE.digest, 503)) as (registry, _):
        assert (await get(f"{registry.url}/v2/app/manifests/1")).status == 503


async def test_a_fault_of_the_body_leaves_head_requests_alone() -> None:
    async with serving(faults.cut(LAYER.digest)) as (_, url):
        assert (await ask("HEAD", url)).status == 200
        assert body_of(await wire(url)) == b""


@pytest.mark.parametrize(
    "match",
    [
        faults.Match(kind="tags"),
        faults.Match(method="DELETE"),
        faults.Match(repository="other"),
        faults.Match(path=r"\?n=1$"),
        faults.Match(ranged=True),
        faults.Match("sha256:" + "0" * 64),
    ],
)
async def test_a_fault_leaves_alone_what_does_not_match(match: faults.Match) -> None:
    async with serving(faults.status(match, 503)) as (_, url):
        assert (await get(url)).status == 200


@pytest.mark.parametrize(
    "match",
    [
        faults.Match(kind="blob"),
        faults.Match(method="GET"),
        faults.Match(repository="app"),
        faults.Match(path=r"^/v2/app/blobs/.*\?x=1$"),
        faults.Match(ranged=False),
        faults.Match(LAYER.digest),
    ],
)
async def test_a_fault_meets_what_matches(match: faults.Match) -> None:
    fault = faults.status(match, 503)
    async with serving(fault) as (registry, url):
        assert (await get(f"{url}?x=1")).status == 503
        assert registry.faults.met(fault) == 1
        assert registry.journal.requests[0].faults == ["status"]


async def test_faults_can_be_armed_and_disarmed_while_the_registry_runs() -> None:
    async with serving() as (registry, url):
        registry.faults.append(faults.status(503, times=None))
        assert (await get(url)).status == 503
        registry.faults.clear()
        assert (await get(url)).status == 200


async def test_one_fault_counts_for_itself_in_each_registry() -> None:
    fault = faults.status(503, kind="blob")
    for _ in range(2):
        async with serving(fault) as (_, url):
            assert (await get(url)).status == 503


async def test_several_faults_meet_one_request_together() -> None:
    async with serving(faults.flip(LAYER.digest, at=0), faults.cut(LAYER.digest, after=5)) as (registry, url):
        assert body_of(await wire(url)) == bytes([CONTENT[0] ^ 0xFF]) + CONTENT[1:5]
        assert registry.journal.requests[0].faults == ["flip", "cut"]


async def test_n10_expire_token_turns_away_a_token_that_was_good() -> None:
    bearer = Bearer()
    async with serve(auth=bearer, faults=[faults.expire_token(LAYER.digest, skip=1)]) as registry:
        registry.add("app:1", IMAGE)
        query = "service=testregistry&scope=repository:app:pull"
        value = (await get(f"{bearer.endpoint}?{query}")).json()["token"]
        url = f"{registry.url}/v2/app/blobs/{LAYER.digest}"
        answers = [await get(url, Authorization=f"Bearer {value}") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 401]
    assert 'error="invalid_token"' in answers[1].headers["WWW-Authenticate"]


async def test_a_request_turned_away_for_want_of_a_token_does_not_use_a_fault_up() -> None:
    fault = faults.status(503, kind="blob")
    async with serve(auth=Bearer(), faults=[fault]) as registry:
        assert (await get(f"{registry.url}/v2/app/blobs/{LAYER.digest}")).status == 401
        assert registry.faults.met(fault) == 0


@pytest.mark.parametrize(
    "fault", [faults.status(503, kind="ping"), faults.status(503, path="^/v2/$", before_auth=True)]
)
async def test_a_fault_can_come_before_authentication(fault: Fault) -> None:
    async with serve(auth=Bearer(), faults=[fault]) as registry:
        assert (await get(f"{registry.url}/v2/")).status == 503


async def test_n12_faults_meet_the_token_endpoint() -> None:
    bearer = Bearer()
    async with serve(auth=bearer, faults=[faults.body(None, b"<html>", kind="token")]) as _:
        got = await get(f"{bearer.endpoint}?service=testregistry")
    assert (got.status, got.body) == (200, b"<html>")


@pytest.mark.parametrize("location", ["http://127.0.0.1:9/x", "/elsewhere", "//h/x", "file:///etc/passwd", "x y"])
async def test_n14_redirect_sends_any_location(location: str) -> None:
    async with serving(faults.redirect(LAYER.digest, location, code=302)) as (_, url):
        got = await get(url)
    assert (got.status, got.headers["Location"]) == (302, location)


async def test_redirect_can_ask_where_to_go_each_time() -> None:
    async with serving(faults.redirect(None, lambda request: f"/{request.method}", kind="blob")) as (_, url):
        got = await get(url)
    assert (got.status, got.headers["Location"]) == (307, "/GET")


async def test_n15_ignore_range_answers_200_with_everything() -> None:
    async with serving(faults.ignore_range(LAYER.digest)) as (registry, url):
        got = await get(url, Range="bytes=100-")
        assert (got.status, got.body) == (200, CONTENT)
        assert registry.journal.ranges(LAYER.digest) == ["bytes=100-"]


async def test_ignore_range_waits_for_a_request_with_a_range() -> None:
    async with serving(faults.ignore_range(LAYER.digest)) as (_, url):
        await get(url)
        assert (await get(url, Range="bytes=100-")).status == 200
        assert (await get(url, Range="bytes=100-")).status == 206


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("first", [f"bytes 101-{SIZE - 1}/{SIZE}"]),
        ("total", [f"bytes 100-{SIZE - 1}/{SIZE + 1}"]),
        ("star", [f"bytes 100-{SIZE - 1}/*"]),
        ("two-headers", [f"bytes 100-{SIZE - 1}/{SIZE}", f"bytes 0-{SIZE - 1}/{SIZE}"]),
        ("missing", []),
    ],
)
async def test_n16_wrong_range_lies_in_the_content_range(kind: faults.WrongRange, expected: list[str]) -> None:
    async with serving(faults.wrong_range(LAYER.digest, kind)) as (_, url):
        got = await get(url, Range="bytes=100-")
    assert (got.status, got.body) == (206, CONTENT[100:])
    assert got.headers.getall("Content-Range", []) == expected


async def test_n16_wrong_range_multipart_wraps_the_bytes_in_a_part() -> None:
    async with serving(faults.wrong_range(LAYER.digest, "multipart")) as (_, url):
        got = await get(url, Range="bytes=100-")
    assert got.headers["Content-Type"] == "multipart/byteranges; boundary=edge"
    assert CONTENT[100:] in got.body
    assert got.body.endswith(b"--edge--\r\n")
    assert "Content-Range" not in got.headers


@pytest.mark.parametrize(
    ("coding", "decode"),
    [
        ("gzip", gzip.decompress),
        ("deflate", zlib.decompress),
        ("gzip, gzip", lambda raw: gzip.decompress(gzip.decompress(raw))),
        ("br", bytes),
    ],
)
async def test_n21_content_encoding_encodes_what_it_can_and_says_so(
    coding: str, decode: Callable[[bytes], bytes]
) -> None:
    async with serving(faults.content_encoding(LAYER.digest, coding)) as (_, url):
        got = await get(url)
    assert got.headers["Content-Encoding"] == coding
    assert decode(got.body) == CONTENT


async def test_n22_headers_can_be_taken_away_replaced_and_doubled() -> None:
    name = "Docker-Content-Digest"
    armed = (
        faults.headers(LAYER.digest, remove=[name]),
        faults.headers(LAYER.digest, remove=[name], add={name: "sha256:wrong"}, skip=1),
        faults.headers(LAYER.digest, add={name: "sha256:wrong"}, skip=2),
    )
    async with serving(*armed) as (_, url):
        seen = [(await get(url)).headers.getall(name, []) for _ in range(3)]
    assert seen == [[], ["sha256:wrong"], [LAYER.digest, "sha256:wrong"]]


async def test_c1_body_sends_other_bytes_under_the_right_headers() -> None:
    async with serving(faults.body(IMAGE.digest, b"{}")) as (registry, _):
        got = await get(f"{registry.url}/v2/app/manifests/1")
    assert (got.body, got.headers["Docker-Content-Digest"]) == (b"{}", IMAGE.digest)
    assert got.headers["Content-Length"] == "2"


async def test_c13_swap_answers_with_other_content() -> None:
    async with serving(faults.swap(LAYER.digest, IMAGE.config.digest)) as (_, url):
        assert (await get(url)).body == IMAGE.config.raw
