"""load: images of today, from archives of Docker since 1.10 and OCI image layouts."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from puller.errors import InvalidArchive
from puller.model.config import parse_config
from puller.model.digest import Digest
from puller.model.manifest import Manifest, parse_manifest
from puller.model.mediatype import DOCKER_LAYER, DOCKER_PLAIN_LAYER, DOCKER_ZSTD_LAYER
from puller.model.reference import Reference
from puller.ops.loading.news import Landed
from testregistry import images
from tests.archive.building import (
    BASE,
    OTHER,
    TOP,
    A,
    B,
    C,
    Part,
    config,
    docker,
    document,
    entries_of,
    folder,
    hex_of,
    layout,
    repositories,
)
from tests.ops.loader import IMAGE, Loader, loader

pytestmark = pytest.mark.slow  # many small tests: for `make test`

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda raw: images.compress(raw, "zstd"),
}


async def manifest_of(s: Loader, name: str) -> Manifest:
    descriptor = await s.store.resolve(Reference.parse(name).tagged())
    document = parse_manifest(await s.store.read(descriptor, limit=1 << 20), descriptor.media_type)
    assert isinstance(document, Manifest)
    return document


# --- the format since 1.10 -------------------------------------------------------------------------------------------


async def test_an_image_of_today_is_named_by_its_config(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        parts = docker([BASE, TOP], ["app:1", "127.0.0.1:5000/team/app:2"])
        raw = config([BASE, TOP])
        image_id = f"sha256:{hex_of(raw)}"
        assert await s.load(parts) == (
            Landed("docker.io/library/app:1", image_id, "content"),
            Landed("127.0.0.1:5000/team/app:2", image_id, "content"),
        )
        manifest = await manifest_of(s, "app:1")
        assert manifest == await manifest_of(s, "127.0.0.1:5000/team/app:2")
        assert [layer.media_type for layer in manifest.layers] == [DOCKER_PLAIN_LAYER] * 2
        assert [layer.digest.hex for layer in manifest.layers] == [hex_of(BASE), hex_of(TOP)]
        assert s.ids() == []
        facts = await s.store.facts(manifest.layers[0].digest)
        assert (facts.verified, str(facts.diff_id)) == (True, f"sha256:{hex_of(BASE)}")


async def test_the_manifest_that_is_made_is_the_same_each_time(tmp_path: Path) -> None:
    async with loader(tmp_path / "one") as one, loader(tmp_path / "two") as two:
        await one.load(docker([BASE, TOP]))
        await two.load(docker([BASE, TOP], ["other:name"]))
        await two.load(docker([BASE, TOP]))
        assert (await manifest_of(one, "app:1")).raw == (await manifest_of(two, "app:1")).raw


TYPES = {"none": DOCKER_PLAIN_LAYER, "gzip": DOCKER_LAYER, "zstd": DOCKER_ZSTD_LAYER}


@pytest.mark.parametrize("kind", PACKERS)
async def test_layers_of_today_stay_compressed_where_a_registry_could_say_how(tmp_path: Path, kind: str) -> None:
    stored = PACKERS[kind](BASE)
    parts = [(name, stored if content == BASE else content) for name, content in docker([BASE])]
    async with loader(tmp_path) as s:
        await s.load(parts)
        (layer,) = (await manifest_of(s, "app:1")).layers
        kept = stored if kind in TYPES else BASE
        assert (layer.media_type, layer.digest.hex) == (TYPES.get(kind, DOCKER_PLAIN_LAYER), hex_of(kept))
        assert await s.store.read(layer, limit=1 << 20) == kept


async def test_layers_may_be_links_to_those_of_other_folders(tmp_path: Path) -> None:
    parts = docker([BASE])
    entry = {"Config": parts[0][0], "RepoTags": ["app:1"], "Layers": ["x/layer.tar"]}
    linked = [*parts[:-1], ("x/layer.tar", images.Symlink(f"../{hex_of(BASE)}/layer.tar"))]
    async with loader(tmp_path) as s:
        await s.load([*linked, ("manifest.json", document([entry]))])
        assert (await manifest_of(s, "app:1")).layers[0].digest.hex == hex_of(BASE)


async def test_one_layer_may_come_twice_in_an_image(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(docker([BASE, TOP, BASE]))
        assert len((await manifest_of(s, "app:1")).layers) == 3


@pytest.mark.parametrize("names", [None, []])
async def test_an_image_without_a_name_is_told_by_its_id(tmp_path: Path, names: list[str] | None) -> None:
    async with loader(tmp_path) as s:
        assert await s.load(docker([BASE], names)) == (Landed(None, f"sha256:{hex_of(config([BASE]))}", "content"),)
        assert await s.store.tags() == {}


async def test_an_image_of_a_graph_is_loaded_by_its_folder_and_one_of_today_by_its_config(tmp_path: Path) -> None:
    """What `puller save` writes of both kinds together."""
    old = config([BASE, TOP], id=B)
    modern = docker([OTHER], ["app:1"])
    entries = [
        {"Config": "old.json", "RepoTags": ["old:latest"], "Layers": [f"{A}/layer.tar", f"{B}/layer.tar"]},
        *entries_of(modern),
    ]
    derived = folder(C, layer=OTHER)
    parts: list[Part] = [
        *folder(A), *folder(B, A, TOP), *derived, ("old.json", old), *modern[:-1],
        ("manifest.json", document(entries)),
        repositories({"old": {"latest": B}, "app": {"1": C}}),
    ]  # fmt: skip
    async with loader(tmp_path) as s:
        assert await s.load(parts) == (
            Landed("docker.io/library/old:latest", B, "graph"),
            Landed("docker.io/library/app:1", f"sha256:{hex_of(config([OTHER]))}", "content"),
        )
        assert s.ids() == [A, B]
        assert s.names() == {"old": {"latest": B}}
        assert list(await s.store.tags()) == ["docker.io/library/app:1"]


async def test_a_config_with_an_id_of_no_folder_is_one_of_today(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        (landed,) = await s.load(docker([BASE], id=B))
        assert (landed.kind, s.ids()) == ("content", [])


# --- OCI -------------------------------------------------------------------------------------------------------------


async def test_a_layout_is_kept_byte_for_byte(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        assert await s.load(layout((IMAGE, "docker.io/library/app:1"))) == (
            Landed("docker.io/library/app:1", IMAGE.config.digest, "content"),
        )
        manifest = await manifest_of(s, "app:1")
        assert (manifest.raw, Digest.of(manifest.raw)) == (IMAGE.raw, Digest.parse(IMAGE.digest))
        for layer, promised in zip(manifest.layers, IMAGE.layers, strict=True):
            assert await s.store.read(layer, limit=1 << 20) == promised.raw
            assert str((await s.store.facts(layer.digest)).diff_id) == promised.diff_id


@pytest.mark.parametrize("name", ["latest", "", "1.0"])
async def test_a_tag_alone_is_no_name(tmp_path: Path, name: str) -> None:
    async with loader(tmp_path) as s:
        (landed,) = await s.load(layout((IMAGE, name)))
        assert (landed.name, await s.store.tags()) == (None, {})


async def test_an_index_is_loaded_with_what_the_archive_has_of_it(tmp_path: Path) -> None:
    other = images.image(images.layer({"arm": b"arm\n"}), platform=("linux", "arm64"))
    index = images.index(IMAGE, other)
    async with loader(tmp_path) as s:
        lacking = [other.digest, other.config.digest, other.layers[0].digest]
        (landed,) = await s.load(layout((index, "team/app:1"), leave_out=lacking))
        assert landed == Landed("docker.io/team/app:1", index.digest, "content")
        assert (await s.store.facts(Digest.parse(index.digest))).absent == (Digest.parse(other.digest),)
        await s.refused(layout((index, "x/y:1"), leave_out=[*lacking, IMAGE.digest]), InvalidArchive)
        await s.refused(layout((index, "x/y:1"), leave_out=[IMAGE.layers[0].digest]), InvalidArchive)


async def test_an_archive_of_docker_25_keeps_the_manifest_it_brings(tmp_path: Path) -> None:
    parts = layout((IMAGE, "1"))
    blobs = [f"blobs/{digest.replace(':', '/')}" for digest in (IMAGE.config.digest, *(x.digest for x in IMAGE.layers))]
    entry = {"Config": blobs[0], "RepoTags": ["app:1"], "Layers": blobs[1:]}
    async with loader(tmp_path) as s:
        assert await s.load([*parts, ("manifest.json", document([entry]))]) == (
            Landed("docker.io/library/app:1", IMAGE.config.digest, "content"),
        )
        assert (await manifest_of(s, "app:1")).raw == IMAGE.raw


async def test_what_is_in_the_store_is_not_written_again_and_what_is_damaged_is(tmp_path: Path) -> None:
    async with loader(tmp_path) as s:
        await s.load(layout((IMAGE, "app:1")))
        blob = s.store.layout.blob(Digest.parse(IMAGE.layers[0].digest))
        before = blob.stat().st_ino
        await s.load(layout((IMAGE, "app:1")))
        assert blob.stat().st_ino == before
        s.store.layout.fact(Digest.parse(IMAGE.layers[0].digest)).unlink()
        blob.chmod(0o600)
        blob.write_bytes(b"x" * blob.stat().st_size)
        await s.load(layout((IMAGE, "app:1")))
        assert blob.read_bytes() == IMAGE.layers[0].raw


def test_what_is_made_here_is_what_docker_makes() -> None:
    assert [str(found) for found in parse_config(config([BASE])).diff_ids] == [f"sha256:{hex_of(BASE)}"]
