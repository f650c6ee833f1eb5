"""Stories of the old world: a story with an image graph in its store, and images of schema 1 by hand."""

import gzip
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from puller.contracts.graph import GraphImage, NewImage
from puller.contracts.layers import LayerBlob
from puller.legacy.v1image import V1Image
from puller.model.report import PullReport
from puller.ops.graphs.door import GraphDoor
from puller.ops.graphs.graph import Graph
from testregistry import images
from testregistry.fault import Fault
from testregistry.layers import Layer
from testregistry.schema1 import Schema1
from tests.ops.shelf import FakeDriver, shelves
from tests.ops.story import Story, story

FILES = {"etc/motd": b"hello\n" * 100, "usr/share/words": bytes(range(256)) * 70}
BASE = images.layer(FILES)
MIDDLE = images.layer({"srv/app/data": b"middle\n" * 9})
TOP = images.layer({"srv/app/main.py": b"print('app')\n", "etc/motd": b"changed\n"})
OLD = images.schema1(BASE, MIDDLE, TOP)


def untold(offset: int, /) -> None:
    """Nobody hears how far it is."""


@dataclass
class OldStory:
    """A story, its graph, and a way in for pulls."""

    story: Story
    door: GraphDoor

    @property
    def graph(self) -> Graph:
        return self.door.open()

    async def pull(self, name: str = "app:1", **words: Any) -> PullReport:
        """Pull, unpacking."""
        return await self.story.pull(name, shelves=shelves(FakeDriver()), graph=self.door, **words)

    def ids(self) -> list[str]:
        """The images of the graph."""
        return self.graph.images.ids()

    def register(self, text: str, layer: Layer | None, *, checksum: str | None = None) -> GraphImage:
        """An image as a load or a build of Docker 1.8 would have registered it."""
        image = V1Image.decode(text.encode())
        new = NewImage(image.id, image.parent, image=image, checksum=checksum)
        if layer is None:
            return self.graph.images.register(new, None, untold)
        with blob_file(self.story.store.layout.ingests / "layer", content_of(layer)) as fd:
            return self.graph.images.register(new, LayerBlob(fd, None, None), untold)


@asynccontextmanager
async def old_story(
    folder: Path, *, faults: Sequence[Fault] = (), place: Path | None = None
) -> AsyncIterator[OldStory]:
    """A registry with nothing in it, an empty store, and a graph: the store's own, or the one at `place`."""
    async with story(folder, faults=faults) as s:
        with GraphDoor(s.store, place) as door:
            yield OldStory(s, door)


class blob_file:  # noqa: N801  # used as a function
    """A file with this content, open for reading; gone from its directory at once."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._content = content

    def __enter__(self) -> int:
        self._path.write_bytes(self._content)
        self._file = self._path.open("rb")
        self._path.unlink()
        return self._file.fileno()

    def __exit__(self, *_: object) -> None:
        self._file.close()


def content_of(layer: Layer) -> bytes:
    """The bytes of a layer's blob."""
    return b"".join(layer.body.chunks())


def tar_of(layer: Layer) -> bytes:
    """The uncompressed archive of a gzip layer."""
    return gzip.decompress(content_of(layer))


def texts_of(image: Schema1) -> list[str]:
    """The v1Compatibility texts of a manifest, base first."""
    return [entry["v1Compatibility"] for entry in reversed(json.loads(image.payload)["history"])]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a directory, by its path; locks left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and "locks" not in path.parts
    }
