"""The faults, each seen from the client's end of the wire."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from testregistry import Bearer, TestRegistry, faults, images, serve
from testregistry.fault import Fault
from tests.testregistry.asking import ask, get
from tests.testregistry.listening import talk

CONTENT = bytes(range(250)) * 8
LAYER = images.raw_layer(CONTENT, "none")
IMAGE = images.image(LAYER)
SIZE = len(CONTENT)


@asynccontextmanager
async def serving(*armed: Fault) -> AsyncIterator[tuple[TestRegistry, str]]:
    """A registry with the image, and the URL of its layer."""
    async with serve(faults=armed) as registry:
        registry.add("app:1", IMAGE)
        yield registry, f"{registry.url}/v2/app/blobs/{LAYER.digest}"


async def wire(url: str, *, method: str = "GET", headers: str = "") -> bytes:
    """All bytes of the answer up to the end of the connection, which the client asks for."""
    return (await talk(url, method=method, headers=f"Connection: close\r\n{headers}")).data


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def head_of(answer: bytes) -> str:
    return answer.partition(b"\r\n\r\n")[0].decode()


@pytest.mark.parametrize("after", [0, 1, SIZE // 2, SIZE - 1, SIZE])
async def test_n1_cut_ends_the_connection_after_so_many_bytes(after: int) -> None:
    async with serving(faults.cut(LAYER.digest, after=after)) as (registry, url):
        heard = await talk(url)
        assert registry.journal.requests[0].bytes_sent == after
    assert body_of(heard.data) == CONTENT[:after]
    assert f"Content-Length: {SIZE}" in head_of(heard.data)
    assert not heard.reset


@pytest.mark.parametrize("after", [0, 1, SIZE // 2, SIZE - 1, SIZE])
async def test_n2_reset_breaks_the_connection_after_so_many_bytes(after: int) -> None:
    async with serving(faults.reset(LAYER.digest, after=after)) as (_, url):
        heard = await talk(url)
    assert body_of(heard.data) == CONTENT[:after]
    assert heard.reset


async def test_cut_counts_the_bytes_of_a_resumed_answer_from_its_own_start() -> None:
    async with serving(faults.cut(LAYER.digest, after=10)) as (_, url):
        answer = await wire(url, headers="Range: bytes=100-\r\n")
    assert body_of(answer) == CONTENT[100:110]


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


@pytest.mark.parametrize("after", [0, 700])
async def test_n5_stall_sends_so_much_and_then_nothing(after: int) -> None:
    async with serving(faults.stall(LAYER.digest, after=after)) as (_, url):
        heard = await talk(url, patience=0.2)
    assert body_of(heard.data) == CONTENT[:after]
    assert heard.silent


async def test_a_stall_with_an_end_goes_on_after_it() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with serve(faults=[faults.stall(LAYER.digest, after=10, seconds=30)], sleep=sleep) as registry:
        registry.add("app:1", IMAGE)
        got = await get(f"{registry.url}/v2/app/blobs/{LAYER.digest}")
    assert (got.body, slept) == (CONTENT, [30])


async def test_n5_hang_sends_nothing_at_all() -> None:
    async with serving(faults.hang(LAYER.digest)) as (_, url):
        heard = await talk(url, patience=0.2)
    assert (heard.data, heard.silent) == (b"", True)


async def test_a_stalled_answer_ends_when_its_client_goes() -> None:
    async with serving(faults.stall(LAYER.digest, after=10)) as (registry, url):
        await talk(url, patience=0.05)
        for _ in range(100):
            if registry.journal.requests[0].finished is not None:
                break
            await asyncio.sleep(0.01)
        assert registry.journal.requests[0].finished is not None


async def test_n6_drip_sends_at_the_rate_asked_for() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with serve(faults=[faults.drip(LAYER.digest, rate=100)], sleep=sleep) as registry:
        registry.add("app:1", IMAGE)
        got = await get(f"{registry.url}/v2/app/blobs/{LAYER.digest}")
    assert got.body == CONTENT
    assert sum(slept) == pytest.approx(SIZE / 100)
    assert len(slept) == SIZE / 5


@pytest.mark.parametrize("code", [401, 403, 404, 429, 500, 503])
async def test_n7_status_answers_with_the_status_headers_and_body_given(code: int) -> None:
    fault = faults.status(LAYER.digest, code, headers={"Retry-After": "2"}, body=b"busy")
    async with serving(fault) as (_, url):
        got = await get(url)
    assert (got.status, got.headers["Retry-After"], got.body) == (code, "2", b"busy")


@pytest.mark.parametrize("code", [204, 304])
async def test_n33_answers_without_a_body_have_no_length_either(code: int) -> None:
    async with serving(faults.status(LAYER.digest, code, body=b"ignored")) as (_, url):
        answer = await wire(url)
    assert "Content-Length" not in head_of(answer)
    assert body_of(answer) == b""


@pytest.mark.parametrize("code", [205, 226, 299, 599])
async def test_n33_any_status_can_be_sent(code: int) -> None:
    async with serving(faults.status(code, kind="blob")) as (_, url):
        assert head_of(await wire(url)).startswith(f"HTTP/1.1 {code} ")


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


@pytest.mark.parametrize("delta", [-10, 10])
async def test_n18_wrong_length_declares_another_length_and_sends_all(delta: int) -> None:
    async with serving(faults.wrong_length(LAYER.digest, delta=delta)) as (_, url):
        answer = await wire(url)
    assert f"Content-Length: {SIZE + delta}" in head_of(answer)
    assert body_of(answer) == CONTENT


async def test_n25_too_short_a_length_leaves_the_rest_on_a_connection_kept_open() -> None:
    async with serving(faults.wrong_length(LAYER.digest, delta=-10)) as (_, url):
        heard = await talk(url, patience=0.2)
    assert body_of(heard.data) == CONTENT
    assert heard.silent


async def test_n18_any_length_header_can_be_sent() -> None:
    fault = faults.headers(LAYER.digest, add=[("Content-Length", "5"), ("Content-Length", "-7")])
    async with serving(fault) as (_, url):
        head = head_of(await wire(url))
    lengths = [line for line in head.splitlines() if line.startswith("Content-Length")]
    assert lengths == ["Content-Length: 5", "Content-Length: -7"]


async def test_n19_close_delimited_is_http_1_0_cut_where_asked() -> None:
    async with serving(faults.close_delimited(LAYER.digest, cut=40)) as (_, url):
        answer = await wire(url)
    assert head_of(answer).startswith("HTTP/1.0 200 ")
    assert "Content-Length" not in head_of(answer)
    assert body_of(answer) == CONTENT[:40]


async def test_n20_no_length_sends_chunks_to_their_end() -> None:
    async with serving(faults.no_length(LAYER.digest)) as (_, url):
        answer = await wire(url)
        assert "Transfer-Encoding: chunked" in head_of(answer)
        assert "Content-Length" not in head_of(answer)
        assert answer.endswith(b"\r\n0\r\n\r\n")


async def test_no_length_is_read_back_as_the_content() -> None:
    async with serving(faults.no_length(LAYER.digest)) as (_, url):
        assert (await get(url)).body == CONTENT


async def test_n24_no_length_leaves_the_length_out_of_head_too() -> None:
    async with serving(faults.no_length(LAYER.digest)) as (_, url):
        got = await ask("HEAD", url)
    assert got.status == 200
    assert "Content-Length" not in got.headers


@pytest.mark.parametrize(("after", "tail"), [(100, CONTENT[:100]), (SIZE, CONTENT + b"\r\n")])
async def test_n20_a_cut_inside_or_after_the_last_chunk_leaves_out_the_end_mark(after: int, tail: bytes) -> None:
    armed = (faults.no_length(LAYER.digest), faults.cut(LAYER.digest, after=after))
    async with serving(*armed) as (_, url):
        assert body_of(await wire(url)).partition(b"\r\n")[2] == tail
    async with serving(*armed) as (_, url):
        with pytest.raises(aiohttp.ClientPayloadError):
            await get(url)


@pytest.mark.parametrize(
    ("coding", "decode"),
    [
        ("gzip", gzip.decompress),
        ("deflate", zlib.decompress),
        ("gzip, gzip", lambda raw: gzip.decompress(gzip.decompress(raw))),
        ("br", bytes),
    ],
)
async def test_n21_content_encoding_encodes_what_it_can_and_says_so(coding: str, decode: Callable[[bytes], bytes]) -> None:
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


async def test_c7_endless_goes_on_until_the_client_has_enough() -> None:
    async with serving(faults.endless(LAYER.digest)) as (registry, url):
        heard = await talk(url, limit=5_000_000)
        assert len(heard.data) >= 5_000_000
        assert registry.journal.requests[0].bytes_sent >= 4_000_000


async def test_a_registry_with_stalled_clients_stops_at_once() -> None:
    loop = asyncio.get_running_loop()
    async with serving(faults.hang(times=None)) as (_, url):
        waiting = asyncio.ensure_future(talk(url, patience=20))
        await asyncio.sleep(0.05)
        began = loop.time()
    assert loop.time() - began < 2
    await waiting
