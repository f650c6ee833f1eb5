"""Trees of graph images for all verbs: what stands in for an image while it is unpacked, and what keeps one mounted."""

import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from puller.errors import ContentCorrupt, ContentMissing, PullerError, StoreBusy
from puller.model.digest import Digest
from puller.model.report import UnpackReport
from puller.ops.graphs.door import GraphDoor
from puller.ops.graphs.standin import stand_in
from puller.ops.removing import remove
from puller.ops.unpack import unpack
from puller.ops.unpacking.stacking import layers_of
from puller.rootfs.crew import InProcess
from puller.rootfs.flat import Flat
from puller.rootfs.manner import Manner
from puller.rootfs.mounts import Mount
from testregistry import images
from testregistry.layers import File
from tests.ops.old_world import BASE, FILES, MIDDLE, OLD, TOP, OldStory, old_story, tar_of
from tests.rootfs.users import MYSELF, NAMES, NOBODY, Who, give, run

pytestmark = pytest.mark.slow  # many small tests: for `make test`

TREE = {**FILES, "srv/app/data": b"middle\n" * 9, "srv/app/main.py": b"print('app')\n", "etc/motd": b"changed\n"}
BLOBS = [Digest.parse(layer.digest) for layer in (BASE, MIDDLE, TOP)]
UNPACKER = InProcess(Manner())


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def text(image_id: str, parent: str = "", **more: Any) -> str:
    """The JSON of an image."""
    return json.dumps({"id": image_id, **({"parent": parent} if parent else {}), "os": "linux", **more})


async def pulled(s: OldStory) -> str:
    """The ID of an image that was pulled just now."""
    s.story.registry.add("app:1", OLD)
    await s.pull()
    place = s.story.registry.name("app")
    image_id = s.graph.tags.get(place, "1")
    assert image_id is not None
    return image_id


async def unpacked(s: OldStory, image_id: str, target: Path) -> UnpackReport:
    with Flat(target, UNPACKER, durable=False) as flat:
        present, workers = stand_in(image_id, s.graph), anyio.CapacityLimiter(2)
        return await unpack(present, flat, subject=image_id, path=str(target), workers=workers)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """A folder in which after the test is what was before: the directory alone, if at all."""
    folder = tmp_path / "kept"
    folder.mkdir()
    yield folder / "root"
    assert {path.name for path in folder.iterdir()} <= {"root"}


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that other users can reach: pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def nothing_kept(s: OldStory) -> Iterator[None]:
    """After the block the store has the blobs that it had."""
    blobs = s.story.store.layout.root / "blobs"
    before = content(blobs).keys()
    yield
    assert content(blobs).keys() == before


async def test_an_image_is_unpacked_from_its_blobs_as_it_is_from_the_graph(tmp_path: Path, kept: Path) -> None:
    async with old_story(tmp_path / "s") as s:
        image_id = await pulled(s)
        with nothing_kept(s):
            report = await unpacked(s, image_id, tmp_path / "blobs")
        for blob in BLOBS:
            s.story.store.layout.blob(blob).unlink()
        with nothing_kept(s):
            again = await unpacked(s, image_id, kept)
        assert content(tmp_path / "blobs") == content(kept) == TREE
        assert [layer.digest for layer in report.layers] == [str(blob) for blob in BLOBS]
        assert [layer.chain_id for layer in again.layers] == [layer.chain_id for layer in report.layers]
        assert [layer.digest for layer in again.layers] == [layer.diff_id for layer in again.layers]
        assert report.platform == "linux/amd64"


async def test_l7_a_blob_that_has_gone_bad_is_given_up_and_the_graph_s_layer_taken_the_next_time(
    tmp_path: Path, kept: Path
) -> None:
    async with old_story(tmp_path / "s") as s:
        image_id = await pulled(s)
        blob = s.story.store.layout.blob(BLOBS[1])
        blob.chmod(0o600)
        blob.write_bytes(blob.read_bytes()[:-9] + b"\0" * 9)
        with pytest.raises(ContentCorrupt, match="gone bad") as caught:
            await unpacked(s, image_id, kept)
        assert "again" in caught.value.hint
        assert content(kept.parent) == {}
        await unpacked(s, image_id, kept)
        assert content(kept) == TREE


async def test_a_file_of_the_graph_that_has_changed_is_an_error_that_leaves_nothing(tmp_path: Path, kept: Path) -> None:
    async with old_story(tmp_path / "s") as s:
        image_id = await pulled(s)
        s.story.store.layout.blob(BLOBS[2]).unlink()
        (s.graph.place / "vfs/dir" / image_id / "srv/app/main.py").write_bytes(b"print('ape')\n")
        with nothing_kept(s), pytest.raises(ContentCorrupt):
            await unpacked(s, image_id, kept)
        assert content(kept.parent) == {}


async def test_an_image_is_held_and_its_layers_are_freed_whatever_ends_the_work(tmp_path: Path) -> None:
    async with old_story(tmp_path / "s") as s:
        image_id = s.register(text("1" * 64), BASE).image_id

        async def work() -> None:
            async with stand_in(image_id, s.graph) as (image, blobs):
                (layer,) = layers_of(image)
                await blobs.ready(layer)
                assert await s.story.store.exists(layer.descriptor)
                with pytest.raises(StoreBusy):
                    await remove(image_id, s.story.store, s.graph)
                raise KeyError

        with nothing_kept(s), pytest.raises(KeyError):
            await work()
        await remove(image_id, s.story.store, s.graph)


async def test_r7_cancelling_leaves_neither_a_layer_nor_a_hold(tmp_path: Path, kept: Path) -> None:
    async with old_story(tmp_path / "s") as s:
        image_id = s.register(text("1" * 64), BASE).image_id
        with nothing_kept(s):
            with anyio.CancelScope() as scope:
                async with stand_in(image_id, s.graph) as (image, blobs):
                    await blobs.ready(layers_of(image)[0])
                    scope.cancel()
                    await anyio.sleep_forever()
            assert scope.cancelled_caught
        await remove(image_id, s.story.store, s.graph)


async def test_images_without_a_layer_and_for_no_platform_have_trees_too(tmp_path: Path, kept: Path) -> None:
    async with old_story(tmp_path / "s") as s:
        s.register(text("1" * 64), BASE)
        s.register(text("2" * 64, "1" * 64), None)
        report = await unpacked(s, "2" * 64, kept)
        assert content(kept) == FILES
        assert (len(report.layers), report.platform) == (2, None)


async def test_a_layer_to_be_thrown_away_is_unpacked_with_what_is_in_it_as_the_graph_has_it(
    tmp_path: Path, kept: Path
) -> None:
    texts = [json.loads(entry["v1Compatibility"]) for entry in json.loads(OLD.payload)["history"]]
    texts[0]["throwaway"] = True
    image = images.schema1(BASE, MIDDLE, TOP, history=[json.dumps(one) for one in texts])
    async with old_story(tmp_path / "s") as s:
        s.story.registry.add("app:1", image)
        await s.pull()
        image_id = s.graph.tags.get(s.story.registry.name("app"), "1")
        assert image_id is not None
        await unpacked(s, image_id, kept)
        assert content(kept) == TREE == content(s.graph.place / "vfs/dir" / image_id)


async def test_an_image_that_is_gone_is_missing(tmp_path: Path, kept: Path) -> None:
    async with old_story(tmp_path / "s") as s:
        with pytest.raises(ContentMissing):
            await unpacked(s, "1" * 64, kept)


async def test_an_image_stays_while_it_is_mounted_whoever_removes_it(tmp_path: Path) -> None:
    async with old_story(tmp_path / "s") as s:
        s.register(text("1" * 64), BASE)
        s.register(text("2" * 64, "1" * 64), TOP)
        s.graph.mounts.note(Mount("/", "vfs", ("1" * 64,)))  # what is always mounted somewhere
        removed = await remove("2" * 64, s.story.store, s.graph)
        assert removed.images == ("2" * 64,)
        with pytest.raises(StoreBusy, match="mounted"):
            s.graph.images.delete("1" * 64)
        with pytest.raises(StoreBusy, match="mounted") as caught:
            await remove("1" * 64, s.story.store, s.graph)
        assert caught.value.got == "/"
        with GraphDoor(s.story.store, s.graph.place) as other:
            assert other.open().mounts.target_of("1" * 64) == "/"
        s.graph.mounts.forget("/")
        assert (await remove("1" * 64, s.story.store, s.graph)).images == ("1" * 64,)


async def test_a_mount_that_is_no_more_keeps_nothing(tmp_path: Path) -> None:
    async with old_story(tmp_path / "s") as s:
        s.register(text("1" * 64), BASE)
        s.graph.mounts.note(Mount(str(tmp_path), "vfs", ("1" * 64,)))
        await remove("1" * 64, s.story.store, s.graph)
        assert s.ids() == []


async def test_h1_no_mount_is_written_down_behind_a_link(tmp_path: Path) -> None:
    async with old_story(tmp_path / "s") as s:
        s.register(text("1" * 64), BASE)
        victim = tmp_path / "victim"
        victim.mkdir()
        (s.graph.place / "graph/_tmp/mounts").symlink_to(victim)
        with pytest.raises(PullerError):
            s.graph.mounts.note(Mount("/", "vfs", ("1" * 64,)))
        assert list(victim.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("who", [MYSELF, NOBODY], ids=NAMES.__getitem__)
def test_a_loaded_image_is_exported_as_the_same_one_of_today_by_anybody(who: Who, scratch: Path) -> None:
    if os.geteuid() != 0 and who != MYSELF:
        pytest.skip("only root can become somebody else")
    _built(scratch / "old.tar")
    give(scratch, who)

    def puller(*words: str) -> None:
        run(who, "puller", *words, "--store", str(scratch / "store"), libraries=True)

    puller("load", str(scratch / "old.tar"))
    puller("convert", "old:1", "--to", "oci", "new:1")
    for name in ("old:1", "new:1"):
        puller("export", name, "-o", str(scratch / f"{name[:3]}-tree.tar"))
    assert (scratch / "old-tree.tar").read_bytes() == (scratch / "new-tree.tar").read_bytes()
    with tarfile.open(scratch / "old-tree.tar") as archive:
        owners = {one.name: (one.uid, one.gid, one.mode) for one in archive}
    assert owners["bin/su"] == (0, 0, 0o4755)
    assert owners["home/me"] == (1000, 1000, 0o640)


def _built(path: Path) -> None:
    """An archive of one image, as an old `docker save` wrote it."""
    layer = images.layer({"bin/su": File(mode=0o4755), "home/me": File(b"me", 0o640, 1000, 1000, 9)})
    members = {
        "VERSION": b"1.0",
        "json": text("1" * 64, architecture="amd64").encode(),
        "layer.tar": tar_of(layer),
    }
    files = {f"{'1' * 64}/{name}": content for name, content in members.items()}
    files["repositories"] = json.dumps({"old": {"1": "1" * 64}}).encode()
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
