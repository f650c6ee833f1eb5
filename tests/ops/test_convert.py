"""Converting: the IDs Docker gives to the same image, blobs as they are, and what is refused with nothing changed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from puller.errors import ContentMissing, InvalidManifest, InvalidReference, Unsupported
from puller.legacy.modern import modern_config
from puller.model.digest import Digest
from puller.model.mediatype import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_FOREIGN_LAYER_GZIP,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from puller.model.platform import Platform
from puller.model.reference import Reference
from puller.ops.convert import Converted, convert
from puller.ops.history import history
from puller.ops.saving.modernise import Form
from testregistry import images
from testregistry.layers import Layer
from testregistry.schema1 import Schema1
from tests.ops.old_world import BASE, MIDDLE, OLD, TOP, OldStory, old_story, tar_of, texts_of
from tests.ops.shelf import FakeDriver, shelves
from tests.ops.story import IMAGE

pytestmark = pytest.mark.slow

HOLLOW = images.raw_layer(bytes(1024))
NEW = Reference.parse("new:1")


def thrown_away(*layers: Layer, empty: Sequence[int]) -> Schema1:
    """A manifest of these layers, base first, of which those at `empty` are marked to be thrown away."""
    texts = [json.loads(text) for text in texts_of(images.schema1(*layers))]
    for place in empty:
        texts[place]["throwaway"] = True
    return images.schema1(*layers, history=[json.dumps(text) for text in reversed(texts)])


async def converted(s: OldStory, form: Form = "oci", name: Reference | None = None, **words: Any) -> Converted:
    return await convert(s.story.registry.name("app:1"), form, s.story.store, s.graph, name=name, **words)


async def manifest_of(s: OldStory, made: Converted) -> dict[str, Any]:
    raw = await s.story.store.read(made.manifest, limit=1 << 20)
    found: dict[str, Any] = json.loads(raw)
    return found


@pytest.mark.parametrize(
    ("form", "types"),
    [("oci", (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER_GZIP)), ("docker", (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER))],
)
async def test_a_graph_image_becomes_one_of_today_over_the_blobs_it_came_in(
    form: Form, types: tuple[str, str, str], tmp_path: Path
) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        report = await s.pull()
        before = await s.story.blobs()
        made = await converted(s, form, NEW)
        manifest = await manifest_of(s, made)
        assert (manifest["mediaType"], manifest["config"]["mediaType"]) == types[:2]
        assert [(layer["mediaType"], layer["digest"]) for layer in manifest["layers"]] == [
            (types[2], layer.digest) for layer in OLD.layers
        ]
        diff_ids = [Digest.parse(layer.diff_id) for layer in OLD.layers]
        assert made.image_id == Digest.of(modern_config([text.encode() for text in texts_of(OLD)], diff_ids))
        assert made.old_id == report.images[-1].image_id
        assert [turned.image_id for turned in made.layers] == [image.image_id for image in report.images]
        assert [turned.diff_id for turned in made.layers] == diff_ids
        assert made.reused == len(OLD.layers)
        assert await s.story.blobs() - before == {str(made.manifest.digest), str(made.image_id)}


async def test_the_same_image_gives_the_same_digests_again(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.pull()
        assert await converted(s, "docker", NEW) == await converted(s, "docker", NEW)


async def test_a_new_name_leaves_the_old_one_and_none_takes_it(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        report = await s.pull()
        place = f"{s.story.registry.host}/app"
        assert not (await converted(s, "oci", NEW)).moved
        assert s.graph.tags.get(place, "1") == report.images[-1].image_id
        made = await converted(s)
        assert made.moved
        assert s.graph.tags.get(place, "1") is None
        assert (await s.story.store.tags())[str(made.reference)].digest == made.manifest.digest
        assert s.graph.images.has(report.images[-1].image_id)


async def test_an_image_found_by_its_id_needs_a_name(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        report = await s.pull()
        with pytest.raises(InvalidReference, match="needs a name"):
            await convert(report.images[-1].image_id, "oci", s.story.store, s.graph)


async def test_a_layer_without_a_blob_is_stored_uncompressed(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.pull()
        await s.story.store.delete(Digest.parse(MIDDLE.digest))
        made = await converted(s)
        layers = (await manifest_of(s, made))["layers"]
        assert (layers[1]["mediaType"], layers[1]["digest"]) == (OCI_LAYER, MIDDLE.diff_id)
        assert made.reused == len(OLD.layers) - 1
        assert s.story.store.layout.blob(Digest.parse(MIDDLE.diff_id)).read_bytes() == tar_of(MIDDLE)
        assert (await s.story.store.facts(Digest.parse(MIDDLE.diff_id))).verified
        assert made.image_id == Digest.of(
            modern_config([text.encode() for text in texts_of(OLD)], [Digest.parse(one.diff_id) for one in OLD.layers])
        )


async def test_a_manifest_alone_is_enough_where_its_blobs_are_here(tmp_path: Path) -> None:
    async with old_story(tmp_path / "alone") as alone, old_story(tmp_path / "whole") as whole:
        for s in (alone, whole):
            s.story.registry.add("app:1", OLD)
        await alone.story.pull()
        await whole.pull()
        one, other = await converted(alone, "oci", NEW), await converted(whole, "oci", NEW)
        assert (one.image_id, one.manifest) == (other.image_id, other.manifest)
        assert [turned.image_id for turned in one.layers] == [json.loads(text)["id"] for text in texts_of(OLD)]


async def test_layers_that_are_thrown_away_are_empty_entries_of_the_history(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", thrown_away(BASE, HOLLOW, TOP, empty=[1]))
        await s.pull()
        made = await converted(s)
        assert [turned.layer is None for turned in made.layers] == [False, True, False]
        assert [layer["digest"] for layer in (await manifest_of(s, made))["layers"]] == [BASE.digest, TOP.digest]
        steps = await history(str(made.reference), s.story.store, s.graph, shelves(FakeDriver()))
        assert [step.size for step in steps][1] == 0
        assert len(steps) == 3


@pytest.mark.parametrize("graph", [True, False])
async def test_c19_a_layer_that_holds_something_is_not_thrown_away(graph: bool, tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", thrown_away(BASE, MIDDLE, TOP, empty=[1]))
        await (s.pull() if graph else s.story.pull())
        before = await s.story.blobs(), await s.story.tags()
        with pytest.raises(InvalidManifest, match="to be thrown away is not empty"):
            await converted(s)
        assert (await s.story.blobs(), await s.story.tags()) == before


async def test_a_layer_that_nobody_has_must_be_pulled_first(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", OLD)
        await s.story.pull()
        await s.story.store.delete(Digest.parse(TOP.digest))
        with pytest.raises(ContentMissing) as caught:
            await converted(s)
        assert "puller pull" in caught.value.hint


async def test_an_image_of_today_changes_its_media_types_and_nothing_else(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", IMAGE)
        await s.story.pull()
        there = await converted(s, "docker", NEW)
        assert there.image_id == Digest.parse(IMAGE.config.digest)
        manifest = await manifest_of(s, there)
        assert (manifest["mediaType"], manifest["config"]["mediaType"]) == (DOCKER_MANIFEST, DOCKER_CONFIG)
        assert {layer["mediaType"] for layer in manifest["layers"]} == {DOCKER_LAYER}
        back = await convert("new:1", "oci", s.story.store, s.graph)
        assert (await manifest_of(s, back))["layers"] == json.loads(IMAGE.raw)["layers"]


async def test_what_has_the_form_already_or_is_an_index_has_no_other(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        s.story.registry.add("app:1", images.index(IMAGE))
        await s.story.pull()
        with pytest.raises(Unsupported, match="an index has no other form"):
            await converted(s, "docker")
        amd64 = Platform.parse("linux/amd64")
        with pytest.raises(Unsupported, match="has this form already"):
            await converted(s, "oci", NEW, platform=amd64)
        made = await converted(s, "docker", NEW, platform=amd64)
        assert made.image_id == Digest.parse(IMAGE.config.digest)


async def test_layers_of_types_that_the_other_form_lacks_are_refused(tmp_path: Path) -> None:
    async with old_story(tmp_path) as s:
        layer = {"mediaType": OCI_FOREIGN_LAYER_GZIP, "digest": BASE.digest, "size": BASE.size}
        odd = images.image(BASE, manifest_extra={"layers": [layer]})
        s.story.registry.add("app:1", odd)
        await s.story.pull()
        with pytest.raises(Unsupported, match="that the other form does not have"):
            await converted(s, "docker", NEW)
