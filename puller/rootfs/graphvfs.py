"""GraphVfs: Docker's vfs driver, which keeps the whole tree of every image: read, written and removed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from puller.contracts.graph import Free, nobody_works
from puller.contracts.layers import LayerBlob, Told, Unpacked
from puller.model.alteration import Altered
from puller.model.digest import Digest
from puller.rootfs.graphshelf import GraphShelf
from puller.rootfs.graphtree import IMAGE_ID, StratifiedTrees, gone, open_file
from puller.rootfs.job import Unpacker
from puller.rootfs.survey import Strata, Stratum
from puller.rootfs.vfs import VfsDriver
from puller.stream.tarwrite import END


class GraphVfs(StratifiedTrees):
    """A GraphDriver. What the tree of an image is set on may have been made by Docker as well as here."""

    name = "vfs"
    is_writable = True

    def __init__(self, shelf: GraphShelf, unpacker: Unpacker) -> None:
        self._shelf = shelf
        self._driver = VfsDriver(shelf, unpacker)

    def has(self, image_id: str) -> bool:
        return IMAGE_ID.fullmatch(image_id) is not None and self._shelf.has(image_id)

    def make(self, image_id: str, parent: str | None, blob: LayerBlob | None, told: Told) -> Unpacked:
        if parent is not None and not self._shelf.has(parent):
            raise gone(parent)
        self._shelf.remove(image_id)
        with _nothing_for(blob) as layer:
            return self._driver.commit(self._driver.unpack(image_id, layer, told), parent, told)

    def remove(self, image_id: str) -> None:
        self._shelf.remove(image_id)

    def sweep(self, free: Free = nobody_works, *, dry_run: bool = False) -> list[str]:
        swept = []
        for image_id in self._shelf.forgotten():
            with free(image_id) as is_free:
                if is_free and image_id in self._shelf.forgotten():  # else it has come to be meanwhile
                    swept.append(image_id)
                    if not dry_run:
                        self._shelf.remove(image_id)
        if not dry_run:
            swept += self._shelf.sweep(lambda name: free(name.removeprefix(f"layer-{self.name}-")))
        return sorted(set(swept))

    def content(self, image_id: str, path: bytes) -> int:
        with self._shelf.opened(image_id) as tree:
            return open_file(tree, path)

    def diff_id(self, image_id: str) -> Digest | None:
        record = self._shelf.known(image_id)
        return None if record is None else record.diff_id

    def altered(self, image_id: str) -> tuple[Altered, ...]:
        record = self._shelf.known(image_id)
        return () if record is None else record.altered

    @contextmanager
    def _strata(self, image_id: str | None) -> Iterator[Strata]:
        if image_id is None:
            yield ()
            return
        with self._shelf.opened(image_id) as tree:
            yield (Stratum(tree, self._driver.sidecars(image_id)),)


@contextmanager
def _nothing_for(blob: LayerBlob | None) -> Iterator[LayerBlob]:
    """The blob; for None an empty archive, which leaves the tree of the parent as it is."""
    if blob is not None:
        yield blob
        return
    fd = os.memfd_create("no layer")
    try:
        os.write(fd, END)
        yield LayerBlob(fd, None, None)
    finally:
        os.close(fd)
