"""How answers leave: cut, reset, stalled, dripping, with false lengths or none; seen as bytes on the client's side."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from testregistry import faults, serve
from tests.testregistry.asking import ask, get
from tests.testregistry.listening import talk
from tests.testregistry.serving import CONTENT, IMAGE, LAYER, SIZE, body_of, head_of, serving, wire

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`


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


async def test_n26_drop_closes_the_connection_without_an_answer() -> None:
    async with serving(faults.drop(LAYER.digest)) as (_, url):
        heard = await talk(url)
        assert (heard.data, heard.reset, heard.silent) == (b"", False, False)
        assert (await get(url)).body == CONTENT


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


async def test_pace_waits_until_each_piece_is_due() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with serve(faults=[faults.pace(LAYER.digest, rate=100)], sleep=sleep) as registry:
        registry.add("app:1", IMAGE)
        got = await get(f"{registry.url}/v2/app/blobs/{LAYER.digest}")
    assert got.body == CONTENT
    assert slept == [pytest.approx(SIZE / 100, abs=1)]


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
