"""What every content store promises: one suite, run on memory and on disk, made of one part for each of its roles.

A subclass gives the fixture `store` and a way to `tamper` with what is stored.
"""

import os
from abc import abstractmethod

import anyio
import pytest

from puller.errors import (
    ContentCorrupt,
    ContentMissing,
    InvalidCompression,
    LimitExceeded,
)
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.store.audit import Auditable
from tests.contracts.collection import CollectionSuite
from tests.contracts.ingesting import IngestSuite
from tests.contracts.naming import NamingSuite
from tests.contracts.sample import Seen, blob, blob_of, put, stored


class ContentStoreSuite(IngestSuite, NamingSuite, CollectionSuite):
    """Inherit, name it Test…, and give `store` and `tamper`."""

    @abstractmethod
    def tamper(self, store: Auditable, digest: Digest, content: bytes) -> None:
        """Change stored bytes behind the store's back."""

    # --- reading ---

    @pytest.mark.parametrize("offset", [0, 1, 1 << 20, 2_500_000])
    async def test_a_store_is_a_source_from_any_offset(self, store: Auditable, offset: int) -> None:
        wanted = blob(2_500_000)
        await put(store, wanted)
        async with store.fetch(wanted.descriptor, offset=offset) as body:
            got = b"".join([bytes(chunk) async for chunk in body])
        assert got == wanted.content[offset:]

    async def test_chunks_are_about_a_mebibyte(self, store: Auditable) -> None:
        wanted = blob(2_500_000)
        await put(store, wanted)
        async with store.fetch(wanted.descriptor) as body:
            assert [len(chunk) async for chunk in body] == [1 << 20, 1 << 20, 2_500_000 - (2 << 20)]

    async def test_an_open_blob_is_a_file_to_read(self, store: Auditable) -> None:
        wanted = blob(100)
        await put(store, wanted)
        async with store.opened(wanted.digest) as fd:
            assert os.read(fd, 1_000) == wanted.content
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    async def test_watching_a_stored_blob_shows_all_of_it(self, store: Auditable) -> None:
        wanted, watcher = blob(2_500_000), Seen()
        await put(store, wanted)
        await store.watch(wanted.descriptor, watcher)
        assert watcher.content == wanted.content
        assert watcher.finished == 1

    async def test_what_is_not_here_is_missing_for_every_reader(self, store: Auditable) -> None:
        wanted = blob(10)
        with pytest.raises(ContentMissing):
            await store.read(wanted.descriptor, limit=10)
        with pytest.raises(ContentMissing):
            await store.watch(wanted.descriptor)
        with pytest.raises(ContentMissing):
            async with store.opened(wanted.digest):
                pass
        with pytest.raises(ContentMissing):
            async with store.fetch(wanted.descriptor):
                pass

    async def test_r10_no_more_is_read_than_the_limit_allows(self, store: Auditable) -> None:
        wanted = blob(1_000)
        await put(store, wanted)
        with pytest.raises(LimitExceeded):
            await store.read(wanted.descriptor, limit=999)

    async def test_l7_a_flipped_byte_is_found_by_whoever_reads_all(self, store: Auditable) -> None:
        wanted = blob(1_000)
        await put(store, wanted)
        self.tamper(store, wanted.digest, wanted.content[:-1] + bytes([wanted.content[-1] ^ 1]))
        with pytest.raises(ContentCorrupt):
            await store.read(wanted.descriptor, limit=1_000)
        with pytest.raises(ContentCorrupt):
            await store.watch(wanted.descriptor, Seen(at_finish=InvalidCompression("no gzip")))

    async def test_l7_a_truncated_blob_is_found_by_its_size_and_ingested_anew(self, store: Auditable) -> None:
        wanted = blob(1_000)
        await put(store, wanted)
        self.tamper(store, wanted.digest, wanted.content[:-1])
        assert not await store.exists(wanted.descriptor)
        with pytest.raises(ContentCorrupt):
            async with store.fetch(wanted.descriptor):
                pass
        await put(store, wanted)
        assert await store.read(wanted.descriptor, limit=1_000) == wanted.content

    async def test_digests_come_in_the_order_of_their_names(self, store: Auditable) -> None:
        blobs = [blob(10, seed) for seed in range(5)] + [blob_of(b"x", algorithm="sha512")]
        await put(store, *blobs)
        assert await stored(store) == sorted(one.digest for one in blobs)

    async def test_deleting_takes_the_facts_along_and_may_be_repeated(self, store: Auditable) -> None:
        wanted = blob(10)
        await put(store, wanted)
        await store.prove(wanted.digest, Facts(unpacked_size=1))
        await store.delete(wanted.digest)
        await store.delete(wanted.digest)
        assert not await store.exists(wanted.descriptor)
        assert await store.facts(wanted.digest) == Facts()

    # --- facts ---

    async def test_of_an_unknown_blob_nothing_is_known(self, store: Auditable) -> None:
        assert await store.facts(blob(1).digest) == Facts()

    async def test_facts_are_merged(self, store: Auditable) -> None:
        wanted, diff_id = blob(10), blob(20).digest
        await put(store, wanted)
        await store.prove(wanted.digest, Facts(diff_id=diff_id, unpacked_size=20))
        await store.prove(wanted.digest, Facts(tarsum_refusal="not a tar archive"))
        assert await store.facts(wanted.digest) == Facts(diff_id, 20, tarsum_refusal="not a tar archive")

    async def test_facts_proved_at_once_are_all_kept(self, store: Auditable) -> None:
        wanted = blob(10)
        pieces = [Facts(diff_id=blob(20).digest), Facts(unpacked_size=20), Facts(absent=()), Facts(tarsum_refusal="no")]
        async with anyio.create_task_group() as group:
            for piece in pieces:
                group.start_soon(store.prove, wanted.digest, piece)
        assert await store.facts(wanted.digest) == Facts(blob(20).digest, 20, tarsum_refusal="no", absent=())
