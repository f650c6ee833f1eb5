"""Names: one stands for one image, in whichever world that lives, and an ID for one or for none."""

from pathlib import Path

import anyio
import pytest

from puller.errors import ContentMissing, DigestMismatch, InvalidReference
from puller.model.digest import Digest
from puller.ops.graphs.names import Found, find, name_content, name_image, name_pulled, rename, unname
from tests.contracts.sample import blob, image, index, put
from tests.graph.images import named
from tests.ops.two_worlds import OLD, TwoWorlds, name, two_worlds

pytestmark = pytest.mark.slow  # many small tests: for `make test`

APP = name("registry.example/app:1")
MODERN = image(blob(50), seed=1)


async def found(worlds: TwoWorlds, text: str) -> Found:
    return await find(text, worlds.store, worlds.graph)


async def named_content(worlds: TwoWorlds, text: str) -> None:
    await name_content(name(text), await worlds.put(MODERN), worlds.store, worlds.graph)


async def named_image(worlds: TwoWorlds, text: str, image_id: str) -> None:
    await name_image(name(text), image_id, worlds.store, worlds.graph)


async def test_a_name_finds_what_it_was_given_to_in_either_world(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await named_content(worlds, "modern:1")
        await named_image(worlds, "old:1", base)
        content, graph = await found(worlds, "modern:1"), await found(worlds, "docker.io/library/old:1")
        assert (content.image_id, content.descriptor) == (None, MODERN.manifest.descriptor)
        assert (graph.image_id, graph.descriptor, graph.place) == (base, None, ("old", "1"))
        assert (graph.reference, graph.name) == (name("old:1"), "docker.io/library/old:1")


async def test_names_are_kept_in_the_graph_as_docker_writes_them(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        for text in ("debian", "localhost:5000/x:2"):
            await named_image(worlds, text, base)
        pinned = name(f"quay.io/a/b@{OLD.digest}")
        await name_pulled(pinned, base, await worlds.put_old(), worlds.store, worlds.graph)
        assert worlds.graph.tags.repositories() == {
            "debian": {"latest": base},
            "localhost:5000/x": {"2": base},
            "quay.io/a/b": {OLD.digest: base},
        }


async def test_a_name_given_to_a_graph_image_is_taken_from_content(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await named_content(worlds, "app")
        assert await name_image(name("app"), base, worlds.store, worlds.graph) == str(MODERN.config.digest)
        assert (await found(worlds, "app")).image_id == base
        assert await worlds.store.tags() == {}


async def test_a_name_given_to_content_is_taken_from_a_graph_image(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await named_image(worlds, "app", base)
        await named_content(worlds, "app")
        assert (await found(worlds, "app")).descriptor == MODERN.manifest.descriptor
        assert worlds.graph.tags.repositories() == {}


async def test_who_had_a_name_before_is_told(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        assert await name_image(APP, base, worlds.store, worlds.graph) is None
        assert await name_image(APP, base, worlds.store, worlds.graph) is None
        assert await name_image(APP, top, worlds.store, worlds.graph) == base


async def test_a_pulled_image_is_found_with_its_manifest(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        manifest = await worlds.put_old()
        await name_pulled(APP, base, manifest, worlds.store, worlds.graph)
        for text in (str(APP), base, base[:12], str(manifest.digest)):
            one = await found(worlds, text)
            assert (one.image_id, one.descriptor) == (base, manifest)


async def test_a_pulled_image_keeps_its_manifest_under_another_name_and_where_it_is_named_again(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        manifest = await worlds.put_old()
        await name_pulled(APP, base, manifest, worlds.store, worlds.graph)
        await named_image(worlds, str(APP), base)
        await rename(await found(worlds, str(APP)), name("mine:1"), worlds.store, worlds.graph)
        for text in (str(APP), "mine:1"):
            one = await found(worlds, text)
            assert (one.image_id, one.descriptor) == (base, manifest)


async def test_the_manifest_of_another_image_never_stays_beside_a_new_one(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        await name_pulled(APP, base, await worlds.put_old(), worlds.store, worlds.graph)
        await named_image(worlds, str(APP), top)
        assert (await found(worlds, str(APP))).descriptor is None
        assert (await found(worlds, str(APP))).image_id == top


async def test_a_schema_1_manifest_without_an_image_is_found_alone(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        manifest = await worlds.put_old()
        await name_content(APP, manifest, worlds.store, worlds.graph)
        one = await found(worlds, str(APP))
        assert (one.image_id, one.descriptor) == (None, manifest)


async def test_a_schema_1_image_is_pinned_by_the_digest_of_what_was_signed(tmp_path: Path) -> None:
    pinned = name(f"registry.example/app@{OLD.digest}")
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        manifest = await worlds.put_old()
        await name_pulled(pinned, base, manifest, worlds.store, worlds.graph)
        for text in (str(pinned), OLD.digest):
            one = await found(worlds, text)
            assert (one.image_id, one.descriptor) == (base, manifest)
        other = name(f"registry.example/app@{Digest.of(b'another')}")
        with pytest.raises(DigestMismatch):
            await name_pulled(other, base, manifest, worlds.store, worlds.graph)
        assert set(await worlds.store.tags()) == {str(pinned)}
        assert list(worlds.graph.tags.repositories()["registry.example/app"]) == [OLD.digest]


async def test_a_manifest_that_is_not_whole_leaves_the_name_as_it_was(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        manifest = await worlds.put_old()
        await name_pulled(APP, base, manifest, worlds.store, worlds.graph)
        await worlds.store.delete(Digest.parse(OLD.layers[0].digest))
        with pytest.raises(ContentMissing):
            await name_pulled(name("other"), top, manifest, worlds.store, worlds.graph)
        assert worlds.graph.tags.names_of(top) == []
        assert (await found(worlds, str(APP))).image_id == base


async def test_a9_an_image_without_a_manifest_takes_no_name_with_a_digest(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        await name_pulled(APP, base, await worlds.put_old(), worlds.store, worlds.graph)
        pinned = name(f"registry.example/app@{OLD.digest}")
        with pytest.raises(InvalidReference, match="that of a manifest"):
            await name_image(pinned, top, worlds.store, worlds.graph)
        with pytest.raises(InvalidReference, match="that of a manifest"):
            await rename(await found(worlds, top), pinned, worlds.store, worlds.graph)
        assert (await found(worlds, OLD.digest)).image_id == base
        await rename(await found(worlds, str(APP)), pinned, worlds.store, worlds.graph)
        assert (await found(worlds, str(pinned))).image_id == base


async def test_a9_a_digest_means_what_is_proved_and_no_name_that_claims_it(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        for claimed in (OLD.digest, str(Digest.of(b"another")), str(MODERN.manifest.digest)):
            worlds.graph.tags.tag("registry.example/app", claimed, top)
            with pytest.raises(ContentMissing):
                await found(worlds, claimed)
        assert (await found(worlds, f"registry.example/app@{OLD.digest}")).image_id == top
        manifest = await worlds.put_old()
        await name_content(name("plain"), manifest, worlds.store, worlds.graph)
        await named_content(worlds, "modern")
        one, other = await found(worlds, OLD.digest), await found(worlds, str(MODERN.manifest.digest))
        assert (one.image_id, one.descriptor) == (None, manifest)
        assert (other.image_id, other.descriptor) == (None, MODERN.manifest.descriptor)
        await name_pulled(APP, base, manifest, worlds.store, worlds.graph)
        assert (await found(worlds, OLD.digest)).image_id == base


@pytest.mark.parametrize("text", ["sha256:1984", "sha512:ab", "sha256:" + "a" * 63])
async def test_a8_nothing_gets_a_name_that_reads_as_an_id(tmp_path: Path, text: str) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        manifest = await worlds.put_old()
        with pytest.raises(InvalidReference, match="look like an image ID"):
            await named_image(worlds, text, base)
        with pytest.raises(InvalidReference, match="look like an image ID"):
            await named_content(worlds, text)
        with pytest.raises(InvalidReference, match="look like an image ID"):
            await name_pulled(name(text), base, manifest, worlds.store, worlds.graph)
        assert (await worlds.store.tags(), worlds.graph.tags.repositories()) == ({}, {})
        for other in ("sha256:latest", "registry.example/sha256:1984"):
            await named_image(worlds, other, base)


@pytest.mark.parametrize("text", ["198", "a", "sha256:198"])
async def test_too_short_a_beginning_of_an_id_is_told_so(tmp_path: Path, text: str) -> None:
    async with two_worlds(tmp_path) as worlds:
        with pytest.raises(ContentMissing, match="four digits or more"):
            await found(worlds, text)


async def test_only_an_image_that_is_here_gets_a_name(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        await named_content(worlds, "app")
        with pytest.raises(ContentMissing):
            await named_image(worlds, "app", named("nowhere"))
        assert (await found(worlds, "app")).descriptor == MODERN.manifest.descriptor
        assert worlds.graph.tags.repositories() == {}


@pytest.mark.parametrize("text", ["docker.io/library/a/b", "docker.io/a.b/c"])
async def test_a_name_that_was_another_to_an_old_docker_finds_no_graph_image(tmp_path: Path, text: str) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, _ = worlds.stack("base", "top")
        worlds.graph.tags.tag("a/b", "latest", base)
        worlds.graph.tags.tag("a.b/c", "latest", base)
        with pytest.raises(ContentMissing):
            await found(worlds, text)
        with pytest.raises(InvalidReference):
            await named_image(worlds, text, base)
        await named_content(worlds, text)
        await unname(name(text), worlds.store, worlds.graph)
        assert set(worlds.graph.tags.repositories()) == {"a/b", "a.b/c"}


async def test_a_name_that_only_a_graph_can_have_is_found(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        worlds.graph.tags.tag("Upper/Case", "1", base)
        one = await found(worlds, "Upper/Case:1")
        assert (one.image_id, one.reference, one.place) == (base, None, ("Upper/Case", "1"))
        assert one.name == "Upper/Case:1"
        with pytest.raises(InvalidReference):
            await found(worlds, "Upper/Case:2")


async def test_unname_takes_the_name_in_both_worlds_and_tells_what_it_stood_for(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        manifest = await worlds.put_old()
        await name_pulled(APP, base, manifest, worlds.store, worlds.graph)
        gone = await unname(APP, worlds.store, worlds.graph)
        assert (gone.image_id, gone.descriptor) == (base, manifest)
        assert (await worlds.store.tags(), worlds.graph.tags.repositories()) == ({}, {})
        with pytest.raises(ContentMissing):
            await unname(APP, worlds.store, worlds.graph)


async def test_a_place_that_a_killed_process_left_behind_an_entry_is_hidden_and_goes_with_it(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await named_content(worlds, "app")
        worlds.graph.tags.tag("app", "latest", base)
        assert (await found(worlds, "app")).image_id is None
        assert (await unname(name("app"), worlds.store, worlds.graph)).image_id is None
        assert worlds.graph.tags.repositories() == {}


# --- IDs ---


async def test_a8_two_images_that_share_the_first_twelve_digits_are_an_error_and_never_the_first(
    tmp_path: Path,
) -> None:
    async with two_worlds(tmp_path) as worlds:
        first, second = "0123456789ab" + "0" * 52, "0123456789ab" + "1" * 52
        for image_id in (first, second):
            worlds.plant(image_id)
        for text in ("0123", "0123456789ab", "sha256:0123456789ab"):
            with pytest.raises(InvalidReference) as caught:
                await found(worlds, text)
            assert first in str(caught.value)
            assert second in str(caught.value)
        assert (await found(worlds, first)).image_id == first
        assert (await found(worlds, "0123456789ab1")).image_id == second


async def test_a8_an_archive_cannot_put_a_graph_image_under_the_id_of_a_content_image(tmp_path: Path) -> None:
    image_id = MODERN.config.digest.hex
    async with two_worlds(tmp_path) as worlds:
        await named_content(worlds, "app")
        assert (await found(worlds, image_id)).descriptor == MODERN.manifest.descriptor
        worlds.plant(image_id)
        for text in (image_id, f"sha256:{image_id}", image_id[:12]):
            with pytest.raises(InvalidReference):
                await found(worlds, text)


async def test_a8_names_win_over_ids_and_no_name_is_a_whole_id(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        await named_image(worlds, base[:12], top)
        assert (await found(worlds, base[:12])).image_id == top
        await worlds.put(MODERN)
        await worlds.store.tag(name(f"sha256:{base}"), MODERN.manifest.descriptor)
        assert (await found(worlds, f"sha256:{base}")).image_id == base
        assert (await found(worlds, base)).image_id == base


async def test_content_is_found_by_image_id_its_beginning_and_the_digest_of_its_manifest(tmp_path: Path) -> None:
    many = index(MODERN.manifest)
    async with two_worlds(tmp_path) as worlds:
        await worlds.put(MODERN)
        await put(worlds.store, many)
        await worlds.store.tag(name("many:1"), many.descriptor)
        config, manifest = MODERN.config.digest, MODERN.manifest.digest
        for text in (str(config), config.hex, config.hex[:4], f"sha256:{config.hex[:12]}", str(manifest), manifest.hex):
            assert (await found(worlds, text)).descriptor == MODERN.manifest.descriptor
        assert (await found(worlds, str(many.digest))).descriptor == many.descriptor


async def test_one_image_under_several_names_is_one_image(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        for text in ("one:1", "two:2"):
            await named_content(worlds, text)
        assert (await found(worlds, MODERN.config.digest.hex[:12])).descriptor == MODERN.manifest.descriptor


@pytest.mark.parametrize(
    "text", ["", "abc", "ABCD" * 16, "nosuch", "nosuch:1", "dead", "0" * 64, "sha256:" + "0" * 64, "a\nb"]
)
async def test_what_is_not_here_is_said_to_be_missing_or_no_name(tmp_path: Path, text: str) -> None:
    async with two_worlds(tmp_path) as worlds:
        with pytest.raises((ContentMissing, InvalidReference)):
            await found(worlds, text)
        assert not worlds.root.joinpath("graph").exists()


async def test_a_layer_is_no_image_by_its_digest(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        await named_content(worlds, "app")
        with pytest.raises(ContentMissing):
            await found(worlds, str(MODERN.layers[0].digest))


async def test_no_reader_misses_a_name_or_sees_half_an_image_while_it_moves(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        old, modern = await worlds.put_old(), await worlds.put(MODERN)
        store, graph = worlds.store, worlds.graph
        await name_image(APP, top, store, graph)
        allowed = {(top, None), (base, old.digest), (None, modern.digest)}
        # Between two moves a name may stand for the image without its manifest.
        allowed |= {(base, None)}
        seen: set[object] = set()
        done = anyio.Event()

        async def read() -> None:
            while not done.is_set():
                one = await find(str(APP), store, graph)
                seen.add((one.image_id, None if one.descriptor is None else one.descriptor.digest))

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            for _ in range(8):
                await name_pulled(APP, base, old, store, graph)
                await name_content(APP, modern, store, graph)
                await name_image(APP, top, store, graph)
                await name_pulled(APP, base, old, store, graph)
                await name_image(APP, top, store, graph)
            done.set()
        assert seen <= allowed
        assert len(seen) > 1
