"""A load beside a pull of the same images: each image is made once, by one of the two, and both end well."""

import hashlib
import json
from pathlib import Path

import anyio
import pytest

from puller.ops.load import load
from puller.ops.loading.news import News, Registered
from tests.archive.building import Part, folder, packed, repositories
from tests.ops.loader import source_of
from tests.ops.old_world import BASE, MIDDLE, OLD, TOP, OldStory, old_story, tar_of

pytestmark = pytest.mark.slow  # many small tests: for `make test`


async def saved(folder_of: Path) -> tuple[bytes, list[str]]:
    """What a pull makes of the image, as `docker save` wrote it, and its IDs, the base first."""
    async with old_story(folder_of) as s:
        s.story.registry.add("app:1", OLD)
        await s.pull()
        (names,) = s.graph.tags.repositories().values()
        line = s.graph.images.line(names["1"])[::-1]
    parts: list[Part] = []
    for image, layer in zip(line, (BASE, MIDDLE, TOP), strict=True):
        own = folder(image.image_id, image.parent, tar_of(layer))
        parts += [(name, image.image.encode() if name.endswith("/json") else content) for name, content in own]
    ids = [image.image_id for image in line]
    return packed([*parts, repositories({"loaded": {"1": ids[-1]}})]), ids


def conflict(image_id: str) -> str:
    """The ID that a pull takes where its own holds what came without a checksum."""
    return hashlib.sha256(image_id.encode()).hexdigest()


async def both(s: OldStory, archive: bytes, wait: float) -> list[str]:
    """Pull and load at once, one `wait` seconds behind; which images the load has made."""
    news: list[News] = []

    async def loading() -> None:
        await anyio.sleep(max(0.0, wait))
        with source_of(archive) as fd:
            await load(fd, s.graph, hear=news.append)

    async def pulling() -> None:
        await anyio.sleep(max(0.0, -wait))
        await s.pull()

    async with anyio.create_task_group() as group:
        group.start_soon(loading)
        group.start_soon(pulling)
    return [one.image_id for one in news if isinstance(one, Registered) and one.is_new]


@pytest.mark.parametrize("wait", [-0.05, -0.01, 0.0, 0.01, 0.05])
async def test_a_load_beside_a_pull_shares_the_work(tmp_path: Path, wait: float) -> None:
    archive, ids = await saved(tmp_path / "first")
    async with old_story(tmp_path / "second") as s:
        s.story.registry.add("app:1", OLD)
        made = await both(s, archive, wait)
        known = s.ids()
        assert set(made) <= set(ids) <= set(known) <= {*ids, *map(conflict, ids)}
        assert [image.image_id for image in s.graph.images.line(ids[-1])] == ids[::-1]
        names = {name: refs["1"] for name, refs in s.graph.tags.repositories().items()}
        assert names.pop("loaded") == ids[-1]
        assert set(names.values()) <= {ids[-1], conflict(ids[-1])}
        for image_id in made:
            assert json.loads(s.graph.images.get(image_id).config)["id"] == image_id
