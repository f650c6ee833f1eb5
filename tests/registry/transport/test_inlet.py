"""The inlet against aiohttp's stream: same bytes, over plain sockets and TLS, whatever the pace of either side."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.registry.repository import Repository
from puller.registry.transport import inlet
from testregistry import faults, images, serve
from testregistry.certificates import Authority
from testregistry.raw import Pause, answer, serve_script
from tests.peak import forget_peak, peak
from tests.registry.scene import QUICK, content, described, fetched, opened

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`

SMALLEST = inlet.SMALLEST


@pytest.mark.parametrize(
    "size", [SMALLEST - 1, SMALLEST, SMALLEST + 1, 3 << 20, (3 << 20) - 1, (3 << 20) + 1, (4 << 20) + 3, 9_999_999]
)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_the_bytes_are_the_same(tmp_path: Path, size: int, tls: bool) -> None:
    authority = Authority(tmp_path)
    blob = content(size)
    async with serve(tls=authority.server() if tls else None) as registry:
        registry.add_blob("app", blob)
        async with opened(registry.name("app"), ca_file=authority.file if tls else None) as repository:
            for _ in range(2):
                assert await fetched(repository, described(blob)) == blob


async def test_a_chunk_is_good_until_the_next_is_asked_for() -> None:
    blob = content(9_000_000)
    received = bytearray()
    async with serve() as registry:
        registry.add_blob("app", blob)
        async with opened(registry.name("app")) as repository, repository.fetch(described(blob)) as body:
            async for chunk in body:
                await asyncio.sleep(0.01)  # the sender goes on meanwhile
                received += chunk
    assert received == blob


async def test_a_body_in_small_pieces_with_pauses_is_whole() -> None:
    blob = content(SMALLEST)
    head = answer(body=blob)
    steps = [head[start : start + 100_000] for start in range(0, len(head), 100_000)]
    item = tuple(step for piece in steps for step in (piece, Pause(0.001)))
    async with serve_script([item]) as raw, opened(f"{raw.host}/app") as repository:
        assert await fetched(repository, described(blob)) == blob


async def test_what_came_before_a_pause_is_passed_on_without_waiting_for_a_full_chunk() -> None:
    blob = content(SMALLEST)
    async with serve() as registry:
        digest = registry.add_blob("app", blob)
        registry.faults.append(faults.stall(digest, after=300_000))
        async with opened(registry.name("app")) as repository, repository.fetch(described(blob)) as body:
            first = await asyncio.wait_for(anext(aiter(body)), 5)
    assert 0 < len(first) <= 300_000


async def test_n26_a_body_that_takes_longer_than_any_wait_for_a_byte_gives_its_connection_back() -> None:
    blob = content(SMALLEST)
    whole = answer(body=blob)
    first = len(whole) - SMALLEST + 1000  # so much that aiohttp begins to wait for more
    slow = (whole[:first], *(Pause(0.06), whole[first:-3000]), *(Pause(0.06), b"") * 6, whole[-3000:])
    async with serve_script([slow, whole]) as raw, opened(f"{raw.host}/app", patience=QUICK) as repository:
        for _ in range(2):
            assert await fetched(repository, described(blob)) == blob
        assert [request.connection for request in raw.requests] == [0, 0]


async def digest_of(repository: Repository, wanted: Descriptor) -> str:
    digest = hashlib.sha256()
    async with repository.fetch(wanted) as body:
        async for chunk in body:
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


@pytest.mark.slow
async def test_r10_memory_does_not_grow_with_the_blob() -> None:
    async with serve() as registry:
        peaks = []
        for size in (50_000_000, 500_000_000):
            layer = images.generated_layer(size)
            registry.add("app", images.image(layer))
            wanted = Descriptor(OCTETS, Digest.parse(layer.digest), layer.size)
            forget_peak()
            async with opened(registry.name("app")) as repository:
                assert await digest_of(repository, wanted) == layer.digest
            peaks.append(peak())
    assert peaks[1] - peaks[0] < 10_000  # KiB
