"""History: every step of an image of either world, the latest first."""

import json
from pathlib import Path

import pytest

from puller.errors import ContentMissing, Unsupported
from puller.model.digest import Digest
from puller.ops.history import MISSING, Step, history
from testregistry import images
from tests.ops.old_world import OLD, OldStory, old_story
from tests.ops.shelf import FakeDriver, shelves
from tests.ops.story import BASE, IMAGE, TOP

pytestmark = pytest.mark.slow  # many small tests: for `make test`

SIZES = 600 + 256 * 700, 13  # content of the files of BASE and TOP
PAST = [
    {"created": "2020-01-01T00:00:00Z", "created_by": "ADD base", "comment": "first"},
    {"created": "2020-01-02T00:00:00Z", "created_by": "ENV a=b", "empty_layer": True},
    {"created": "2020-01-03T00:00:00Z", "created_by": "ADD top"},
]


async def told(s: OldStory, text: str = "") -> list[Step]:
    return await history(text or s.story.registry.name("app:1"), s.story.store, s.graph, shelves(FakeDriver()))


async def test_a_graph_image_tells_of_every_image_below_it_by_its_id(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        report = await s.pull()
        steps = await told(s)
        assert [step.image_id for step in steps] == [image.image_id for image in reversed(report.images)]
        assert {(step.created, step.created_by) for step in steps} == {
            ("1970-01-01T00:00:00Z", "/bin/sh -c #(nop) testregistry")
        }
        assert [step.size for step in steps] == [s.graph.images.get(step.image_id).size for step in steps]


async def test_a_content_image_tells_of_its_steps_and_has_one_id(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        image = images.image(BASE, TOP, config_extra={"history": PAST})
        s.story.registry.add("app:1", image)
        await s.story.pull()
        steps = await told(s)
        assert [step.image_id for step in steps] == [image.config.digest, MISSING, MISSING]
        assert [(step.created_by, step.comment) for step in steps] == [
            ("ADD top", ""), ("ENV a=b", ""), ("ADD base", "first")
        ]  # fmt: skip
        assert [step.size for step in steps] == [SIZES[1], 0, SIZES[0]]
        assert steps == await told(s, image.config.digest)


@pytest.mark.parametrize("past", [[], PAST[:1], [*PAST, *PAST]])
async def test_a_history_that_does_not_fit_the_layers_is_not_believed(past: list[object], tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", images.image(BASE, TOP, config_extra={"history": past}))
        await s.story.pull()
        steps = await told(s)
        assert [(step.created_by, step.size) for step in steps] == [("", SIZES[1]), ("", SIZES[0])]


async def test_sizes_are_those_of_the_files_where_an_image_is_unpacked(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        here = shelves(FakeDriver())
        await s.story.pull(shelves=here)
        (driver,) = here.drivers
        steps = await history(s.story.registry.name("app:1"), s.story.store, s.graph, here)
        assert [step.size for step in steps] == [driver.unpacked(layer).size for layer in reversed(driver.layers())]


async def test_a_layer_that_was_given_up_or_cannot_be_read_has_no_size(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", images.image(BASE, TOP, images.raw_layer(b"no archive" * 60)))
        await s.story.pull()
        await s.story.store.delete(Digest.parse(TOP.digest))
        assert [step.size for step in await told(s)] == [None, None, SIZES[0]]


async def test_steps_are_plain_data_for_programs(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        plain = json.loads(json.dumps((await told(s))[0].plain()))
        assert plain.keys() == {"image_id", "created", "created_by", "size", "comment"}


async def test_what_is_not_here_or_has_no_image_has_no_history(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        with pytest.raises(ContentMissing):
            await told(s)
        s.story.registry.add("app:1", OLD)
        await s.story.pull()
        with pytest.raises(Unsupported):
            await told(s)
