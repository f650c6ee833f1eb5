"""A layout of anybody as a place to copy images from: it is read as it is, and nothing in it changes."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from puller.errors import ContentCorrupt, ContentMissing, StoreUnusable
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.model.reference import Reference
from puller.store.opened import OpenedLayout
from tests.contracts.sample import blob, blob_of, image, index
from tests.store.disks import WatchedFiles
from tests.store.plainly import entry, referring, write_layout

APP = image(blob(5_000, 1), seed=1)
NEXT = image(blob(6_000, 2), seed=2)
BARE = Reference("docker.io", "library/any")


async def read(layout: OpenedLayout, wanted: Descriptor, offset: int = 0) -> bytes:
    async with layout.fetch(wanted, offset=offset) as body:
        return b"".join([bytes(chunk) async for chunk in body])


async def test_tags_and_digests_are_resolved_whatever_repository_is_asked_for(tmp_path: Path) -> None:
    layout = await OpenedLayout.open(write_layout(tmp_path, entry(APP.manifest, "1.0"), blobs=APP.blobs))
    assert await layout.resolve(Reference.parse("x.example/a/b:1.0")) == APP.manifest.descriptor
    assert await layout.resolve(BARE.with_digest(APP.manifest.digest)) == APP.manifest.descriptor
    assert layout.place == f"oci:{tmp_path}"


async def test_without_a_name_the_only_image_is_meant(tmp_path: Path) -> None:
    layout = await OpenedLayout.open(write_layout(tmp_path, entry(APP.manifest), blobs=APP.blobs))
    assert await layout.resolve(BARE) == APP.manifest.descriptor


async def test_lists_of_referrers_are_no_images_that_could_be_meant(tmp_path: Path) -> None:
    refers = index(referring(APP.manifest, blob_of(b"{}")))
    named = f"sha256-{APP.manifest.digest.hex}"
    folder = write_layout(tmp_path, entry(APP.manifest, "1.0"), entry(refers, named), blobs=(*APP.blobs, refers))
    assert await (await OpenedLayout.open(folder)).resolve(BARE) == APP.manifest.descriptor


async def test_of_several_images_a_name_must_say_which(tmp_path: Path) -> None:
    entries = entry(APP.manifest, "1.0"), entry(NEXT.manifest, "2.0")
    layout = await OpenedLayout.open(write_layout(tmp_path, *entries, blobs=APP.blobs))
    with pytest.raises(ContentMissing, match="several") as raised:
        await layout.resolve(BARE)
    assert raised.value.hint == f"There is: 1.0, 2.0. Say which, as in oci:{tmp_path}:1.0"


async def test_an_unknown_tag_is_told_with_what_there_is(tmp_path: Path) -> None:
    layout = await OpenedLayout.open(write_layout(tmp_path, entry(APP.manifest, "1.0"), blobs=APP.blobs))
    with pytest.raises(ContentMissing) as raised:
        await layout.resolve(BARE.with_tag("2.0"))
    assert "1.0" in raised.value.hint


async def test_names_that_are_no_tags_are_found_and_not_listed(tmp_path: Path) -> None:
    entries = entry(APP.manifest, "docker.io/library/app:1"), entry(NEXT.manifest, "2.0")
    layout = await OpenedLayout.open(write_layout(tmp_path, *entries, blobs=APP.blobs))
    assert await layout.find("docker.io/library/app:1") == APP.manifest.descriptor
    assert [tag async for tag in layout.tags()] == ["2.0"]


def read_only(name: str, arguments: tuple[Any, ...]) -> None:
    opens_to_write = name == "open" and arguments[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if opens_to_write or name not in {"open", "look", "status", "names", "read_into"}:
        raise OSError(errno.EROFS, "Read-only file system", str(arguments[0]))


async def test_a_directory_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "images", entry(APP.manifest, "1.0"), blobs=APP.blobs)
    layout = await OpenedLayout.open(folder, files=WatchedFiles(read_only))
    assert await layout.holds(APP.layers[0].descriptor)
    assert await layout.referrers(APP.manifest.digest) == ()
    assert await layout.named("1.0") == APP.manifest.digest
    assert await read(layout, APP.layers[0].descriptor, 4_000) == APP.layers[0].content[4_000:]


async def test_what_is_not_there_or_of_another_size_is_not_held(tmp_path: Path) -> None:
    layout = await OpenedLayout.open(write_layout(tmp_path, entry(APP.manifest, "1.0"), blobs=APP.blobs[:-1]))
    assert not await layout.holds(APP.manifest.descriptor)
    assert not await layout.holds(Descriptor(OCTETS, APP.config.digest, 1))
    with pytest.raises(ContentMissing) as raised:
        await read(layout, Descriptor(OCTETS, Digest.of(b"nowhere"), 7))
    assert raised.value.where == layout.place
    assert raised.value.what == "the directory does not hold this blob"


@pytest.mark.parametrize("wrong", ["", "{", '{"imageLayoutVersion": "2.0.0"}', '{"imageLayoutVersion": 1}'])
async def test_a_layout_of_another_version_is_refused(tmp_path: Path, wrong: str) -> None:
    (write_layout(tmp_path) / "oci-layout").write_text(wrong)
    with pytest.raises(StoreUnusable):
        await OpenedLayout.open(tmp_path)


async def test_a_directory_that_is_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentMissing, match="no OCI image layout"):
        await OpenedLayout.open(tmp_path / "missing")


async def test_h1_a_link_or_a_pipe_in_the_place_of_a_blob_is_not_read(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "images", entry(APP.manifest, "1.0"), blobs=APP.blobs)
    secret = tmp_path / "secret"
    secret.write_bytes(APP.config.content)
    linked = folder / "blobs" / "sha256" / APP.config.digest.hex
    linked.unlink()
    linked.symlink_to(secret)
    piped = folder / "blobs" / "sha256" / APP.layers[0].digest.hex
    piped.unlink()
    os.mkfifo(piped)
    layout = await OpenedLayout.open(folder)
    with pytest.raises(StoreUnusable):
        await read(layout, APP.config.descriptor)
    with pytest.raises(ContentCorrupt):
        await read(layout, APP.layers[0].descriptor)
