"""The carrier of one process: transfers as plain data, what was there kept under its backup tag, errors with a name."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from puller.errors import NotFound, PullerError
from puller.model.sync import Carried, Manner, Transfer
from puller.ops.copying.local import LocalCarrier
from testregistry import faults, images
from tests.ops.copying.scene import ARM, INDEX, Scene, manifest, scene, tags
from tests.ops.story import BASE, IMAGE

OTHER = images.image(BASE)


def transfer(s: Scene, made: images.Image | images.Index = IMAGE, tag: str | None = "1", **more: Any) -> Transfer:
    """Of what was made, from `app` to `copy`."""
    to = more.pop("target", s.b.name("copy"))
    return Transfer(s.a.name("app"), made.digest, made.media_type, made.size, to, tag, **more)


def carrier(s: Scene, **more: Any) -> LocalCarrier:
    return LocalCarrier(s.places, claims=s.claims, report=s.events.append, **more)


async def test_a_transfer_is_carried(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        done = await carrier(s).carry(Transfer.decode(transfer(s, INDEX).encode()))
        assert (done.root, tags(s.b)) == (INDEX.digest, {"1": INDEX.digest})
        assert Carried.decode(done.encode()) == done
        # The digest is known, so its name is not asked for.
        assert s.a.journal.count("HEAD") == 0


async def test_without_a_tag_it_goes_by_its_digest(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app", IMAGE)
        await carrier(s).carry(transfer(s, tag=None))
        assert (tags(s.b), manifest(s.b, "copy", IMAGE.digest)) == ({}, IMAGE.raw)


async def test_manner_is_followed(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        done = await carrier(s).carry(transfer(s, INDEX, manner=Manner(("linux/arm64",), "single")))
        assert (done.root, tags(s.b)) == (ARM.digest, {"1": ARM.digest})


@pytest.mark.parametrize("kind", ["registry", "directory", "store"])
async def test_what_a_tag_named_is_kept_under_its_backup_before_it_moves(tmp_path: Path, kind: str) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", ARM)
        s.a.add("app:2", IMAGE)
        place = s.b.name("copy") if kind == "registry" else getattr(s, kind)
        await carrier(s).carry(transfer(s, ARM, target=place))
        moved = transfer(s, IMAGE, target=place, replaces=ARM.digest, backup="old-1")
        await carrier(s).carry(moved)
        target = await s.places.target(place)
        assert [str(await target.named(tag)) for tag in ("1", "old-1")] == [IMAGE.digest, ARM.digest]
        if kind == "registry":
            puts = [r.path.rpartition("/")[2] for r in s.b.journal.find("PUT", kind="manifest")]
            assert puts == ["1", "old-1", "1"]


async def test_a_backup_that_fails_leaves_the_tag_where_it_is(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        s.b.add("copy:1", ARM)
        s.b.faults.append(faults.status(403, method="PUT", path="/manifests/old", times=None))
        with pytest.raises(PullerError):
            await carrier(s).carry(transfer(s, replaces=ARM.digest, backup="old"))
        assert tags(s.b) == {"1": ARM.digest}


async def test_an_image_that_does_not_come_leaves_the_backup_as_it_was(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        s.b.add("copy:1", ARM)
        s.b.add("copy:old", OTHER)
        s.a.faults.append(faults.status(404, path=f"/blobs/{IMAGE.layers[-1].digest}", times=None))
        with pytest.raises(PullerError):
            await carrier(s).carry(transfer(s, replaces=ARM.digest, backup="old"))
        assert tags(s.b) == {"1": ARM.digest, "old": OTHER.digest}


@pytest.mark.parametrize("index", ["rewritten", "single"])
async def test_what_is_made_of_an_index_again_leaves_the_backup_as_it_was(tmp_path: Path, index: Any) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        s.b.add("copy:old", OTHER)
        manner = Manner(("linux/arm64",), index)
        done = await carrier(s).carry(transfer(s, INDEX, manner=manner))
        await carrier(s).carry(transfer(s, INDEX, manner=manner, replaces=done.root, backup="old"))
        assert tags(s.b) == {"1": done.root, "old": OTHER.digest}


async def test_nothing_is_backed_up_where_nothing_is_overwritten(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        await carrier(s).carry(transfer(s, replaces=None, backup="old"))
        await carrier(s).carry(transfer(s, replaces=IMAGE.digest, backup="old"))
        assert tags(s.b) == {"1": IMAGE.digest}


async def test_where_somebody_else_moved_the_tag_that_is_backed_up_and_told(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        s.b.add("copy:1", OTHER)
        done = await carrier(s).carry(transfer(s, replaces=ARM.digest, backup="old"))
        assert tags(s.b) == {"1": IMAGE.digest, "old": OTHER.digest}
        assert OTHER.digest in done.warnings[0]


async def test_a_tag_that_names_what_is_wanted_already_is_no_surprise(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        s.b.add("copy:1", IMAGE)
        assert (await carrier(s).carry(transfer(s, replaces=ARM.digest))).warnings == ()


async def test_errors_say_which_image_it_was(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:2", ARM)
        with pytest.raises(NotFound) as caught:
            await carrier(s).carry(transfer(s, target=s.directory))
        assert caught.value.reference == s.a.name("app")
        assert caught.value.digest == IMAGE.digest


async def test_many_images_come_at_once_and_each_blob_once(tmp_path: Path) -> None:
    made = [images.image(BASE, images.layer({"n": str(n).encode()})) for n in range(30)]
    async with scene(tmp_path) as s:
        for n, image in enumerate(made):
            s.a.add(f"app:{n}", image)
        one = carrier(s, jobs=4)
        async with anyio.create_task_group() as group:
            for n, image in enumerate(made):
                group.start_soon(one.carry, transfer(s, image, str(n)))
        assert tags(s.b) == {str(n): image.digest for n, image in enumerate(made)}
        assert all(s.a.journal.gets(content.digest) == 1 for image in made for content in image.content())
