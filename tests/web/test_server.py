"""The pages over HTTP, and what strangers can do to whom serves them."""

import asyncio
import logging
import socket
from contextlib import suppress

import pytest

from puller.errors import InvalidConfig
from puller.web.server import MOST, Listen, Page, serving

HERE = Listen("127.0.0.1", 0)
PAGES = {
    "/metrics": lambda: Page("one 1\n", "text/plain; version=0.0.4"),
    "/healthz": lambda: Page("{}", "application/json", 503),
}


async def ask(listen: Listen, raw: bytes) -> bytes:
    """All that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection(listen.host, listen.port)
    writer.write(raw)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def request(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]).encode()


async def test_a_page_is_answered_with_its_type_and_status() -> None:
    async with serving(HERE, PAGES) as listen:
        answer = await ask(listen, request("GET /metrics"))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nContent-Type: text/plain; version=0.0.4\r\n" in answer
        assert answer.endswith(b"\r\n\r\none 1\n")
        assert (await ask(listen, request("GET /healthz?verbose=1"))).startswith(b"HTTP/1.1 503 ")


async def test_head_gets_no_body() -> None:
    async with serving(HERE, PAGES) as listen:
        answer = await ask(listen, request("HEAD /metrics"))
        assert answer.endswith(b"\r\n\r\n")
        assert b"\r\nContent-Length: 6\r\n" in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_nothing_but_reading_is_answered(method: str) -> None:
    async with serving(HERE, PAGES) as listen:
        answer = await ask(listen, request(f"{method} /metrics", "Content-Length: 5"))
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert b"\r\nAllow: GET, HEAD\r\n" in answer


async def test_other_paths_are_told_which_there_are() -> None:
    async with serving(HERE, PAGES) as listen:
        answer = await ask(listen, request("GET /"))
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.endswith(b"/metrics\n/healthz\n")


async def test_a_body_is_not_waited_for() -> None:
    async with serving(HERE, PAGES) as listen:
        answer = await ask(listen, request("GET /metrics", "Content-Length: 1000000000"))
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_headers_without_an_end_are_refused() -> None:
    async with serving(HERE, PAGES) as listen:
        assert (await ask(listen, request("GET /metrics", "X: " + "x" * 9000))).startswith(b"HTTP/1.0 400 ")
        many = [f"X-{number}: 1" for number in range(200)]
        assert (await ask(listen, request("GET /metrics", *many))).startswith(b"HTTP/1.0 400 ")


async def test_what_is_no_http_is_refused_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving(HERE, PAGES) as listen:
            assert b" 400 " in await ask(listen, b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
    assert caplog.records == []


async def test_too_many_connections_are_closed_and_the_others_go_on() -> None:
    async with serving(HERE, PAGES) as listen:
        held = [await asyncio.open_connection(listen.host, listen.port) for _ in range(MOST)]
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection(listen.host, listen.port)
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        held[0][1].write(request("GET /metrics"))
        assert (await asyncio.wait_for(held[0][0].read(), 10)).endswith(b"one 1\n")
        for _, one in held:
            one.close()
        for _, one in held:
            await one.wait_closed()


async def test_a_page_that_fails_is_a_500_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Page:
        raise ZeroDivisionError("secret")

    async with serving(HERE, {"/metrics": broken}) as listen:
        answer = await ask(listen, request("GET /metrics"))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert "the page /metrics failed" in caplog.text


async def test_it_ends_while_somebody_is_connected() -> None:
    async with serving(HERE, PAGES) as listen:
        _, writer = await asyncio.open_connection(listen.host, listen.port)
        writer.write(b"GET /metr")
    writer.close()
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection(listen.host, listen.port)


async def test_an_address_in_use_is_a_wrong_word() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(InvalidConfig, match="cannot listen there"):
            async with serving(Listen("127.0.0.1", taken.getsockname()[1]), PAGES):
                pass


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9090", "127.0.0.1", 9090),
        ("9090", "127.0.0.1", 9090),
        (":9090", "127.0.0.1", 9090),
        ("0.0.0.0:1", "0.0.0.0", 1),
        ("[::1]:9090", "::1", 9090),
        ("localhost:0", "localhost", 0),
    ],
)
def test_an_address_is_read_and_is_this_machine_unless_said(text: str, host: str, port: int) -> None:
    assert Listen.parse(text) == Listen(host, port)


@pytest.mark.parametrize("text", ["", ":", "host", "host:", "::1:9090", "1.2.3.4:99999", "http://x:1", "a b:1", "x:1/"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="no address"):
        Listen.parse(text)
