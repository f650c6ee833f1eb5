"""copy_image: between registries, directories and stores: byte for byte, each thing once, the names last."""

from pathlib import Path

import anyio
import pytest

from puller.errors import ContentUnknown, DigestMismatch, PullerError, RegistryError
from puller.model.digest import Digest
from puller.model.event import Delivered, Planned
from puller.model.sync import Carried
from testregistry import faults, images
from testregistry.journal import Request
from tests.ops.copying.scene import ARM, INDEX, LARGE, blob, manifest, scene, tags
from tests.ops.story import BASE, ELSEWHERE, IMAGE, TOP


async def test_an_image_arrives_byte_for_byte(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        carried = await s.copy()
        assert manifest(s.b, "copy", "1") == IMAGE.raw
        assert [blob(s.b, "copy", part.digest) for part in (BASE, TOP)] == [BASE.raw, TOP.raw]
        size = BASE.size + TOP.size + IMAGE.config.size + IMAGE.size
        assert carried == Carried(IMAGE.digest, size, 0, size, brought=4, seconds=carried.seconds)


async def test_an_index_comes_with_all_its_images(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        carried = await s.copy()
        assert manifest(s.b, "copy", "1") == INDEX.raw
        assert manifest(s.b, "copy", ARM.digest) == ARM.raw
        assert (carried.root, carried.warnings, carried.brought) == (INDEX.digest, (), 7)


async def test_blobs_come_before_manifests_those_before_their_index_and_the_tag_last(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        await s.copy()
        puts = [r.path.rpartition("/")[2] for r in s.b.journal.find("PUT", kind="manifest")]
        assert (sorted(puts[:2]), puts[2:]) == (sorted([IMAGE.digest, ARM.digest]), ["1"])
        uploads = [i for i, r in enumerate(s.b.journal) if r.kind == "upload"]
        assert max(uploads) < min(i for i, r in enumerate(s.b.journal) if (r.method, r.kind) == ("PUT", "manifest"))


async def test_a_small_image_takes_few_requests(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await s.copy()
        assert [s.a.journal.count(method) for method in ("HEAD", "GET")] == [1, 4]
        # Of each blob: is it there, begin, complete. Of the tag: what it names, and the manifest.
        assert [s.b.journal.count(method) for method in ("HEAD", "POST", "PUT", "GET")] == [4, 3, 4, 0]


async def test_what_is_there_is_asked_for_and_neither_fetched_nor_sent(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        await s.copy()
        s.again()
        carried = await s.copy()
        assert {request.method for request in s.b.journal} == {"HEAD"}
        assert s.a.journal.count("GET", kind="blob") == 0
        assert (carried.sent, carried.brought, carried.present) == (0, 0, 7)


async def test_layers_that_many_tags_share_are_fetched_sent_and_asked_for_once(tmp_path: Path) -> None:
    made = [images.image(BASE, images.layer({"n": str(n).encode()})) for n in range(20)]
    async with scene(tmp_path) as s:
        for n, image in enumerate(made):
            s.a.add(f"app:{n}", image)
        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(s.copy, f"app:{n}")
        assert s.a.journal.gets(BASE.digest) == 1
        assert s.b.journal.count("HEAD", digest=BASE.digest) == 1
        assert tags(s.b) == {str(n): i.digest for n, i in enumerate(made)}


async def test_tags_of_one_digest_cost_one_manifest_and_a_put_each(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        for tag in ("1", "1.2", "latest"):
            s.a.add(f"app:{tag}", IMAGE)
        for tag in ("1", "1.2", "latest"):
            await s.copy(f"app:{tag}")
        assert s.a.journal.gets(IMAGE.digest) == 1
        assert [r.path.rpartition("/")[2] for r in s.b.journal.find("PUT", kind="manifest")] == ["1", "1.2", "latest"]
        assert s.b.journal.count("POST") == 3


async def test_a_run_that_goes_to_two_places_reads_the_second_time_from_the_first(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await s.copy(to=s.directory)
        s.a.journal.clear()
        carried = await s.copy()
        assert s.a.journal.count("GET") == 0
        assert (carried.fetched, carried.near) == (0, BASE.size + TOP.size + IMAGE.config.size + IMAGE.size)
        assert manifest(s.b, "copy", "1") == IMAGE.raw


async def test_a_directory_is_filled_from_the_registry_that_was_filled_before_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await s.copy()
        s.a.journal.clear()
        carried = await s.copy(to=s.directory)
        assert (s.a.journal.count("GET"), carried.fetched) == (0, 0)
        assert s.b.journal.count("GET", kind="blob") == 3


async def test_what_the_nearer_place_has_lost_is_fetched_from_its_source(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await s.copy(to=s.directory)
        (tmp_path / "layout" / "blobs" / "sha256" / BASE.digest.removeprefix("sha256:")).unlink()
        carried = await s.copy()
        assert blob(s.b, "copy", BASE.digest) == BASE.raw
        assert carried.fetched == BASE.size


async def test_a_repository_of_the_same_registry_lends_what_it_has(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await s.copy()
        carried = await s.copy(to=s.b.name("other"))
        assert (carried.mounted, s.b.journal.count("PUT", kind="upload")) == (3, 3)
        assert manifest(s.b, "other", "1") == IMAGE.raw


async def test_a_source_lends_to_a_target_in_its_own_registry(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        carried = await s.copy(to=s.a.name("other"))
        assert (carried.mounted, carried.fetched) == (3, IMAGE.size)


@pytest.mark.parametrize("kind", ["directory", "store"])
async def test_an_image_goes_into_a_directory_or_store_and_back(tmp_path: Path, kind: str) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        place = getattr(s, kind)
        await s.copy(to=place)
        s.again()
        carried = await s.copy("any:1", source=place)
        assert manifest(s.b, "copy", "1") == INDEX.raw
        assert (carried.root, carried.brought) == (INDEX.digest, 7)


async def test_without_a_name_an_image_is_put_by_its_digest(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await s.copy(pinned=True)
        assert (tags(s.b), manifest(s.b, "copy", IMAGE.digest)) == ({}, IMAGE.raw)


async def test_several_names_are_put_each(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await s.copy("app:1", None, "x", "y")
        assert tags(s.b) == {"x": IMAGE.digest, "y": IMAGE.digest}


async def test_a_tag_that_moved_meanwhile_is_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        s.b.add("copy:1", ARM)
        carried = await s.copy(replaces={"1": Digest.parse(INDEX.digest)})
        assert tags(s.b) == {"1": IMAGE.digest}
        assert [ARM.digest in warning for warning in carried.warnings] == [True]


async def test_h3_a_tag_that_was_free_and_is_taken_meanwhile_is_left_alone(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        s.b.add("copy:1", ARM)
        with pytest.raises(DigestMismatch, match="stands for something else by now"):
            await s.copy(replaces={"1": None})
        assert tags(s.b) == {"1": ARM.digest}


async def test_what_a_registry_has_lost_is_brought_again_and_then_named(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        await s.copy()
        s.b.storage.drop_blob("copy", BASE.digest)
        s.a.tag("app:2", INDEX.digest)
        lost = [True]

        def lose(request: Request) -> None:
            if lost and (request.method, request.kind) == ("PUT", "manifest"):
                lost.clear()
                s.b.storage.drop_manifest("copy", ARM.digest)

        s.b.on_request.append(lose)
        await s.copy("app:2")
        assert tags(s.b) == {"1": INDEX.digest, "2": INDEX.digest}
        assert manifest(s.b, "copy", ARM.digest) == ARM.raw
        assert blob(s.b, "copy", BASE.digest) == BASE.raw


async def test_what_a_registry_never_keeps_is_given_up_after_a_few_times(tmp_path: Path) -> None:
    refuse = faults.status(404, method="PUT", kind="manifest", times=None, body=b'{"errors":[{"code":"BLOB_UNKNOWN"}]}')
    async with scene(tmp_path, there=[refuse]) as s:
        s.a.add("app:1", IMAGE)
        with pytest.raises(ContentUnknown):
            await s.copy()
        assert s.b.journal.count("PUT", kind="manifest") == 3
        assert tags(s.b) == {}


@pytest.mark.parametrize("part", [BASE.digest, IMAGE.config.digest, IMAGE.digest])
async def test_wrong_bytes_are_refused_and_nothing_is_named(tmp_path: Path, part: str) -> None:
    async with scene(tmp_path, faults=[faults.flip(part, at=-1, times=None)]) as s:
        s.a.add("app:1", IMAGE)
        with pytest.raises(DigestMismatch) as caught:
            await s.copy()
        assert caught.value.digest == part
        assert blob(s.b, "copy", part) is None
        assert manifest(s.b, "copy", part) is None
        assert tags(s.b) == {}


CUTS = {
    "download": ([faults.cut(kind="blob", after=1_500_000, times=9)], []),
    "upload": ([], [faults.cut_upload(after=1_500_000, times=9)]),
    "lost upload": ([], [faults.cut_upload(after=0, keep=False, times=9)]),
    "manifest": ([], [faults.drop(method="PUT", kind="manifest", times=9)]),
    "start": ([], [faults.drop(method="POST", times=9)]),
    "commit": ([], [faults.drop(method="PUT", kind="upload", times=9)]),
}


@pytest.mark.parametrize("where", CUTS)
async def test_a_copy_that_was_cut_names_nothing_and_the_next_one_ends_it(tmp_path: Path, where: str) -> None:
    here, there = CUTS[where]
    async with scene(tmp_path, faults=here, there=there) as s:
        s.a.add("app:1", LARGE)
        while True:
            try:
                carried = await s.copy()
                break
            except RegistryError:
                # An answer that is lost may be to a request that was heard: then it is all there.
                assert tags(s.b) == ({} if where != "manifest" else {"1": LARGE.digest})
        assert tags(s.b) == {"1": LARGE.digest}
        assert blob(s.b, "copy", LARGE.layers[0].digest) == b"".join(LARGE.layers[0].body.chunks())
        assert carried.root == LARGE.digest


@pytest.mark.parametrize("after", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) - 1])
@pytest.mark.parametrize("there", [False, True])
async def test_a_line_cut_at_any_point_costs_no_more_than_what_has_to_be_read_again(
    tmp_path: Path, after: int, there: bool
) -> None:
    layer = LARGE.layers[0]
    cut = faults.cut_upload(after=after) if there else faults.cut(layer.digest, after=after)
    async with scene(tmp_path, there=[cut] if there else [], faults=[] if there else [cut]) as s:
        s.a.add("app:1", LARGE)
        await s.copy()
        assert tags(s.b) == {"1": LARGE.digest}
        assert blob(s.b, "copy", layer.digest) == b"".join(layer.body.chunks())
        # What the registry has of a broken upload is hashed again from the last mark before it, here the start.
        assert s.a.journal.bytes_sent(layer.digest) <= layer.size * (2 if there else 1)


async def test_a_broken_upload_is_gone_on_with_from_near_where_it_broke(tmp_path: Path) -> None:
    long = images.image(images.generated_layer(16 << 20, seed=3))
    layer = long.layers[0]
    async with scene(tmp_path, there=[faults.cut_upload(after=14 << 20)]) as s:
        s.a.add("app:1", long)
        await s.copy()
        assert blob(s.b, "copy", layer.digest) == b"".join(layer.body.chunks())
        again = s.a.journal.ranges(layer.digest)[-1] or ""
        assert 10 << 20 <= int(again.removeprefix("bytes=").removesuffix("-")) <= 14 << 20


async def test_a_copy_that_is_cancelled_names_nothing_and_holds_nobody_up(tmp_path: Path) -> None:
    async with scene(tmp_path, faults=[faults.stall(LARGE.layers[0].digest, after=2 << 20)]) as s:
        s.a.add("app:1", LARGE)
        begun = anyio.Event()
        s.b.on_request.append(lambda request: begun.set() if request.method == "PATCH" else None)

        async def stopping(scope: anyio.CancelScope) -> None:
            await begun.wait()
            scope.cancel()

        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(stopping, scope)
                await s.copy()
        assert tags(s.b) == {}
        await s.copy()
        assert tags(s.b) == {"1": LARGE.digest}


async def test_one_that_fails_leaves_what_it_claimed_to_the_others(tmp_path: Path) -> None:
    other = images.image(BASE, images.layer({"other": b""}))
    async with scene(tmp_path, faults=[faults.status(TOP.digest, 500, times=None)]) as s:
        s.a.add("app:1", IMAGE)
        s.a.add("app:2", other)
        failed: list[PullerError] = []

        async def failing() -> None:
            try:
                await s.copy()
            except PullerError as error:
                failed.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(failing)
            group.start_soon(s.copy, "app:2")
        assert tags(s.b) == {"2": other.digest}
        assert len(failed) == 1


async def test_an_artifact_and_a_schema_1_manifest_go_as_they_are(tmp_path: Path) -> None:
    thing = images.artifact(images.blob(b"a chart"))
    old = images.schema1(BASE, TOP)
    async with scene(tmp_path) as s:
        s.a.add("app:thing", thing)
        s.a.add("app:old", old)
        for tag, made in (("thing", thing), ("old", old)):
            carried = await s.copy(f"app:{tag}")
            assert (manifest(s.b, "copy", tag), carried.root) == (made.raw, made.digest)


async def test_a_schema_1_manifest_survives_a_store(tmp_path: Path) -> None:
    old = images.schema1(BASE, TOP)
    async with scene(tmp_path) as s:
        s.a.add("app:old", old)
        await s.copy("app:old", s.store)
        assert str(await (await s.places.target(s.store)).named("old")) == old.digest
        s.again()
        assert (await s.copy("app:old", source=s.store)).root == old.digest
        assert manifest(s.b, "copy", "old") == old.raw


async def test_a_layer_that_lies_elsewhere_is_left_there(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", ELSEWHERE)
        for place in (None, s.store, s.directory):
            await s.copy("app:1", place)
        assert s.a.journal.gets(TOP.digest) == 0
        assert blob(s.b, "copy", TOP.digest) is None


async def test_what_comes_is_told_as_it_comes(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await s.copy()
        (planned,) = [event for event in s.events if isinstance(event, Planned)]
        assert planned.reference == s.b.name("copy:1")
        assert [role for role, _ in planned.steps] == ["config", "layer 1", "layer 2"]
        told = {event.blob.role: event.blob.outcome for event in s.events if isinstance(event, Delivered)}
        assert told == {"config": "pushed", "layer 1": "pushed", "layer 2": "pushed", "manifest": "pushed"}
