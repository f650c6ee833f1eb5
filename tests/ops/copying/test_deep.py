"""verify: deep: layers are held to what their config promises of them, before they exist at the target."""

from pathlib import Path

import pytest

from puller.errors import DiffIDMismatch, InvalidManifest, PullerError
from puller.model.digest import Digest
from testregistry import images
from tests.ops.copying.scene import INDEX, LARGE, blob, scene, tags
from tests.ops.story import BASE, TOP

WRONG = {"rootfs": {"type": "layers", "diff_ids": [BASE.diff_id, f"sha256:{'0' * 64}"]}}


@pytest.mark.parametrize("kind", ["registry", "directory", "store"])
async def test_a_layer_that_is_not_what_the_config_names_is_refused_before_it_exists(tmp_path: Path, kind: str) -> None:
    lying = images.image(BASE, TOP, config_extra=WRONG)
    async with scene(tmp_path) as s:
        s.a.add("app:1", lying)
        place = None if kind == "registry" else getattr(s, kind)
        with pytest.raises(DiffIDMismatch) as caught:
            await s.copy("app:1", place, verify="deep")
        assert caught.value.digest == TOP.digest
        target = await s.places.target(place or s.b.name("copy"))
        assert await target.named("1") is None
        assert blob(s.b, "copy", TOP.digest) is None
        await s.copy("app:1", place)  # nobody looked into it


async def test_an_honest_index_comes_and_its_configs_are_fetched_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        carried = await s.copy(verify="deep")
        assert (carried.brought, tags(s.b)) == (7, {"1": INDEX.digest})
        assert all(s.a.journal.gets(content.digest) == 1 for content in INDEX.content())


async def test_what_was_proved_on_the_way_into_a_store_is_kept_there(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        await s.copy("app:1", s.store, verify="deep")
        store = (await s.places.target(s.store))._store  # type: ignore[attr-defined]  # what is kept inside is looked at
        facts = await store.facts(Digest.parse(BASE.digest))
        assert (str(facts.diff_id), facts.verified) == (BASE.diff_id, True)
        assert facts.tarsum is not None


async def test_a_config_that_counts_other_layers_is_refused_before_any_is_fetched(tmp_path: Path) -> None:
    short = images.image(BASE, TOP, config_extra={"rootfs": {"type": "layers", "diff_ids": [BASE.diff_id]}})
    async with scene(tmp_path) as s:
        s.a.add("app:1", short)
        with pytest.raises(InvalidManifest, match="disagree on the number of layers"):
            await s.copy(verify="deep")
        assert s.b.journal.count() == 0


async def test_one_blob_that_would_be_two_layers_is_refused(tmp_path: Path) -> None:
    both = images.index(
        images.image(BASE, TOP), images.image(BASE, TOP, config_extra=WRONG, platform=("linux", "arm64"))
    )
    async with scene(tmp_path) as s:
        s.a.add("app:1", both)
        with pytest.raises(DiffIDMismatch, match="one blob is promised to be two layers"):
            await s.copy(verify="deep")


async def test_artifacts_and_large_layers_pass(tmp_path: Path) -> None:
    thing = images.artifact(images.blob(b"no layer"))
    async with scene(tmp_path) as s:
        for tag, made in (("1", thing), ("2", LARGE)):
            s.a.add(f"app:{tag}", made)
            try:
                assert (await s.copy(f"app:{tag}", verify="deep")).root == made.digest
            except PullerError as error:
                pytest.fail(str(error))
