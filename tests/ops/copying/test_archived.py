"""Archives as places that images are copied to: what goes in comes out again, and what fails leaves no file."""

import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from puller.errors import (
    InvalidReference,
)
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import unheard
from puller.model.reference import Reference
from puller.model.referrer import tag_of
from puller.ops.copying.archived import ArchiveTarget, open_archive_source
from puller.ops.pulling.transfer import copy_blob
from puller.ops.saving.modernise import Form
from testregistry import images
from tests.ops.copying.archives import (
    BASE,
    HERE,
    IMAGE,
    INDEX,
    OTHER,
    PLAIN,
    SIGNATURE,
    Shown,
    both,
    bring,
    children,
    described,
    index_of,
    members,
    names,
    place_of,
    ref_names,
    tags,
    target_at,
    whole,
)
from tests.ops.loader import loader

# --- what goes in comes out ---


async def test_an_index_goes_through_an_oci_archive_byte_for_byte(tmp_path: Path) -> None:
    async with target_at(tmp_path, "oci", repository=None) as target:
        await bring(Shown(INDEX), target, described(INDEX), "1", "latest")
        assert names(tmp_path) == []
    assert names(tmp_path) == ["a.tar"]
    assert ref_names(tmp_path / "a.tar") == ["1", "latest"]
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        assert await tags(source) == ["1", "latest"]
        root = await source.resolve(HERE.with_tag("1"))
        assert root == described(INDEX)
        assert await whole(source, root) == {one.digest for one in INDEX.content()}


async def test_an_image_goes_through_an_archive_of_dockers_with_its_id_and_plain_layers(tmp_path: Path) -> None:
    async with target_at(tmp_path, "docker") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
    async with open_archive_source(tmp_path / "a.tar", "docker-archive:a.tar") as source:
        found = await whole(source, await source.resolve(HERE.with_tag("1")))
        assert {IMAGE.config.digest, *(layer.diff_id for layer in IMAGE.layers)} < found


async def test_digests_of_sha512_go_through_an_oci_archive(tmp_path: Path) -> None:
    layer = images.layer({"a": b"b"}, algorithm="sha512")
    image = images.image(layer, algorithm="sha512")
    async with target_at(tmp_path, "oci") as target:
        await bring(Shown(image), target, described(image), "1")
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        root = await source.resolve(HERE.with_tag("1"))
        assert root.digest.algorithm == "sha512"
        assert len(await whole(source, root)) == 3


async def test_names_in_an_oci_archive_are_whole_where_the_repository_is_known(tmp_path: Path) -> None:
    async with target_at(tmp_path, "oci") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1", "example.org/other:2")
    annotations = [entry["annotations"] for entry in index_of(tmp_path / "a.tar")]
    assert annotations == [
        {"io.containerd.image.name": "localhost/here:1", "org.opencontainers.image.ref.name": "1"},
        {
            "io.containerd.image.name": "example.org/other:2",
            "org.opencontainers.image.ref.name": "example.org/other:2",
        },
    ]


async def test_an_archive_of_dockers_is_loaded_as_docker_1_9_did(tmp_path: Path) -> None:
    async with target_at(tmp_path, "docker", repository=Reference.parse("app")) as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
    raw = await anyio.Path(tmp_path / "a.tar").read_bytes()
    async with loader(tmp_path) as s:
        (landed,) = await s.load(raw, compat=True)
        assert s.names() == {"app": {"1": landed.image_id}}
        assert len(s.ids()) == 2


async def test_an_archive_of_dockers_is_for_old_readers_too(tmp_path: Path) -> None:
    async with target_at(tmp_path, "docker", repository=Reference.parse("app")) as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
    held = members(tmp_path / "a.tar")
    (entry,) = json.loads(held["manifest.json"])
    assert entry["RepoTags"] == ["app:1"]
    assert [str(Digest.of(held[name])) for name in entry["Layers"]] == [layer.diff_id for layer in IMAGE.layers]
    assert str(Digest.of(held[entry["Config"]])) == IMAGE.config.digest
    top = json.loads(held["repositories"])["app"]["1"]
    base = json.loads(held[f"{top}/json"])["parent"]
    assert held[f"{top}/VERSION"] == b"1.0"
    # Links that Python has followed.
    assert [str(Digest.of(held[f"{folder}/layer.tar"])) for folder in (base, top)] == [
        layer.diff_id for layer in IMAGE.layers
    ]


@both
async def test_two_images_in_one_archive_share_what_they_have_in_common(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(OTHER), target, described(OTHER), "2")
    async with open_archive_source(tmp_path / "a.tar", place_of(form)) as source:
        assert sorted(await tags(source)) == ["1", "2"]
        for tag, image in (("1", IMAGE), ("2", OTHER)):
            assert image.config.digest in await whole(source, await source.resolve(HERE.with_tag(tag)))


async def test_one_layer_in_two_compressions_is_in_an_archive_of_dockers_once(tmp_path: Path) -> None:
    plain = images.image(PLAIN, config_extra={"author": "me"})
    assert PLAIN.diff_id == BASE.diff_id
    async with target_at(tmp_path, "docker") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(plain), target, described(plain), "2")
    held = members(tmp_path / "a.tar")
    assert sorted(name for name in held if name.endswith(".tar") and "/" not in name) == sorted(
        f"{layer.diff_id.removeprefix('sha256:')}.tar" for layer in IMAGE.layers
    )


@both
async def test_an_image_by_its_digest_has_no_name(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        await bring(Shown(IMAGE), target, described(IMAGE))
        assert await target.named("1") is None
    async with open_archive_source(tmp_path / "a.tar", place_of(form)) as source:
        assert await tags(source) == []
        assert IMAGE.config.digest in await whole(source, await source.resolve(HERE))


@both
async def test_a_name_moves_to_what_is_put_last(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        assert await target.named("1") == described(IMAGE).digest
        await bring(Shown(OTHER), target, described(OTHER), "1")
        assert await target.named("1") == described(OTHER).digest
        await target.tag(HERE.with_tag("2"), described(IMAGE))
    async with open_archive_source(tmp_path / "a.tar", place_of(form)) as source:
        for tag, image in (("1", OTHER), ("2", IMAGE)):
            assert image.config.digest in await whole(source, await source.resolve(HERE.with_tag(tag)))


@both
async def test_a_manifest_may_come_as_an_ingest(tmp_path: Path, form: Form) -> None:
    async with target_at(tmp_path, form) as target:
        for child in children(IMAGE):
            await copy_blob(Shown(IMAGE), target, child, report=unheard)
        await copy_blob(Shown(IMAGE), target, described(IMAGE), report=unheard)
        assert await copy_blob(Shown(IMAGE), target, described(IMAGE), report=unheard) is None
        await target.tag(HERE.with_tag("1"), described(IMAGE))
    async with open_archive_source(tmp_path / "a.tar", place_of(form)) as source:
        assert IMAGE.config.digest in await whole(source, await source.resolve(HERE.with_tag("1")))


async def test_blobs_that_come_at_once_are_written_one_after_the_other(tmp_path: Path) -> None:
    layers = [images.layer({"f": os.urandom(50_000)}) for _ in range(5)]
    image = images.image(*layers)
    async with target_at(tmp_path, "oci") as target:
        async with anyio.create_task_group() as group:
            for child in children(image):
                group.start_soon(_copy, image, target, child)
        await bring(Shown(image), target, described(image), "1")
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        assert len(await whole(source, described(image))) == 7


async def _copy(image: Any, target: ArchiveTarget, child: Descriptor) -> None:
    await copy_blob(Shown(image), target, child, report=unheard)


# --- what refers to an image ---


async def test_referrers_are_listed_under_the_fallback_tag(tmp_path: Path) -> None:
    async with target_at(tmp_path, "oci") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(SIGNATURE), target, described(SIGNATURE))
    tag = tag_of(Digest.parse(IMAGE.digest))
    assert sorted(filter(None, ref_names(tmp_path / "a.tar"))) == ["1", tag]
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        (found,) = await source.referrers(Digest.parse(IMAGE.digest))
        assert found == described(SIGNATURE)
        assert (found.artifact_type, dict(found.annotations)) == (SIGNATURE.artifact_type, {"who": "me"})
        assert not await source.referrers(Digest.parse(OTHER.digest))
        assert SIGNATURE.digest in await whole(source, found)


async def test_a_list_that_was_put_is_added_to(tmp_path: Path) -> None:
    second = images.artifact(images.blob(b"more"), subject=IMAGE)
    listed = images.index(second)
    tag = tag_of(Digest.parse(IMAGE.digest))
    async with target_at(tmp_path, "oci") as target:
        await bring(Shown(IMAGE), target, described(IMAGE), "1")
        await bring(Shown(listed), target, described(listed), tag)
        await bring(Shown(SIGNATURE), target, described(SIGNATURE))
    async with open_archive_source(tmp_path / "a.tar", "oci-archive:a.tar") as source:
        found = await source.referrers(Digest.parse(IMAGE.digest))
        assert {str(one.digest) for one in found} == {SIGNATURE.digest, second.digest}
    assert ref_names(tmp_path / "a.tar").count(tag) == 1


async def test_c20_a_fallback_tag_that_is_in_use_for_something_else_is_refused(tmp_path: Path) -> None:

    async def work() -> None:
        async with target_at(tmp_path, "oci") as target:
            await bring(Shown(IMAGE), target, described(IMAGE), tag_of(Digest.parse(IMAGE.digest)))
            await bring(Shown(SIGNATURE), target, described(SIGNATURE))

    with pytest.raises(InvalidReference):
        await work()
    assert names(tmp_path) == []
