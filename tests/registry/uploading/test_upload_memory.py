"""What an upload costs in memory: as much for a large blob as for a small one."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from puller.contracts.content import Body
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.model.mediatype import OCTETS
from puller.model.report import Origin
from puller.ops.pulling.transfer import copy_blob
from puller.stream.sink import Chunk
from testregistry import serve
from tests.peak import forget_peak, peak
from tests.registry.scene import opened

pytestmark = pytest.mark.slow

MIB = 1 << 20
ALLOWED = 24 << 10  # KiB, the registry of this process included


class Source:
    """So many MiB, made as they are read."""

    origin = Origin("here")

    def __init__(self, size: int) -> None:
        self._size = size
        self._block = bytes(range(256)) * 4096

    def descriptor(self) -> Descriptor:
        """What it gives."""
        found = hashlib.sha256()
        for _ in range(self._size):
            found.update(self._block)
        return Descriptor(OCTETS, Digest("sha256", found.hexdigest()), self._size * MIB)

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        """From the first byte, whatever is asked: nothing breaks here."""
        assert offset == 0
        yield self

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        for _ in range(self._size):
            yield memoryview(self._block)


async def test_r10_memory_does_not_grow_with_the_blob(tmp_path: Path) -> None:
    async with serve(data=tmp_path) as registry, opened(registry.name("app")) as repository:
        small, large = Source(8), Source(512)
        await copy_blob(small, repository, small.descriptor(), report=unheard)
        wanted = large.descriptor()
        forget_peak()
        before = peak()
        await copy_blob(large, repository, wanted, report=unheard)
        assert peak() - before < ALLOWED
        assert registry.journal.count("PUT", status=201) == 2
