"""Opening places to borrow from: what is none is a wrong word, and nothing of it stays open."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from puller.errors import InvalidConfig
from puller.ops.pulling.lenders import lenders
from tests.archive.building import layout
from tests.ops.lending import BIG, archive_of, blob_in, folder_of, open_files, piped, pulled_from
from tests.ops.story import BASE, IMAGE, TOP, story


def empty(path: Path) -> None:
    path.mkdir()


def other_version(path: Path) -> None:
    folder_of(path, IMAGE)
    (path / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')


def without_mark(path: Path) -> None:
    folder_of(path, IMAGE)
    (path / "oci-layout").unlink()


def piped_mark(path: Path) -> None:
    folder_of(path, IMAGE)
    piped(path / "oci-layout")


def broken_mark(path: Path) -> None:
    folder_of(path, IMAGE)
    (path / "oci-layout").write_bytes(b"{" * 100_000)


def text(path: Path) -> None:
    path.write_text("hello")


def other_archive(path: Path) -> None:
    archive_of(path, [("a", b"hello")])


def pipe(path: Path) -> None:
    os.mkfifo(path)


def nothing(path: Path) -> None:
    """Not even there."""


@pytest.mark.parametrize(
    "make", [nothing, empty, without_mark, other_version, piped_mark, broken_mark, text, other_archive, pipe]
)
async def test_what_is_neither_a_layout_nor_an_archive_of_images_is_a_wrong_word(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "place")
    with anyio.fail_after(5), pytest.raises(InvalidConfig) as caught:
        async with lenders([tmp_path / "place"], tmp_path):
            pass
    assert str(caught.value.where) == f"file:{tmp_path}/place"


async def test_every_descriptor_is_closed(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "place", IMAGE)
    blob_in(place, BASE.digest).write_bytes(bytes(BASE.size))
    piped(blob_in(place, TOP.digest))
    archive = archive_of(tmp_path / "image.tar", layout((BIG, "")))
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        await s.pull("app:1")
        before = open_files()
        for digest in (BASE.digest, TOP.digest):
            blob_in(s.store.layout.root, digest).unlink()
        await pulled_from(s, place, archive)
        assert open_files() <= before
