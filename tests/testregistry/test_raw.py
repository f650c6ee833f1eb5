"""The script server: exactly the bytes given, whatever they are."""

from __future__ import annotations

import pytest

from testregistry.raw import Close, Hang, Item, Pause, RawRequest, Reset, answer, serve_script
from tests.testregistry.asking import get
from tests.testregistry.listening import talk

MALFORMED = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\rContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(5000)) + b"\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    b"\x16\x03\x01",
]


@pytest.mark.parametrize("data", MALFORMED)
async def test_n18_b18_bytes_are_sent_as_they_are(data: bytes) -> None:
    async with serve_script([(data, Close())]) as raw:
        heard = await talk(f"{raw.url}/v2/")
    assert heard.data == data


async def test_the_request_is_kept_with_head_body_and_connection() -> None:
    async with serve_script([(answer(), Close())]) as raw:
        await talk(f"{raw.url}/v2/x?y=1", headers="X-Mine:  yes \r\nAuthorization: Basic c2VjcmV0\r\n")
    (request,) = raw.requests
    assert (request.line, request.method, request.path) == ("GET /v2/x?y=1 HTTP/1.1", "GET", "/v2/x?y=1")
    assert (request.header("x-mine"), request.header("Absent")) == ("yes ", None)
    assert request.connection == 0
    assert "c2VjcmV0" not in repr(request)


async def test_items_answer_requests_in_order_over_all_connections() -> None:
    async with serve_script([answer(body=b"one"), answer("404 Not Found", body=b"two"), answer(body=b"three")]) as raw:
        got = [await get(f"{raw.url}/{number}") for number in range(3)]
    assert [(one.status, one.body) for one in got] == [(200, b"one"), (404, b"two"), (200, b"three")]
    assert [request.connection for request in raw.requests] == [0, 1, 2]


async def test_a_script_that_has_run_out_closes_without_an_answer() -> None:
    async with serve_script([]) as raw:
        heard = await talk(raw.url + "/")
    assert (heard.data, heard.reset, heard.silent) == (b"", False, False)


async def test_a_script_can_be_a_function_of_the_request() -> None:
    def script(request: RawRequest) -> Item:
        return answer(body=request.path.encode()), Close()

    async with serve_script(script) as raw:
        assert (await get(f"{raw.url}/here")).body == b"/here"


async def test_reset_and_hang_and_pause() -> None:
    async with serve_script([(b"ab", Pause(0.01), b"cd", Hang()), (b"x", Reset())]) as raw:
        hung = await talk(raw.url + "/", patience=0.2)
        broken = await talk(raw.url + "/")
    assert (hung.data, hung.silent) == (b"abcd", True)
    assert broken.reset


async def test_b1_a_greeting_can_close_a_connection_before_anything_is_read() -> None:
    async with serve_script([], greeting=Close()) as raw:
        heard = await talk(raw.url + "/")
        assert raw.connections == 1
    assert (heard.data, raw.requests) == (b"", [])


async def test_n25_a_kept_connection_gets_extra_bytes_before_the_next_answer() -> None:
    async with serve_script([answer(body=b"one") + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"]) as raw:
        heard = await talk(raw.url + "/", patience=0.1)
    assert heard.data.endswith(b"oneHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert heard.silent


async def test_an_answer_may_lack_its_length() -> None:
    assert answer(headers=[("A", "b")], body=b"x", length=False) == b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nx"
