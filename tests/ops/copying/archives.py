"""Archives as places, for tests: content in memory that is brought into one, and what lies in it afterwards."""

import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from puller.contracts.images import ImageSource, ImageTarget
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.event import unheard
from puller.model.manifest import parse_manifest
from puller.model.mediatype import INDEXES, MANIFESTS
from puller.model.reference import Reference
from puller.model.report import Origin
from puller.ops.copying.archived import ArchiveTarget, open_archive_target
from puller.ops.pulling.transfer import copy_blob
from puller.ops.saving.modernise import Form
from puller.stream.sink import Chunk
from testregistry import images
from testregistry.content import Root

HERE = Reference("localhost", "here")


class Shown:
    """A Fetcher of what lies in memory; `wrong` changes the bytes of one digest."""

    def __init__(self, *roots: Root, wrong: str = "", cut: bool = False) -> None:
        self.blobs = {one.digest: b"".join(one.body.chunks()) for root in roots for one in root.content()}
        if wrong:
            raw = self.blobs[wrong]
            self.blobs[wrong] = raw[:-1] if cut else bytes([raw[0] ^ 1]) + raw[1:]

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator["Body"]:
        yield Body(self.blobs[str(wanted.digest)][offset:])


class Body:
    """In chunks of a thousand bytes."""

    origin = Origin("memory")

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        for start in range(0, len(self._content), 1000):
            yield self._content[start : start + 1000]


def described(root: Any) -> Descriptor:
    """The descriptor of a made image or index."""
    return Descriptor(root.media_type, Digest.parse(root.digest), len(root.raw))


async def bring(source: Any, target: ImageTarget, root: Descriptor, *names: str) -> None:
    """Copy an image or index, blobs first, the names last."""
    async with source.fetch(root) as body:
        raw = b"".join([bytes(chunk) async for chunk in body])
    for child in parse_manifest(raw, root.media_type).children:
        if child.media_type in INDEXES | MANIFESTS:
            await bring(source, target, child)
        else:
            await copy_blob(source, target, child, report=unheard)
    for name in names or (str(root.digest),):
        await target.put_manifest(raw, root, name)


async def read(source: ImageSource, wanted: Descriptor, offset: int = 0) -> bytes:
    """The bytes of one blob."""
    async with source.fetch(wanted, offset=offset) as body:
        return b"".join([bytes(chunk) async for chunk in body])


async def whole(source: ImageSource, root: Descriptor) -> set[str]:
    """The digests of all that an image or index of `source` needs, each read and checked."""
    raw = await read(source, root)
    assert Digest.of(raw, root.digest.algorithm) == root.digest
    found = {str(root.digest)}
    if root.media_type in INDEXES | MANIFESTS:
        assert len(raw) <= MAX_BYTES
        for child in parse_manifest(raw, root.media_type).children:
            if await source.holds(child):
                found |= await whole(source, child)
    return found


async def tags(source: ImageSource) -> list[str]:
    """All of them."""
    return [tag async for tag in source.tags()]


def members(path: Path) -> dict[str, bytes]:
    """The files of an archive, by name, links followed, as Python's reader sees them."""
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
        found = {}
        for member in archive:
            file = archive.extractfile(member) if not member.isdir() else None
            found[member.name] = b"" if file is None else file.read()
        return found


def index_of(path: Path) -> list[dict[str, Any]]:
    """The entries of its index.json."""
    entries: list[dict[str, Any]] = json.loads(members(path)["index.json"])["manifests"]
    return entries


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


BASE = images.layer({"etc/motd": b"hello\n" * 3000})
TOP = images.layer({"srv/app": b"app\n"}, compression="zstd")
PLAIN = images.raw_layer(images.tar({"etc/motd": b"hello\n" * 3000}), compression="none")  # BASE as it unpacks
IMAGE = images.image(BASE, TOP)
OTHER = images.image(BASE, images.layer({"x": b"y"}), platform=("linux", "arm64"))
INDEX = images.index(IMAGE, OTHER)
SIGNATURE = images.artifact(images.blob(b"signed"), subject=IMAGE, annotations={"who": "me"})
FORMS: tuple[Form, ...] = ("oci", "docker")
BIG = 1 << 60

both = pytest.mark.parametrize("form", FORMS)


def place_of(form: Form) -> str:
    """What the archive of these tests is called."""
    return f"{form}-archive:a.tar"


@asynccontextmanager
async def target_at(folder: Path, form: Form, **words: Any) -> AsyncIterator[ArchiveTarget]:
    """A new archive in `folder`."""
    async with open_archive_target(folder / "a.tar", place_of(form), form, **{"repository": HERE, **words}) as target:
        yield target


def ref_names(path: Path) -> list[str | None]:
    """What its entries are called, by the layout's own rule."""
    return [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in index_of(path)]


def children(image: Any) -> list[Descriptor]:
    """What a manifest names, config first."""
    document = json.loads(image.raw)
    return [Descriptor.decode(one, what="child") for one in (document["config"], *document["layers"])]
