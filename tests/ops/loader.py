"""Loads for tests: a store with its graph, archives handed in as bytes, and the whole of it seen as one value."""

import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from puller.errors import InvalidArchive, PullerError
from puller.ops.graphs.graph import Graph, graph_at
from puller.ops.load import load
from puller.ops.loading.news import Landed, News, Said
from puller.store.disk import DiskStore
from testregistry import images
from tests.archive.building import OTHER, D, Part, docker, folder, packed, repositories

# One of today: layers in two compressions.
IMAGE = images.image(images.layer({"etc/motd": b"hello\n"}), images.layer({"srv/app": b"app\n"}, "zstd"))

Source: TypeAlias = Callable[[bytes | list[Part]], AbstractContextManager[int]]

# What is there for a moment only, or protects what is not there: no part of what a store holds.
UNCOUNTED = ("locks/", "leases/", "graph/_tmp/locks", "vfs/puller/locks")
# Directories that are made for the first image and stay.
PLACES = {"graph", "graph/_tmp", "vfs", "vfs/dir", "vfs/puller", "vfs/puller/staging"}


@dataclass
class Loader:
    """A store and its graph; unpacking happens in this process."""

    store: DiskStore
    graph: Graph
    news: list[News] = field(default_factory=list)

    async def load(self, archive: bytes | list[Part], **words: Any) -> tuple[Landed, ...]:
        """Load an archive."""
        self.news = []
        with source_of(archive) as fd:
            return await load(fd, self.graph, hear=self.news.append, **words)

    async def refused(self, archive: bytes | list[Part], kind: type[PullerError], **words: Any) -> PullerError:
        """The error that a load ends with; nothing has changed by it, and nothing unfinished is left."""
        before = self.tree()
        with pytest.raises(kind) as caught:
            await self.load(archive, **words)
        assert self.tree() == before
        assert self.unfinished() == []
        return caught.value

    def said(self) -> list[str]:
        """What people were told by the last load."""
        return [news.text for news in self.news if isinstance(news, Said)]

    def ids(self) -> list[str]:
        """The images of the graph."""
        return self.graph.images.ids()

    def names(self) -> dict[str, dict[str, str]]:
        """The names of the graph."""
        return self.graph.tags.repositories()

    def tree(self) -> dict[str, bytes | str]:
        """Every file and directory of store and graph that counts."""
        root = self.store.layout.root
        return {
            name: "directory" if path.is_dir() else path.read_bytes()
            for path in sorted(root.rglob("*"))
            if not (name := f"{path.relative_to(root)}").startswith(UNCOUNTED) and name not in PLACES
        }

    def unfinished(self) -> list[str]:
        """What lies where only work in progress lies."""
        root = self.store.layout.root
        places = (root / "ingest", root / "graph/_tmp", root / "vfs/puller/staging", root / "leases")
        return [f"{path}" for place in places if place.is_dir() for path in place.iterdir() if path.name != "locks"]


@contextmanager
def source_of(archive: bytes | list[Part]) -> Iterator[int]:
    """An archive as an open file."""
    fd = os.memfd_create("archive")
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(archive if isinstance(archive, bytes) else packed(archive))
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def piped(archive: bytes | list[Part]) -> Iterator[int]:
    """An archive that comes out of a pipe."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as file:
            file.write(archive if isinstance(archive, bytes) else packed(archive))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()


@asynccontextmanager
async def loader(folder: Path) -> AsyncIterator[Loader]:
    """A new store, not synced to the disk."""
    store = await DiskStore.open(folder / "store", durable=False)
    yield Loader(store, graph_at(store))


async def refused(tmp_path: Path, archive: list[Part], kind: type[PullerError] = InvalidArchive) -> PullerError:
    """What the archive is refused with: by an empty store, and by one that has an image and a name already."""
    async with loader(tmp_path / "empty") as empty:
        await empty.refused(archive, kind)
    async with loader(tmp_path / "used") as used:
        await used.load([*folder(D, layer=OTHER), repositories({"held": {"latest": D}})])
        await used.load(docker([OTHER], ["kept:1"]))
        return await used.refused(archive, kind)
