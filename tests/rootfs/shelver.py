"""A program that unpacks two layers, to be killed at it: `python -m tests.rootfs.shelver PLACE overlay|vfs|flat`."""

import sys
from pathlib import Path

from puller.rootfs.crew import InProcess
from puller.rootfs.flat import Flat
from puller.rootfs.manner import Manner
from puller.rootfs.overlay import DIFF, OverlayDriver
from puller.rootfs.powers import Powers
from puller.rootfs.shelf import Shelf
from puller.rootfs.vfs import TREE, VfsDriver
from tests.rootfs.jobs import quiet
from tests.rootfs.layering import SMALL, file, folder, layer
from tests.rootfs.stacked import blob_of, name_of, put

STACK = (
    layer(folder("d", mode=0o711, mtime=5), file("d/a", "1"), file("b", "22")),
    layer(file("d/.wh.a"), file("d/c", "333"), folder("e"), file("e/.wh..wh..opq")),
)
NAMES = (name_of(STACK[:1]), name_of(STACK))
TOKEN = "0123abcd"


def driver(place: Path, kind: str) -> OverlayDriver | VfsDriver:
    """The driver of this kind with its shelf in `place`."""
    unpacker = InProcess(Manner(limits=SMALL))
    if kind == "vfs":
        return VfsDriver(Shelf(place / "layers", kind, TREE), unpacker)
    return OverlayDriver(Shelf(place / "layers", kind, DIFF), unpacker, Powers.of_this_process())


def unpack(place: Path, kind: str) -> None:
    """Unpack what is not there yet; for `flat`, that is all."""
    if kind == "flat":
        with Flat(place / "root", InProcess(Manner(limits=SMALL)), token=lambda: TOKEN) as flat:
            for archive, name in zip(STACK, NAMES, strict=True):
                with blob_of(archive) as blob:
                    flat.merge(flat.unpack(name, blob, quiet), quiet)
            flat.commit()
        return
    shelf = driver(place, kind)
    for archive, name, parent in zip(STACK, NAMES, (None, NAMES[0]), strict=True):
        if not shelf.has(name):
            put(shelf, archive, name, parent)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), sys.argv[2])
    print("done")
