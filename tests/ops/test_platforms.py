"""A platform that is asked for is the one that comes out, or an error: of save, history and convert alike."""

from pathlib import Path
from typing import Any

import pytest

from puller.errors import Unsupported
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.convert import convert
from puller.ops.history import history
from puller.ops.save import save
from testregistry import images
from tests.ops.old_world import OLD, OldStory, old_story
from tests.ops.shelf import FakeDriver, shelves
from tests.ops.story import BASE, IMAGE, TOP

pytestmark = pytest.mark.slow  # many small tests: for `make test`

AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
REFUSED = "no image for this platform.*wanted linux/arm64, got linux/amd64"


async def tried(s: OldStory, verb: str, platform: Platform | None, **words: Any) -> None:
    text, store = s.story.registry.name("app:1"), s.story.store
    if verb == "convert":
        await convert(text, "docker", store, s.graph, name=Reference.parse("new:1"), platform=platform)
    elif verb == "history":
        await history(text, store, s.graph, shelves(FakeDriver()), platform=platform, **words)
    else:
        form: Any = verb.removeprefix("save as ")
        await save([text], store, s.graph, lambda chunk: None, form=form, platform=platform, **words)


@pytest.mark.parametrize("verb", ["save as docker", "save as oci", "history", "convert"])
@pytest.mark.parametrize("world", ["content", "graph"])
async def test_the_one_image_of_another_platform_is_refused(verb: str, world: str, tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE if world == "content" else OLD)
        await (s.story if world == "content" else s).pull()
        with pytest.raises(Unsupported, match=REFUSED):
            await tried(s, verb, ARM64)
        await tried(s, verb, AMD64)


async def test_a_schema_1_manifest_alone_is_held_to_it_too(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.story.pull()
        with pytest.raises(Unsupported, match=REFUSED):
            await tried(s, "convert", ARM64)


@pytest.mark.parametrize("verb", ["save as docker", "save as oci", "history"])
async def test_this_machine_s_platform_chooses_of_an_index_and_refuses_nothing(verb: str, tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        await tried(s, verb, None, otherwise=ARM64)
        s.story.registry.add("app:1", images.index(images.image(BASE), images.image(TOP, platform=("linux", "arm64"))))
        await s.story.pull(platforms=None)
        await tried(s, verb, None, otherwise=ARM64)
