"""A load of content that the store has already, under whatever manifest: it changes nothing."""

from pathlib import Path

import pytest

from puller.errors import InvalidReference
from puller.model.digest import Digest
from puller.model.reference import Reference
from puller.ops.loading.news import Stored
from testregistry import images
from testregistry.images import Image, Index
from tests.archive.building import OTHER, Part, docker, document, hex_of, layout
from tests.contracts.sample import blob_of, put
from tests.ops.loader import Loader, loader
from tests.ops.two_worlds import blob_in

pytestmark = pytest.mark.slow  # many small tests: for `make test`

FILES = ({"etc/motd": b"hello\n"}, {"srv/app": b"app\n"})
PULLED = images.image(*map(images.layer, FILES))
PACKED = images.image(*(images.layer(files, "zstd") for files in FILES))
MANY = images.index(PULLED, images.image(images.layer({"other": b"other"}), platform=("linux", "s390x")))


def saved(image: Image, *names: str) -> list[Part]:
    """The image as Docker saved it before 25: config and plain layers, and no manifest."""
    layers = [images.tar(files) for files in FILES]
    entry = {"Config": "c.json", "RepoTags": names, "Layers": [f"{hex_of(layer)}.tar" for layer in layers]}
    return [("c.json", image.config.raw), *((f"{hex_of(layer)}.tar", layer) for layer in layers),
            ("manifest.json", document([entry]))]  # fmt: skip


async def named(s: Loader, text: str) -> str:
    """The digest that a name stands for."""
    return str((await s.store.resolve(Reference.parse(text).tagged())).digest)


@pytest.mark.parametrize("pulled", [PULLED, PACKED, MANY], ids=["gzip", "zstd", "index"])
@pytest.mark.parametrize("retag", [True, False])
async def test_a_load_of_what_was_pulled_changes_nothing(tmp_path: Path, pulled: Image | Index, retag: bool) -> None:
    image = pulled.manifests[0] if isinstance(pulled, Index) else pulled
    assert isinstance(image, Image)
    lacking = () if image is pulled else (MANY.manifests[1].digest,)
    async with loader(tmp_path) as s:
        await s.load(layout((pulled, "app:1"), leave_out=lacking))
        before = s.tree()
        (landed,) = await s.load(saved(image, "app:1"), retag=retag)
        assert (landed.image_id, s.said()) == (image.config.digest, [])
        assert s.tree() == before
        assert {news.is_new for news in s.news if isinstance(news, Stored)} == {False}


async def test_another_name_is_given_the_manifest_that_is_here(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(layout((PULLED, "app:1")))
        stored = [digest async for digest in s.store.digests()]
        await s.load(saved(PULLED, "app:1", "mine:1"))
        assert await named(s, "mine:1") == await named(s, "app:1") == PULLED.digest
        assert [digest async for digest in s.store.digests()] == stored


async def test_each_name_keeps_the_manifest_that_it_has(tmp_path: Path) -> None:
    assert PULLED.config.digest == PACKED.config.digest
    async with loader(tmp_path) as s:
        await s.load(layout((PULLED, "gzip:1"), (PACKED, "zstd:1")))
        before = s.tree()
        await s.load(saved(PULLED, "gzip:1", "zstd:1"))
        assert s.tree() == before


async def test_a_manifest_that_an_archive_brings_takes_the_name(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(saved(PULLED, "app:1"))
        await s.load(layout((PULLED, "app:1")))
        assert (await named(s, "app:1"), s.said()) == (PULLED.digest, [])


@pytest.mark.parametrize("harm", ["gone", "damaged"])
async def test_a_manifest_that_is_not_whole_is_not_relied_on(tmp_path: Path, harm: str) -> None:
    layer = Digest.parse(PULLED.layers[0].digest)
    async with loader(tmp_path) as s:
        await s.load(layout((PULLED, "app:1")))
        path = tmp_path / "store/blobs/sha256" / layer.hex
        content = path.read_bytes()
        await s.store.delete(layer)
        if harm == "damaged":
            path.write_bytes(bytes(len(content)))
        await s.load(saved(PULLED, "app:1"))
        assert await named(s, "app:1") != PULLED.digest


async def test_c12_a_manifest_that_lies_about_its_layers_is_not_relied_on(tmp_path: Path) -> None:
    lying = images.image(images.layer({"evil": b"evil"}), images.layer({"evil": b"more"}))
    manifest = document({
        "schemaVersion": 2, "mediaType": PULLED.media_type, "config": images.descriptor(PULLED.config),
        "layers": [blob_in(layer).descriptor.encode() for layer in lying.layers],
    })  # fmt: skip
    async with loader(tmp_path) as s:
        stored = blob_of(manifest, PULLED.media_type)
        await put(s.store, *map(blob_in, lying.layers), blob_of(PULLED.config.raw, PULLED.config.media_type), stored)
        await s.store.tag(Reference.parse("app:1"), stored.descriptor)
        await s.load(saved(PULLED, "app:1"))
        assert await named(s, "app:1") != str(stored.digest)


async def test_a_name_of_another_image_still_moves(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(layout((PULLED, "app:1")))
        await s.load(docker([OTHER], ["other:1"]))
        with pytest.raises(InvalidReference):
            await s.load(saved(PULLED, "other:1"), retag=False)
        await s.load(saved(PULLED, "other:1"))
        assert await named(s, "other:1") == PULLED.digest
        assert len(s.said()) == 1
