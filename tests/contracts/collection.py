"""What every store promises of collection, leases and audits: one suite, run on memory and on disk."""

import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import anyio
import pytest

from puller.errors import ContentCorrupt, ContentMissing
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.reference import Reference
from puller.store.audit import Auditable, audit
from puller.store.gc import Collectable, collect, release
from tests.contracts.sample import Blob, Image, blob, blob_of, image, index, put, stored

ONE, TWO = Reference.parse("app:1"), Reference.parse("app:2")


class BeforeLock:
    """A store where something happens whenever a collector is about to take a lock."""

    def __init__(self, store: Auditable, happening: Callable[[Digest], Awaitable[None]]) -> None:
        self._store = store
        self._happening = happening

    @asynccontextmanager
    async def attempted(self, digest: Digest) -> AsyncIterator[bool]:
        await self._happening(digest)
        async with self._store.attempted(digest) as free:
            yield free

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def disturbed(store: Auditable, happening: Callable[[Digest], Awaitable[None]]) -> Collectable:
    return cast(Collectable, BeforeLock(store, happening))


async def named(store: Auditable, reference: Reference, wanted: Image) -> None:
    await put(store, *wanted.blobs)
    await store.tag(reference, wanted.manifest.descriptor)


class CollectionSuite:
    """Inherit together with ContentStoreSuite."""

    @abstractmethod
    def tamper(self, store: Auditable, digest: Digest, content: bytes) -> None:
        """Change stored bytes behind the store's back."""

    # --- gc ---

    async def test_r12_what_a_name_reaches_stays_and_the_rest_goes(self, store: Auditable) -> None:
        kept, stray = image(blob(100, 1), blob(100, 2)), blob(100, 3)
        await named(store, ONE, kept)
        await put(store, stray)
        result = await collect(store)
        assert (result.freed, result.size, result.kept) == ((stray.digest,), 100, 4)
        assert set(await stored(store)) == kept.digests

    async def test_r12_what_an_index_reaches_stays_and_absent_platforms_do_not_matter(self, store: Auditable) -> None:
        here, absent = image(blob(100, 1)), image(blob(100, 2), seed=2)
        many = index(here.manifest, absent.manifest)
        await put(store, *here.blobs, many)
        await store.prove(many.digest, Facts(absent=(absent.manifest.digest,)))
        await store.tag(ONE, many.descriptor)
        assert (await collect(store)).freed == ()

    async def test_a_dry_run_says_what_would_go_and_removes_nothing(self, store: Auditable) -> None:
        stray = blob(100)
        await put(store, stray)
        result = await collect(store, dry_run=True)
        assert (result.freed, result.size, result.kept) == ((stray.digest,), 100, 0)
        assert await stored(store) == [stray.digest]

    async def test_r12_what_a_lease_holds_stays_until_it_ends(self, store: Auditable) -> None:
        held = blob(100)
        async with store.lease() as lease:
            await lease.hold([held.digest])
            await put(store, held)
            assert (await collect(store)).freed == ()
        assert (await collect(store)).freed == (held.digest,)

    async def test_r12_leases_add_up_and_are_independent(self, store: Auditable) -> None:
        first, second, third = blob(1, 1), blob(1, 2), blob(1, 3)
        await put(store, first, second, third)
        async with store.lease() as one:
            await one.hold([first.digest])
            await one.hold([first.digest, second.digest])
            async with store.lease() as two:
                await two.hold([third.digest])
            assert (await collect(store)).freed == (third.digest,)

    async def test_r12_a_lease_taken_while_a_collection_runs_counts(self, store: Auditable) -> None:
        wanted = blob(100)
        await put(store, wanted)
        async with store.lease() as lease:

            async def pull(digest: Digest) -> None:
                await lease.hold([digest])

            assert (await collect(disturbed(store, pull))).freed == ()
        assert await store.exists(wanted.descriptor)

    async def test_r12_a_pull_that_ends_while_a_collection_runs_keeps_its_content(self, store: Auditable) -> None:
        wanted = image(blob(100))
        await put(store, *wanted.blobs)
        await named(store, TWO, image(seed=2))

        async def finish(_: Digest) -> None:
            await store.tag(ONE, wanted.manifest.descriptor)

        assert (await collect(disturbed(store, finish))).freed == ()
        assert wanted.digests < set(await stored(store))

    @pytest.mark.parametrize("seed", [1, 2, 5])  # whose digests sort otherwise
    async def test_r12_parents_go_before_children_so_no_name_is_put_on_half_an_image(
        self, store: Auditable, seed: int
    ) -> None:
        inner = image(blob(100, seed), seed=seed)
        many = index(inner.manifest)
        outer = index(many, inner.manifest)
        await put(store, *inner.blobs, many, outer)
        order = list((await collect(store)).freed)
        assert order[:3] == [outer.digest, many.digest, inner.manifest.digest]
        assert set(order[3:]) == {inner.config.digest, inner.layers[0].digest}

    async def test_what_is_being_written_is_left_alone(self, store: Auditable) -> None:
        damaged = blob(100)
        await put(store, damaged)
        self.tamper(store, damaged.digest, damaged.content[:50])
        async with store.ingest(damaged.descriptor) as ingest:
            assert ingest is not None
            assert (await collect(store)).freed == ()

    async def test_a_document_that_cannot_be_parsed_keeps_what_it_mentions(self, store: Auditable) -> None:
        layer, stray = blob(100, 1), blob(100, 2)
        old = blob_of(json.dumps({"schemaVersion": 1, "fsLayers": [{"blobSum": str(layer.digest)}]}).encode())
        await put(store, layer, stray, old)
        await store.tag(ONE, Descriptor(mediatype.SCHEMA1, old.digest))
        assert (await collect(store)).freed == (stray.digest,)

    async def test_nothing_is_freed_while_a_named_document_is_damaged(self, store: Auditable) -> None:
        wanted, stray = image(blob(100, 1)), blob(100, 2)
        await named(store, ONE, wanted)
        await put(store, stray)
        self.tamper(store, wanted.manifest.digest, b"}" + wanted.manifest.content[1:])
        with pytest.raises(ContentCorrupt):
            await collect(store)
        assert await store.exists(stray.descriptor)

    async def test_facts_go_with_their_blob(self, store: Auditable) -> None:
        stray = blob(100)
        await put(store, stray)
        await store.prove(stray.digest, Facts(unpacked_size=1))
        await collect(store)
        assert await store.facts(stray.digest) == Facts()

    async def test_r12_nothing_is_freed_while_a_document_is_missing_that_a_name_needs(self, store: Auditable) -> None:
        wanted, stray = image(blob(100, 1)), blob(100, 2)
        await named(store, ONE, wanted)
        await put(store, stray)
        self.tamper(store, wanted.manifest.digest, b"}" + wanted.manifest.content[1:])
        await audit(store)
        with pytest.raises(ContentMissing) as caught:
            await collect(store)
        assert "Pull it again" in caught.value.hint
        assert await store.exists(wanted.layers[0].descriptor)
        assert await store.exists(stray.descriptor)

    async def test_r12_a_parent_that_somebody_holds_keeps_all_that_it_reaches(self, store: Auditable) -> None:
        inner, stray = image(blob(100, 1)), blob(100, 2)
        many = index(inner.manifest)
        await put(store, *inner.blobs, many, stray)
        async with store.attempted(many.digest):
            assert (await collect(store)).freed == (stray.digest,)

    async def test_r12_a_parent_that_a_lease_alone_holds_keeps_all_that_it_reaches(self, store: Auditable) -> None:
        wanted, stray = image(blob(100, 1)), blob(100, 2)
        await put(store, *wanted.blobs, stray)
        async with store.lease() as lease:
            await lease.hold([wanted.manifest.digest])
            assert (await collect(store)).freed == (stray.digest,)

    async def test_r12_r2_what_is_being_named_is_whole_when_it_is_named(self, store: Auditable) -> None:
        """A name put on unnamed content while a collector is at any of its steps: refused, or whole."""
        for step in range(5):
            wanted = image(blob(100, step), blob(100, 50 + step), seed=step)
            await put(store, *wanted.blobs)
            steps: list[Digest] = []

            async def name(digest: Digest, at: int = step, one: Image = wanted, seen: list[Digest] = steps) -> None:
                seen.append(digest)
                if len(seen) == at + 1:
                    with suppress(ContentMissing):
                        await store.tag(ONE, one.manifest.descriptor)

            await collect(disturbed(store, name))
            if await store.tags():
                assert (await audit(store, [ONE])).findings == ()
                await release(store, ONE)
            await collect(store)

    # --- release ---

    async def test_release_of_a_name_whose_manifest_is_missing_takes_the_name(self, store: Auditable) -> None:
        wanted = image(blob(100))
        await named(store, ONE, wanted)
        await store.delete(wanted.manifest.digest)
        assert (await release(store, ONE)).hindrance is None
        assert await store.tags() == {}
        assert set((await collect(store)).freed) == wanted.digests - {wanted.manifest.digest}

    async def test_release_beside_a_damaged_image_takes_the_name_and_says_why_nothing_is_freed(
        self, store: Auditable
    ) -> None:
        wanted, damaged = image(blob(100, 1), seed=1), image(blob(100, 2), seed=2)
        await named(store, ONE, wanted)
        await named(store, TWO, damaged)
        self.tamper(store, damaged.manifest.digest, b"}" + damaged.manifest.content[1:])
        result = await release(store, ONE)
        assert (result.freed, result.kept) == ((), 3)
        assert isinstance(result.hindrance, ContentCorrupt)
        assert list(await store.tags()) == ["docker.io/library/app:2"]
        assert wanted.digests < set(await stored(store))

    async def test_release_of_a_damaged_image_takes_the_name_and_says_why_nothing_is_freed(
        self, store: Auditable
    ) -> None:
        wanted = image(blob(100))
        await named(store, ONE, wanted)
        self.tamper(store, wanted.manifest.digest, b"}" + wanted.manifest.content[1:])
        assert isinstance((await release(store, ONE)).hindrance, ContentCorrupt)
        assert await store.tags() == {}
        assert set((await collect(store)).freed) == wanted.digests

    async def test_release_frees_what_nobody_else_needs(self, store: Auditable) -> None:
        shared, own, other = blob(100, 1), blob(100, 2), blob(100, 3)
        first, second = image(shared, own, seed=1), image(shared, other, seed=2)
        await named(store, ONE, first)
        await named(store, TWO, second)
        result = await release(store, ONE)
        assert set(result.freed) == {first.manifest.digest, first.config.digest, own.digest}
        assert result.kept == 1
        assert set(await stored(store)) == second.digests
        assert list(await store.tags()) == ["docker.io/library/app:2"]

    async def test_release_touches_nothing_that_the_name_did_not_reach(self, store: Auditable) -> None:
        stray = blob(100, 9)
        await named(store, ONE, image(blob(100)))
        await put(store, stray)
        await release(store, ONE)
        assert await stored(store) == [stray.digest]

    async def test_release_of_one_name_of_two_frees_nothing(self, store: Auditable) -> None:
        wanted = image(blob(100))
        await named(store, ONE, wanted)
        await named(store, TWO, wanted)
        assert (await release(store, ONE)).freed == ()

    async def test_r12_release_keeps_what_a_running_pull_holds(self, store: Auditable) -> None:
        wanted = image(blob(100))
        await named(store, ONE, wanted)
        async with store.lease() as lease:
            await lease.hold(sorted(wanted.digests))
            assert (await release(store, ONE)).freed == ()
        assert set(await stored(store)) == wanted.digests

    async def test_release_of_no_name_is_an_error(self, store: Auditable) -> None:
        with pytest.raises(ContentMissing):
            await release(store, ONE)

    async def test_r12_pulls_and_collections_at_once_never_lose_named_content(self, store: Auditable) -> None:
        images = [image(blob(50, seed % 3), blob(50, 10 + seed), seed=seed) for seed in range(6)]

        async def pull(number: int, wanted: Image) -> None:
            async with store.lease() as lease:
                await lease.hold(sorted(wanted.digests))
                await named(store, Reference.parse(f"app:{number}"), wanted)
            for part in wanted.blobs:
                assert await store.read(part.descriptor, limit=10_000) == part.content
            if number % 2:
                await release(store, Reference.parse(f"app:{number}"))

        async with anyio.create_task_group() as group:
            for number, wanted in enumerate(images):
                group.start_soon(pull, number, wanted)
                group.start_soon(collect, store)
        await collect(store)
        kept = set().union(*(wanted.digests for number, wanted in enumerate(images) if number % 2 == 0))
        assert set(await stored(store)) == kept

    # --- audit ---

    async def test_a_sound_store_has_no_findings(self, store: Auditable) -> None:
        wanted = image(blob(100))
        await named(store, ONE, wanted)
        heard: list[Digest] = []
        result = await audit(store, told=lambda digest, size: heard.append(digest))
        assert result.findings == ()
        assert (result.blobs, result.size) == (3, sum(len(part.content) for part in wanted.blobs))
        assert set(heard) == wanted.digests

    async def test_r15_a_corrupt_blob_is_found_and_set_aside(self, store: Auditable) -> None:
        wanted = image(blob(100, 1), blob(100, 2))
        await named(store, ONE, wanted)
        await named(store, TWO, wanted)
        bad = wanted.layers[1]
        self.tamper(store, bad.digest, bytes(100))
        (finding,) = (await audit(store)).findings
        assert (finding.kind, finding.digest) == ("corrupt", bad.digest)
        assert finding.names == ("docker.io/library/app:1", "docker.io/library/app:2")
        assert not await store.exists(bad.descriptor)
        await put(store, bad)
        assert (await audit(store)).findings == ()

    async def test_r15_a_corrupt_blob_that_nothing_names_is_found_when_all_is_read(self, store: Auditable) -> None:
        await named(store, ONE, image(blob(100)))
        stray = blob(100, 9)
        await put(store, stray)
        self.tamper(store, stray.digest, bytes(100))
        assert (await audit(store, [ONE])).findings == ()
        assert [finding.digest for finding in (await audit(store)).findings] == [stray.digest]

    async def test_r2_missing_content_is_found(self, store: Auditable) -> None:
        wanted = image(blob(100))
        await named(store, ONE, wanted)
        await store.delete(wanted.layers[0].digest)
        (finding,) = (await audit(store, [ONE])).findings
        assert (finding.kind, finding.digest) == ("missing", wanted.layers[0].digest)
        assert finding.names == ("docker.io/library/app:1",)

    async def test_r2_platforms_that_nobody_asked_for_are_not_missing(self, store: Auditable) -> None:
        here, absent, lost = image(seed=1), image(seed=2), image(seed=3)
        many = index(here.manifest, absent.manifest, lost.manifest)
        await put(store, *here.blobs, many)
        await store.prove(many.digest, Facts(absent=(absent.manifest.digest, lost.manifest.digest)))
        await store.tag(ONE, many.descriptor)
        await store.prove(many.digest, Facts(absent=(absent.manifest.digest,)))
        assert [finding.digest for finding in (await audit(store)).findings] == [lost.manifest.digest]

    async def test_a_document_that_tells_a_wrong_size_is_reported_and_nothing_is_set_aside(
        self, store: Auditable
    ) -> None:
        layer = blob(100)
        liar = image(Blob(layer.content, Descriptor(mediatype.OCTETS, layer.digest, 101)))
        many = index(liar.manifest)
        await put(store, layer, liar.config, liar.manifest, many)
        await store.prove(many.digest, Facts(absent=(liar.manifest.digest,)))
        await store.tag(ONE, many.descriptor)
        await store.prove(many.digest, Facts(absent=()))
        (finding,) = (await audit(store)).findings
        assert (finding.kind, finding.digest) == ("corrupt", layer.digest)
        assert await store.exists(layer.descriptor)

    async def test_a_damaged_manifest_is_set_aside(self, store: Auditable) -> None:
        wanted = image(blob(100))
        await named(store, ONE, wanted)
        self.tamper(store, wanted.manifest.digest, b"}" + wanted.manifest.content[1:])
        (finding,) = (await audit(store, [ONE])).findings
        assert (finding.kind, finding.digest) == ("corrupt", wanted.manifest.digest)

    async def test_an_audit_of_no_name_is_an_error(self, store: Auditable) -> None:
        with pytest.raises(ContentMissing):
            await audit(store, [ONE])
