"""Pulls that unpack: when a layer is begun, in which order layers appear, and what is left when one fails."""

import threading
from functools import partial
from pathlib import Path

import anyio
import pytest

from puller.contracts.layers import LayerBlob, Staged, Told
from puller.errors import DiffIDMismatch, DigestMismatch
from puller.model.digest import Digest
from puller.model.event import Pulled, Unpacked, Unpacking, Verified
from puller.ops.collect import collect_layers, discard_blobs
from puller.ops.pulling.plan import Depth
from puller.store.gc import release
from testregistry import images
from testregistry.faults import flip
from tests.ops.shelf import FakeDriver, chain, shelves
from tests.ops.story import BASE, IMAGE, TOP, story

NAMES = chain(Digest.parse(BASE.diff_id), Digest.parse(TOP.diff_id))
LYING = images.blob_layer(BASE.raw, images.layer({"other": b""}).diff_id)


async def test_every_layer_of_a_pulled_image_is_unpacked_under_its_chain_id(tmp_path: Path) -> None:
    driver = FakeDriver()
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await s.pull(shelves=shelves(driver))
    assert driver.here == {NAMES[0]: None, NAMES[1]: NAMES[0]}
    (unpacked,) = report.unpacked
    assert [(layer.chain_id, layer.outcome) for layer in unpacked.layers] == [
        (f"sha256:{name}", "unpacked") for name in NAMES
    ]
    assert (unpacked.driver, unpacked.platform) == ("fake", "linux/amd64")
    assert {Unpacking, Unpacked} <= {type(event) for event in s.events}


async def test_d2_a_layer_is_begun_after_its_own_verification_while_others_download(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)

        def note(layer: str) -> None:
            seen.append({event.blob.digest for event in s.events if isinstance(event, Verified)})

        driver = FakeDriver(before=note)
        await s.pull(shelves=shelves(driver, workers=1))
    begun = [line.split()[1] for line in driver.journal if line.startswith("unpack")]
    digests = dict(zip(NAMES, (BASE.digest, TOP.digest), strict=True))
    assert all(digests[layer] in verified for layer, verified in zip(begun, seen, strict=True))


@pytest.mark.parametrize("depth", Depth)
async def test_d2_r3_of_a_corrupt_blob_nothing_is_ever_unpacked(tmp_path: Path, depth: Depth) -> None:
    driver = FakeDriver()
    large = images.generated_layer(3 << 20, seed=3)
    async with story(tmp_path, faults=[flip(large.digest, at=large.size - 1)]) as s:
        s.registry.add("app:1", images.image(large))
        with pytest.raises(DigestMismatch):
            await s.pull(shelves=shelves(driver), depth=depth)
    assert driver.journal == []


async def test_d4_digest_only_leaves_the_diff_id_to_unpacking_which_refuses_a_lie(tmp_path: Path) -> None:
    driver = FakeDriver()
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(LYING, TOP))
        with pytest.raises(DiffIDMismatch) as caught:
            await s.pull(shelves=shelves(driver), depth=Depth.DIGEST_ONLY)
        assert await s.tags() == {}
    assert (caught.value.phase, caught.value.digest) == ("unpacking layer 1", LYING.digest)
    assert driver.here == {}


async def test_layers_appear_base_first_though_the_upper_one_was_ready_earlier(tmp_path: Path) -> None:
    upper_is_done = threading.Event()

    def before(layer: str) -> None:
        if layer == NAMES[0]:
            assert upper_is_done.wait(10)
        else:
            upper_is_done.set()

    driver = FakeDriver(before=before)
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(shelves=shelves(driver))
    assert [line for line in driver.journal if line.startswith("commit")] == [f"commit {name}" for name in NAMES]


async def test_r5_of_two_pulls_at_once_one_unpacks_and_the_other_waits_for_it(tmp_path: Path) -> None:
    driver = FakeDriver()
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        s.registry.tag("app:2", IMAGE.digest)
        async with anyio.create_task_group() as group:
            for name in ("app:1", "app:2"):
                group.start_soon(partial(s.pull, name, shelves=shelves(driver)))
        reports = [event.report for event in s.events if isinstance(event, Pulled)]
    assert driver.began() == 2
    outcomes = sorted(layer.outcome for report in reports for image in report.unpacked for layer in image.layers)
    assert outcomes == ["reused", "reused", "unpacked", "unpacked"]


async def test_r4_when_one_layer_fails_what_was_staged_of_others_is_discarded(tmp_path: Path) -> None:
    upper = chain(Digest.parse(LYING.diff_id), Digest.parse(TOP.diff_id))[1]
    is_staged = threading.Event()

    class Watched(FakeDriver):
        def unpack(self, layer: str, blob: LayerBlob, told: Told) -> Staged:
            if layer != upper:
                assert is_staged.wait(10)
            staged = super().unpack(layer, blob, told)
            is_staged.set()
            return staged

    driver = Watched()
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.image(LYING, TOP))
        with pytest.raises(DiffIDMismatch):
            await s.pull(shelves=shelves(driver), depth=Depth.DIGEST_ONLY)
    assert driver.journal[-1] == f"discard {upper}"
    assert driver.here == {}


async def test_l7_a_blob_that_went_bad_on_disk_is_found_while_unpacking_and_fetched_again(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        blob = s.store.layout.blob(Digest.parse(BASE.digest))
        content = bytearray(blob.read_bytes())
        content[len(content) // 2] ^= 1
        blob.chmod(0o600)
        blob.write_bytes(content)
        driver = FakeDriver()
        await s.pull(shelves=shelves(driver))
        assert blob.read_bytes() == BASE.raw
    assert list(driver.here) == NAMES


async def test_d3_a_blob_that_is_replaced_while_it_is_unpacked_is_read_as_it_was_verified(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)

        def swap(layer: str) -> None:
            other = tmp_path / "other"
            other.write_bytes(bytes(BASE.size))  # not what was verified
            other.replace(s.store.layout.blob(Digest.parse(BASE.digest)))

        driver = FakeDriver(before=swap)
        await s.pull(shelves=shelves(driver))  # the driver holds what it read to the diff ID
    assert list(driver.here) == NAMES


async def test_an_image_that_the_preferred_driver_cannot_hold_goes_to_the_next_one_aloud(tmp_path: Path) -> None:
    first, second = FakeDriver("first", unseatable=frozenset({1})), FakeDriver("second")
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        report = await s.pull(shelves=shelves(first, second))
    assert list(second.here) == NAMES
    assert report.unpacked[0].driver == "second"
    assert any("first cannot hold this image" in text for text in report.warnings)


async def test_an_artifact_is_pulled_and_not_unpacked(tmp_path: Path) -> None:
    driver = FakeDriver()
    async with story(tmp_path) as s:
        s.registry.add("app:1", images.artifact(images.blob(b"a signature", "text/plain")))
        report = await s.pull(shelves=shelves(driver))
    assert (driver.journal, report.unpacked) == ([], ())


async def test_a_cancelled_pull_leaves_no_layer_and_stops_the_worker(tmp_path: Path) -> None:
    begun = anyio.Event()
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        driver = FakeDriver(before=lambda layer: anyio.from_thread.run_sync(begun.set))
        async with anyio.create_task_group() as group:
            group.start_soon(partial(s.pull, shelves=shelves(driver)))
            await begun.wait()
            group.cancel_scope.cancel()
        assert await s.tags() == {}
    assert driver.here == {}


async def test_discarded_blobs_are_not_fetched_again_while_their_layers_are_here(tmp_path: Path) -> None:
    driver = FakeDriver()
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(shelves=shelves(driver))
        freed = await discard_blobs(s.store, shelves(driver), s.reference("app:1"))
        assert {str(digest) for digest in freed.freed} == {BASE.digest, TOP.digest}

        report = await s.pull(shelves=shelves(driver))
        assert report.fetched == 0
        assert not {BASE.digest, TOP.digest} & await s.blobs()

        report = await s.pull()  # into the store alone: now they are wanted
        assert {BASE.digest, TOP.digest} <= await s.blobs()
        assert (await s.store.facts(Digest.parse(IMAGE.digest))).discarded == ()


async def test_blobs_of_an_image_that_is_not_unpacked_are_never_discarded(tmp_path: Path) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull()
        freed = await discard_blobs(s.store, shelves(FakeDriver()), s.reference("app:1"))
        assert freed.freed == ()
        assert {BASE.digest, TOP.digest} <= await s.blobs()


async def test_r12_layers_go_when_no_name_needs_them_upper_ones_first(tmp_path: Path) -> None:
    driver = FakeDriver()
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        s.registry.add("app:2", images.image(BASE))
        for name in ("app:1", "app:2"):
            await s.pull(name, shelves=shelves(driver))
        assert (await collect_layers(s.store, shelves(driver))).freed == ()

        await release(s.store, s.reference("app:1"))
        assert (await collect_layers(s.store, shelves(driver), dry_run=True)).freed == (("fake", NAMES[1]),)
        assert (await collect_layers(s.store, shelves(driver))).freed == (("fake", NAMES[1]),)
        assert list(driver.here) == NAMES[:1]


async def test_r12_a_layer_that_a_running_pull_has_leased_stays(tmp_path: Path) -> None:
    driver = FakeDriver()
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(shelves=shelves(driver))
        await release(s.store, s.reference("app:1"))
        async with s.store.lease() as lease:
            await lease.hold([Digest("sha256", NAMES[0])])
            assert (await collect_layers(s.store, shelves(driver))).freed == (("fake", NAMES[1]),)


async def test_what_a_driver_began_of_an_image_that_another_holds_goes(tmp_path: Path) -> None:
    first, second = FakeDriver("first", unseatable=frozenset({1})), FakeDriver("second")
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(shelves=shelves(first, second))
        assert list(first.here) == NAMES[:1]
        assert (await collect_layers(s.store, shelves(first, second))).freed == (("first", NAMES[0]),)


async def test_r12_while_a_manifest_is_damaged_no_layer_goes(tmp_path: Path) -> None:
    driver = FakeDriver()
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull(shelves=shelves(driver))
        driver.here["f" * 64] = None
        blob = s.store.layout.blob(Digest.parse(IMAGE.digest))
        blob.chmod(0o600)
        blob.write_bytes(IMAGE.raw.replace(b"{", b"[", 1))
        cleared = await collect_layers(s.store, shelves(driver))
    assert (cleared.freed, cleared.hindrance is None) == ((), False)
