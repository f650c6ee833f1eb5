"""The registry run by hand: first line, faults from a file, signals, a directory that outlives it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from testregistry.faultfile import FaultFileInvalid, parse_faults
from testregistry.faults import Match
from tests.testregistry.asking import ask, get

pytestmark = pytest.mark.slow


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "testregistry", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            yield process, (await process.stdout.readline()).decode().rstrip("\n")
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_line_is_the_base_url_and_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    async with running() as (process, url):
        assert url.startswith("http://127.0.0.1:")
        assert (await get(f"{url}/v2/")).status == 200
        process.send_signal(number)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


async def test_data_outlives_the_process(tmp_path: Path) -> None:
    digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    async with running("--data", str(tmp_path)) as (_, url):
        assert (await ask("POST", f"{url}/v2/app/blobs/uploads/?digest={digest}", data=b"hello")).status == 201
    async with running("--data", str(tmp_path)) as (_, url):
        assert (await get(f"{url}/v2/app/blobs/{digest}")).body == b"hello"
        assert (await ask("DELETE", f"{url}/v2/app/blobs/{digest}")).status == 202


async def test_faults_come_from_a_file(tmp_path: Path) -> None:
    entries = [{"fault": "status", "code": 429, "headers": {"Retry-After": "2"}, "kind": "ping", "times": 2}]
    (tmp_path / "faults.json").write_text(json.dumps(entries))
    async with running("--faults", str(tmp_path / "faults.json")) as (_, url):
        assert [(await get(f"{url}/v2/")).status for _ in range(3)] == [429, 429, 200]


@pytest.mark.parametrize("text", ["{", "{}", '[{"fault": "nonsense"}]', "[1]", '[{"fault": "cut", "wrong": 1}]'])
async def test_a_bad_fault_file_is_exit_2_with_a_message_and_no_url(tmp_path: Path, text: str) -> None:
    (tmp_path / "faults.json").write_text(text)
    async with running("--faults", str(tmp_path / "faults.json")) as (process, url):
        _, errors = await process.communicate()
    assert (process.returncode, url) == (2, "")
    assert errors.startswith(b"testregistry: ")
    assert b"Traceback" not in errors


async def test_a_port_in_use_is_exit_1_with_a_message() -> None:
    async with running() as (_, url):
        async with running("--port", url.rpartition(":")[2]) as (process, line):
            _, errors = await process.communicate()
    assert (process.returncode, line) == (1, "")
    assert b"Traceback" not in errors


EVERY_FAULT: list[dict[str, object]] = [
    {"fault": "cut", "digest": "sha256:aa", "after": 4000},
    {"fault": "reset", "after": 1},
    {"fault": "flip", "at": -1},
    {"fault": "stall", "after": 1, "seconds": 2},
    {"fault": "hang"},
    {"fault": "drop"},
    {"fault": "drip", "rate": 10},
    {"fault": "pace", "rate": 5e7},
    {"fault": "status", "code": 503, "body": "text"},
    {"fault": "redirect", "location": "/x", "code": 302},
    {"fault": "expire_token"},
    {"fault": "ignore_range"},
    {"fault": "wrong_range", "wrong": "first"},
    {"fault": "headers", "add": [["A", "b"], ["A", "c"]], "remove": ["Link"]},
    {"fault": "content_encoding", "coding": "gzip"},
    {"fault": "wrong_length", "delta": 1},
    {"fault": "no_length"},
    {"fault": "close_delimited", "cut": 1},
    {"fault": "body", "raw": "text"},
    {"fault": "endless", "block": "ab"},
    {"fault": "swap", "other": "2"},
]


def test_every_fault_can_be_written_in_a_file() -> None:
    faults = parse_faults(json.dumps([{**entry, "times": None, "skip": 3} for entry in EVERY_FAULT]))
    assert [fault.name for fault in faults] == [entry["fault"] for entry in EVERY_FAULT]
    assert {(fault.match.times, fault.match.skip) for fault in faults} == {(None, 3)}
    assert faults[0].match == Match("sha256:aa", method="GET", times=None, skip=3)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[{"fault": "status"}]', "code"),
        ('[{"fault": "drip"}]', "rate"),
        ('[{"digest": "x"}]', "no such fault"),
        ('[{"fault": "Match"}]', "no such fault"),
    ],
)
def test_what_is_missing_in_an_entry_is_named(text: str, word: str) -> None:
    with pytest.raises(FaultFileInvalid, match=word):
        parse_faults(text)
