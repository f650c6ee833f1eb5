"""Graphs: the image graph of a store, or of a directory that an old Docker left, opened for one verb.

What blocks runs in worker threads here, and what must not happen twice at once is locked, across processes: images by
their IDs, the choice of IDs as a whole, the names.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

from puller.contracts.graph import ImageGraph, TagStore
from puller.errors import InvalidConfig
from puller.graph.failure import translated
from puller.graph.files import make_directory
from puller.graph.graph import DiskGraph
from puller.graph.tags import DiskTagStore
from puller.legacy.v1image import validate_id
from puller.ops.graphs.spelling import Spelling, as_typed
from puller.rootfs.crew import Crew, InProcess
from puller.rootfs.graphdriver import driver_at
from puller.rootfs.job import Unpacker
from puller.rootfs.manner import Manner
from puller.rootfs.mounts import MountBook
from puller.store.disk import DiskStore
from puller.store.locks import try_lock

T = TypeVar("T")
Args = TypeVarTuple("Args")

AS_IT_IS = Manner()


@dataclass(frozen=True, slots=True)
class Graph:
    """`images` and `tags` with what it takes to use them from many tasks and processes; `spelling` says what words may
    be called in full.
    """

    images: ImageGraph
    tags: TagStore
    store: DiskStore
    workers: CapacityLimiter
    spelling: Spelling = as_typed

    @property
    def place(self) -> Path:
        """Docker's root."""
        return self.images.root

    @property
    def mounts(self) -> MountBook:
        """Which images are shown now, by whatever store."""
        return _mounts(self.place)

    async def run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """`function(*args)` in a worker thread."""
        return await to_thread.run_sync(function, *args, limiter=self.workers)

    def making(self, image_id: str) -> AbstractAsyncContextManager[None]:
        """The lock under which this image is registered, changed or deleted: of two who want it one waits.

        Raises InvalidManifest for what is no ID, and so no name of a file (THREATS A1).
        """
        return self._locked(f"image-{validate_id(image_id)}")

    @contextmanager
    def free(self, image_id: str) -> Iterator[bool]:
        """The same lock for a worker thread, without waiting: whether it could be had."""
        folder = self._locks
        _make_private(folder)
        fd = try_lock(self.store.files, folder / f"image-{image_id}")
        try:
            yield fd is not None
        finally:
            if fd is not None:
                self.store.files.close(fd)

    def choosing(self) -> AbstractAsyncContextManager[None]:
        """The lock under which IDs are chosen (LEGACY.md c.7): one chain at a time in the whole graph."""
        return self._locked("choosing")

    def naming(self) -> AbstractAsyncContextManager[None]:
        """The lock of `tags`."""
        return self._locked("naming")

    @property
    def _locks(self) -> Path:
        return self.place / "graph" / "_tmp" / "locks"

    @asynccontextmanager
    async def _locked(self, name: str) -> AsyncIterator[None]:
        await self.run(_make_private, self._locks)
        async with self.store.locks.held(self._locks / name):
            yield


@contextmanager
def graph_of(
    store: DiskStore,
    place: Path | None = None,
    *,
    workers: int = 2,
    manner: Manner = AS_IT_IS,
    spelling: Spelling = as_typed,
) -> Iterator[Graph]:
    """The graph at `place`, the store's own where that is None, and a jailed process that unpacks into it.

    A directory that is none yet becomes one when the first image is registered, with the vfs driver. Raises Unsupported
    for a driver that cannot be read here.
    """
    with Crew(manner) as crew:
        yield _graph(store, place, crew, workers, spelling)


def graph_at(store: DiskStore, place: Path | None = None, *, spelling: Spelling = as_typed) -> Graph:
    """The same for those who only look, name and remove: no process is started.

    Raises InvalidConfig for a `place` that is not there: nothing could be found in it.
    """
    if place is not None and not place.is_dir():
        raise InvalidConfig("there is no such directory", where=place, hint="--graph wants the root of a Docker.")
    return _graph(store, place, InProcess(AS_IT_IS), 2, spelling)


def _graph(store: DiskStore, place: Path | None, unpacker: Unpacker, workers: int, spelling: Spelling) -> Graph:
    root = store.layout.root if place is None else place
    driver = driver_at(root, unpacker)
    images = DiskGraph(root, driver, shown_at=_mounts(root).target_of)
    tags = DiskTagStore(root / f"repositories-{driver.name}", images)
    return Graph(images, tags, store, CapacityLimiter(workers + 2), spelling)


def _mounts(root: Path) -> MountBook:
    return MountBook(root / "graph" / "_tmp" / "mounts")


def _make_private(folder: Path) -> None:
    with translated(folder):
        folder.parents[2].mkdir(parents=True, exist_ok=True)
        for path in (folder.parent.parent, folder.parent, folder):
            make_directory(path)
