"""Threats B16 to B18: bombs and malformed framing, for both parsers of aiohttp."""

import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from puller.errors import ProtocolViolation, PullerError
from puller.model.mediatype import OCI_MANIFEST
from puller.model.reference import Reference
from puller.registry.repository import Repository
from testregistry import Bearer, TestRegistry, faults, serve
from testregistry.raw import Close, serve_script
from tests.registry.elsewhere import BLOB, ONCE, WANTED
from tests.registry.scene import (
    MANIFEST,
    MANIFEST_DESCRIPTOR,
    described,
    fetched,
    opened,
)

# B16, B17, B18: what comes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"O" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**63,
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 10**40,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["20 kB", "long line", "many lines", "long reason", "2^63", "10^40", "negative"],
)
async def test_b16_header_bombs_are_refused(head: bytes) -> None:
    async with serve_script([(head, Close())] * 9) as raw, opened(f"{raw.host}/app", retries=ONCE) as repository:
        with pytest.raises(PullerError):
            await fetched(repository, WANTED)


async def test_b16_trailers_without_end_are_refused() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n"
    trailers = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(5000))
    async with serve_script([(chunked + trailers, Close())] * 9) as raw:
        async with opened(f"{raw.host}/app", retries=ONCE) as repository:
            with pytest.raises(PullerError):
                await fetched(repository, described(b"abcdef"))


@pytest.mark.parametrize("status", [200, 401, 404])
async def test_b16_a_challenge_of_a_megabyte_is_refused(status: int) -> None:
    challenge = b'WWW-Authenticate: Bearer realm="http://127.0.0.1/' + b"a" * 1_000_000 + b'"\r\n'
    head = b"HTTP/1.1 %d X\r\n" % status + challenge + b"Content-Length: 0\r\n\r\n"
    async with serve_script([(head, Close())] * 9) as raw, opened(f"{raw.host}/app", retries=ONCE) as repository:
        with pytest.raises(PullerError):
            await fetched(repository, WANTED)


CODINGS = ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x-gzip", "identity, gzip", "GZIP", "aes128gcm"]


async def ask(kind: str, registry: TestRegistry, repository: Repository) -> None:
    """Ask for something of a kind."""
    if kind == "manifest":
        await fetched(repository, MANIFEST_DESCRIPTOR)
    elif kind == "pinned":
        await repository.resolve(Reference.parse(registry.name(f"app@{MANIFEST_DESCRIPTOR.digest}")))
    elif kind == "tags":
        assert [tag async for tag in repository.tags()]
    else:
        await fetched(repository, WANTED, 100 if kind == "part" else 0)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("kind", ["manifest", "pinned", "blob", "part", "tags"])
async def test_b17_what_is_encoded_is_not_decoded(kind: str, coding: str) -> None:
    async with serve(faults=[faults.content_encoding(None, coding, times=None)]) as registry:
        registry.add_manifest("app", MANIFEST, OCI_MANIFEST, "1")
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app"), retries=ONCE) as repository:
            with pytest.raises(ProtocolViolation, match="encoded"):
                await ask(kind, registry, repository)


async def test_b17_a_bomb_in_a_coding_costs_no_more_than_its_encoded_bytes() -> None:
    bomb = gzip.compress(bytes(200 << 20), 9, mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with serve_script([(head + bomb, Close())]) as raw, opened(f"{raw.host}/app", retries=ONCE) as repository:
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolViolation, match="encoded"):
                await fetched(repository, WANTED)
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()


async def test_b17_an_encoded_answer_of_a_token_server_holds_no_token() -> None:
    async with serve(auth=Bearer(), faults=[faults.content_encoding(None, "gzip", kind="token")]) as registry:
        registry.add_blob("app", BLOB)
        async with opened(registry.name("app"), retries=ONCE) as repository:
            with pytest.raises(ProtocolViolation, match="token server"):
                await fetched(repository, WANTED)


MALFORMED = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "length and chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    ),
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 5\r\n\r\nabcde",
    "NUL": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 5\r\n\r\nabcde",
    "no version": b"ICY 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "two versions": b"HTTP/1.1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nabcde",
    "length list": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nabcde",
    "hex length": b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nabcde",
    "digits of another script": "HTTP/1.1 200 OK\r\nContent-Length: \u0665\r\n\r\nabcde".encode(),
    "chunk size with sign": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n",
    "chunk size with 0x": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
    "chunk without end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
    "nothing": b"\r\n\r\n",
}


async def what_becomes_of(raw_answer: bytes) -> str:
    """`refused` for a typed error, else what was taken for the body of five bytes `abcde`."""
    async with serve_script([(raw_answer, Close())] * 9) as raw:
        async with opened(f"{raw.host}/app", retries=ONCE) as repository:
            try:
                return (await fetched(repository, described(b"abcde"))).decode()
            except PullerError:
                return "refused"


@pytest.mark.parametrize("kind", MALFORMED)
async def test_b18_malformed_framing_is_refused(kind: str) -> None:
    assert await what_becomes_of(MALFORMED[kind]) == "refused"


async def every_outcome() -> dict[str, str]:
    return {kind: await what_becomes_of(raw_answer) for kind, raw_answer in MALFORMED.items()}


@pytest.mark.slow
def test_b18_both_parsers_of_aiohttp_refuse_the_same() -> None:
    code = (
        "import asyncio, json; from aiohttp import http_parser;"
        "assert http_parser.HttpResponseParser is http_parser.HttpResponseParserPy;"
        "from tests.registry.transport.test_threats_framing import every_outcome;"
        "print(json.dumps(asyncio.run(every_outcome())))"
    )
    environment = os.environ | {"AIOHTTP_NO_EXTENSIONS": "1"}
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert {kind for kind, outcome in json.loads(done.stdout).items() if outcome != "refused"} == set()
