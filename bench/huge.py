"""One layer of 4 GB, served without being stored: memory must not grow with what is pulled."""

import asyncio
import gzip
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.cache import remove
from bench.contest import ROOT
from bench.measure import Usage, measured
from testregistry import images, serve
from testregistry.body import BytesBody, JoinedBody, PatternBody, length
from testregistry.grammar import digest_of_chunks
from testregistry.layers import Layer

SIZE = 4_000 << 20


def gzip_layer(size: int) -> Layer:
    """A layer whose tar holds one file of `size` bytes, compressed as one gzip member a block: a few MB in memory.

    Many members in a row are one gzip stream (RFC 1952 §2.2); the blocks are random, so compressing gains nothing.
    """
    plain = images.generated_layer(size)
    head, file, padding = _parts(plain)
    member = gzip.compress(file.block, 1, mtime=0)
    blocks = PatternBody(member, len(member) * (file.size // len(file.block)))
    body = JoinedBody((_member(head), blocks, _member(padding)))
    return replace(plain, digest=digest_of_chunks(body.chunks()), size=length(body), compression="gzip", body=body)


def _parts(plain: Layer) -> tuple[BytesBody, PatternBody, BytesBody]:
    assert isinstance(plain.body, JoinedBody)
    head, file, padding = plain.body.parts
    assert isinstance(head, BytesBody)
    assert isinstance(file, PatternBody)
    assert isinstance(padding, BytesBody)
    if file.size % len(file.block):
        raise ValueError("only whole blocks can be repeated")
    return head, file, padding


def _member(body: BytesBody) -> BytesBody:
    return BytesBody(gzip.compress(body.raw, 1, mtime=0))


async def pull_huge(scratch: Path, env: Mapping[str, str], *, size: int = SIZE) -> Usage:
    """Pull it once with every check on, in a process of its own; the store is dropped afterwards."""
    store = scratch / "huge"
    remove(store)
    async with serve() as registry:
        name = registry.name("huge:1")
        registry.add("huge:1", images.image(gzip_layer(size)))
        command = [sys.executable, "-m", "puller", "pull", name, "--store", str(store), "--quiet"]
        command += ["--platform", "linux/amd64", "--plain-http", registry.host]
        try:
            return await asyncio.to_thread(measured, command, env=env, cwd=ROOT)
        finally:
            remove(store)
