"""Gigabytes: served from disk or made on the fly, taken in chunks, with memory that stays small."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from testregistry import images, serve
from testregistry.grammar import digest_of_chunks
from testregistry.layers import generated_body
from tests.peak import forget_peak, peak
from tests.testregistry.asking import absolute, ask, with_digest

MIB = 1024 * 1024

SERVE_GENERATED = """
    import asyncio, sys
    import aiohttp
    from testregistry import images, serve
    from tests.peak import peak

    async def main():
        layer = images.generated_layer(int(sys.argv[1]))
        async with serve() as registry:
            registry.add("app:1", images.image(layer))
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{registry.url}/v2/app/blobs/{layer.digest}") as answer:
                    total = 0
                    async for piece in answer.content.iter_any():
                        total += len(piece)
        assert total == layer.size
        print(peak())

    asyncio.run(main())
"""


@pytest.mark.slow
def test_a_layer_of_two_gigabytes_is_made_and_served_in_little_memory() -> None:
    code = textwrap.dedent(SERVE_GENERATED)
    command = [sys.executable, "-c", code, str(2048 * MIB)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 120 * 1024  # KiB, client included


@pytest.mark.slow
async def test_a_large_blob_goes_up_in_chunks_and_comes_down_from_disk_in_little_memory(tmp_path: Path) -> None:
    body = generated_body(300 * MIB)
    digest = digest_of_chunks(body.chunks())

    async def pieces() -> AsyncIterator[bytes]:
        for chunk in body.chunks():
            yield chunk
            await asyncio.sleep(0)

    async with serve(data=tmp_path) as registry:
        started = await ask("POST", f"{registry.url}/v2/app/blobs/uploads/")
        forget_peak()
        before = peak()
        location = absolute(registry.url, started.headers["Location"])
        assert (await ask("PATCH", location, data=pieces())).status == 202
        assert (await ask("PUT", with_digest(location, digest))).status == 201
        hasher = hashlib.sha256()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{registry.url}/v2/app/blobs/{digest}") as answer:
                async for piece in answer.content.iter_any():
                    hasher.update(piece)
        grown = peak() - before
    assert f"sha256:{hasher.hexdigest()}" == digest
    assert grown < 60 * 1024  # KiB


async def test_many_requests_for_one_blob_at_once_are_all_served_whole() -> None:
    blob = images.generated_blob(3 * MIB)
    async with serve() as registry:
        registry.add_blob("app", blob.raw)
        url = f"{registry.url}/v2/app/blobs/{blob.digest}"
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask("GET", url)) for _ in range(20)]
        assert {task.result().body == blob.raw for task in tasks} == {True}
        assert registry.journal.gets(blob.digest) == 20
