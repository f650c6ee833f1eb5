"""Removing: names first, then what only they kept; and nothing at all where it is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.contracts.layers import LayerBlob
from puller.errors import ContentMissing, InvalidManifest, InvalidReference, PullerError, StoreBusy, Unsupported
from puller.model.facts import Facts
from puller.ops.graphs.graph import graph_at
from puller.ops.graphs.names import name_content, name_image, name_pulled
from puller.ops.removing import Removed, remove, sweep_graph
from puller.ops.tarsum import tarsum_of
from puller.store.audit import audit
from puller.store.gc import collect
from testregistry import images
from tests.contracts.sample import blob, image, index, put, stored
from tests.graph.images import archive, named, new_image
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import layer, quiet
from tests.ops.old_world import content_of, files_of, old_story
from tests.ops.two_worlds import LABELLED, LABELS, TwoWorlds, name, two_worlds

pytestmark = pytest.mark.slow  # many small tests: for `make test`

APP = name("registry.example/app:1")
PLAIN = images.layer({"etc/motd": b"hello\n"}, compression="none")
MODERN = image(blob(50), seed=1)


async def removed(worlds: TwoWorlds, text: str) -> Removed:
    return await remove(text, worlds.store, worlds.graph)


async def give(worlds: TwoWorlds, text: str, image_id: str) -> None:
    await name_image(name(text), image_id, worlds.store, worlds.graph)


async def refused(worlds: TwoWorlds, text: str) -> PullerError:
    """The error, after a look whether anything has changed."""
    before = files_of(worlds.root)
    with pytest.raises(PullerError) as caught:
        await removed(worlds, text)
    assert files_of(worlds.root) == before
    return caught.value


async def test_an_image_goes_with_its_last_name_and_all_below_it_leaf_first(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, middle, top = worlds.stack("base", "middle", "top")
        await give(worlds, "app:1", top)
        gone = await removed(worlds, "app:1")
        assert (gone.name, gone.images, gone.kept) == ("docker.io/library/app:1", (top, middle, base), "")
        assert gone.size == sum(map(len, ("base" * 3, "middle" * 3, "top" * 3)))
        assert worlds.images.ids() == []
        assert list((worlds.root / "vfs/dir").iterdir()) == []


async def test_an_image_stays_while_it_has_another_name(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await give(worlds, "app:1", base)
        await give(worlds, "app:2", base)
        gone = await removed(worlds, "app:1")
        assert (gone.images, gone.kept) == ((), "it has other names: docker.io/library/app:2")
        assert worlds.images.ids() == [base]


async def test_what_has_a_name_or_another_child_stays_below(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, middle, top = worlds.stack("base", "middle", "top")
        (other,) = [worlds.images.register(new_image("other", "base"), None, quiet).image_id]
        await give(worlds, "base", base)
        await give(worlds, "top", top)
        assert (await removed(worlds, "top")).images == (top, middle)
        assert worlds.images.ids() == sorted([base, other])
        gone = await removed(worlds, "base")
        assert gone.images == ()
        assert "children" in gone.kept
        assert worlds.graph.tags.repositories() == {}
        assert (await removed(worlds, other)).images == (other, base)


async def test_a_pulled_image_goes_in_both_worlds(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await name_pulled(APP, base, await worlds.put_old(), worlds.store, worlds.graph)
        gone = await removed(worlds, str(APP))
        assert gone.collected is not None
        assert (len(gone.collected.freed), gone.images) == (3, (base,))
        assert (await stored(worlds.store), worlds.images.ids()) == ([], [])


async def test_blobs_that_a_schema_1_manifest_needs_stay(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        manifest = await worlds.put_old()
        await name_pulled(APP, base, manifest, worlds.store, worlds.graph)
        await name_pulled(name("mine"), top, manifest, worlds.store, worlds.graph)
        gone = await removed(worlds, "mine")
        assert gone.collected is not None
        assert gone.collected.freed == ()
        assert (await collect(worlds.store)).freed == ()


async def test_an_id_removes_an_image_without_a_name_and_one_with_a_single_name(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (first,) = worlds.stack("first")
        (second,) = worlds.stack("second")
        await name_pulled(APP, second, await worlds.put_old(), worlds.store, worlds.graph)
        assert await removed(worlds, first[:12]) == Removed(None, (first,), 15)
        gone = await removed(worlds, second)
        assert (gone.name, gone.images) == (str(APP), (second,))
        assert (await worlds.store.tags(), worlds.graph.tags.repositories()) == ({}, {})


async def test_an_id_is_refused_for_an_image_with_several_names_or_with_children(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        await give(worlds, "app:1", top)
        await give(worlds, "app:2", top)
        several, child = await refused(worlds, top), await refused(worlds, base)
        assert isinstance(several, StoreBusy)
        assert several.got == "docker.io/library/app:1, docker.io/library/app:2"
        assert isinstance(child, StoreBusy)
        assert child.got == top[:12]


async def test_a_held_image_keeps_its_last_name_and_may_lose_others(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await give(worlds, "app:1", base)
        await give(worlds, "app:2", base)
        with worlds.images.holding([base]):
            assert (await removed(worlds, "app:2")).images == ()
            for text in ("app:1", base):
                assert isinstance(await refused(worlds, text), StoreBusy)
        assert (await removed(worlds, "app:1")).images == (base,)


async def test_what_is_held_below_stays(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        with worlds.images.holding([base]):
            assert (await removed(worlds, top)).images == (top,)
        assert worlds.images.ids() == [base]


async def test_a8_what_could_be_several_images_removes_none(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        for digit in "01":
            worlds.plant("0123456789ab" + digit * 52)
        assert isinstance(await refused(worlds, "0123456789ab"), InvalidReference)


async def test_a_damaged_image_can_be_removed(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        (worlds.root / "graph" / top / "json").write_bytes(b"{")
        assert (await removed(worlds, top)).images == (top,)
        assert worlds.images.ids() == [base]


@pytest.mark.parametrize("parent", ["x\0y", "a" * 300, "x/../../../../stolen", "../../stolen"])
async def test_a1_a_parent_that_is_no_id_names_no_file_and_ends_the_removal(tmp_path: Path, parent: str) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await give(worlds, "app:1", base)
        (worlds.root / "graph" / base / "parent").write_text(parent)
        (worlds.root / "graph/_tmp/locks/image-x").mkdir(parents=True, exist_ok=True)
        assert (await removed(worlds, "app:1")).images == (base,)
        assert not any("stolen" in path for path in files_of(tmp_path))
        with pytest.raises(InvalidManifest):
            worlds.graph.making(parent)


async def test_a_name_that_stands_for_no_image_any_more_can_be_taken_away(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await give(worlds, "app", base)
        (worlds.root / "graph" / base).rename(tmp_path / "gone")
        gone = await removed(worlds, "app")
        assert (gone.images, worlds.graph.tags.repositories()) == ((), {})


class ReadOnly(PlainVfs):
    """As overlay and aufs are here."""

    name = "overlay"
    is_writable = False


async def test_images_that_can_only_be_read_keep_their_names(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await give(worlds, "app", base)
    async with two_worlds(tmp_path, ReadOnly(tmp_path / "store")) as worlds:
        for text in ("app", base):
            error = await refused(worlds, text)
            assert isinstance(error, Unsupported)
            assert "overlay" in str(error)


async def test_content_goes_by_its_id_where_it_has_one_name(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        root = await worlds.put(MODERN)
        for text in ("app:1", "app:2"):
            await name_content(name(text), root, worlds.store, worlds.graph)
        image_id = MODERN.config.digest.hex
        several = await refused(worlds, image_id)
        assert several.got == "docker.io/library/app:1, docker.io/library/app:2"
        await removed(worlds, "app:2")
        gone = await removed(worlds, image_id[:12])
        assert gone.name == "docker.io/library/app:1"
        assert await stored(worlds.store) == []


async def test_one_image_of_an_index_is_not_removed_by_its_id(tmp_path: Path) -> None:
    many = index(MODERN.manifest)
    async with two_worlds(tmp_path) as worlds:
        await worlds.put(MODERN)
        await put(worlds.store, many)
        await name_content(name("many"), many.descriptor, worlds.store, worlds.graph)
        error = await refused(worlds, MODERN.config.digest.hex)
        assert "puller rm docker.io/library/many:latest" in error.hint


async def test_what_is_not_here_is_missing(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        worlds.stack("base")
        for text in ("nosuch", "0" * 64, named("nosuch")[:12]):
            assert isinstance(await refused(worlds, text), ContentMissing)


async def test_blobs_behind_labels_are_freed_with_their_manifest(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        manifest = await worlds.put_old(LABELLED, Facts(labels=LABELS))
        await name_pulled(APP, base, manifest, worlds.store, worlds.graph)
        assert (await collect(worlds.store)).freed == ()
        gone = await removed(worlds, str(APP))
        assert gone.collected is not None
        assert len(gone.collected.freed) == 3


# --- what dead processes left ---


@pytest.fixture
def halfway() -> Iterator[LayerBlob]:
    with layer(archive(file="content")) as opened:
        yield opened


async def test_trees_without_an_image_that_were_made_here_are_swept_and_no_others(
    tmp_path: Path, halfway: LayerBlob
) -> None:
    async with two_worlds(tmp_path) as worlds:
        graph = graph_at(worlds.store)
        whole, left, foreign = (f"{digit}" * 64 for digit in "123")
        whole = graph.images.register(new_image("whole"), halfway, quiet).image_id
        graph.images.driver.make(left, None, halfway, quiet)
        (worlds.root / "vfs/dir" / foreign).mkdir()
        assert await sweep_graph(graph, dry_run=True) == [left]
        async with graph.making(left):
            assert await sweep_graph(graph) == []  # somebody works on it
        assert await sweep_graph(graph) == [left]
        trees = sorted(path.name for path in (worlds.root / "vfs/dir").iterdir())
        assert trees == sorted([whole, foreign])
        assert graph.images.ids() == [whole]


async def test_folders_of_images_that_were_never_whole_are_swept(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        left = worlds.root / "graph/_tmp" / ("ab" * 32)
        left.mkdir(parents=True)
        left.joinpath("json").write_bytes(b"{}")
        graph = graph_at(worlds.store)
        await sweep_graph(graph, dry_run=True)
        assert left.exists()
        await sweep_graph(graph)
        assert not left.exists()
        assert graph.images.ids() == [base]


async def test_a_labelled_image_is_pulled_over_what_the_graph_has_kept_and_then_removed_whole(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        raw = content_of(PLAIN)
        label = tarsum_of([raw], "tarsum.v1+sha256")
        s.story.registry.add("app:1", images.schema1(PLAIN, blobs=[label]))
        await s.pull()
        store = s.story.store
        (entry_name,) = await store.tags()
        await store.untag(name(entry_name))
        assert len((await collect(store)).freed) == 2  # the blob and the manifest, and the facts with it
        await s.pull()
        assert (await audit(store)).findings == ()
        assert (await collect(store)).freed == ()
        gone = await remove(entry_name, store, s.graph)
        assert len(gone.images) == 1
        assert await stored(store) == []
