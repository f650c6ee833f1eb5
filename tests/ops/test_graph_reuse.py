"""Images of today where an image graph is at hand: its layers are not fetched, and its names give way."""

import json
from pathlib import Path

import pytest

from puller.model.digest import Digest
from testregistry import images
from testregistry.documents import SCHEMA1_SIGNED
from tests.ops.old_world import (
    BASE,
    FILES,
    OLD,
    TOP,
    old_story,
    texts_of,
)

pytestmark = pytest.mark.slow  # many small tests: for `make test`


async def test_a_layer_that_the_graph_has_by_checksum_is_not_fetched(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", images.schema1(BASE))
        old = (await s.pull()).images[0].image_id
        await s.story.store.delete(Digest.parse(BASE.digest))  # only the graph has it now
        today = images.image(BASE, TOP)
        s.story.registry.add("new:1", today)
        s.story.registry.journal.clear()
        report = await s.pull("new:1")
        layers = {blob.digest: blob for blob in report.blobs if blob.role.startswith("layer")}
        assert layers[BASE.digest].graph == old
        assert layers[BASE.digest].outcome == "reused"
        assert s.story.registry.journal.count(BASE.digest) == 0
        facts = await s.story.store.facts(Digest.parse(today.digest))
        assert facts.discarded == (Digest.parse(BASE.digest),)


async def test_a_layer_that_the_graph_has_by_diff_id_is_not_fetched_though_another_blob_holds_it(
    tmp_path: Path,
) -> None:
    async with old_story(tmp_path) as s:
        s.register(texts_of(OLD)[0], BASE)  # as a load leaves it: no checksum
        other = images.layer(FILES, compression="none")
        today = images.image(other, TOP)
        s.story.registry.add("new:1", today)
        report = await s.pull("new:1")
        graphs = [blob.graph for blob in report.blobs if blob.role.startswith("layer")]
        assert graphs == [json.loads(texts_of(OLD)[0])["id"], ""]
        assert s.story.registry.journal.count(other.digest) == 0


async def test_a_layer_of_the_graph_that_was_changed_on_the_disk_is_fetched_after_all(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", images.schema1(BASE))
        old = (await s.pull()).images[0].image_id
        await s.story.store.delete(Digest.parse(BASE.digest))
        (s.graph.place / "vfs" / "dir" / old / "etc" / "motd").write_bytes(b"forged\n" * 100)
        s.story.registry.add("new:1", images.image(BASE, TOP))
        report = await s.pull("new:1")
        assert {blob.graph for blob in report.blobs} == {""}
        assert BASE.digest in await s.story.blobs()


async def test_without_unpacking_blobs_are_fetched_whatever_the_graph_has(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.register(texts_of(OLD)[0], BASE, checksum=BASE.digest)
        s.story.registry.add("new:1", images.image(BASE, TOP))
        await s.story.pull("new:1", graph=s.door)
        assert BASE.digest in await s.story.blobs()


async def test_a_name_that_becomes_an_image_of_today_is_the_graphs_no_more(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.pull()
        s.story.registry.add("app:1", images.image(BASE, TOP))
        await s.pull()
        assert s.graph.tags.repositories() == {}
        s.story.registry.add("app:1", OLD)
        await s.pull()
        assert [named.media_type for named in (await s.story.store.tags()).values()] == [SCHEMA1_SIGNED]
