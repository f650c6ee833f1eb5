"""A program that makes trees of images, to be run by anybody and killed at it.

    python -m tests.rootfs.graphmaker DIR          makes them, reads and removes them, and tells how it went
    python -m tests.rootfs.graphmaker DIR make     only makes those that are not there yet

Its layers have what their own user may not read or write: a root of mode 0555, as Fedora has it, and a file of mode 0.
"""

import json
import os
import sys
from pathlib import Path

from puller.errors import PullerError
from puller.rootfs.crew import InProcess
from puller.rootfs.graphshelf import GraphShelf
from puller.rootfs.graphvfs import GraphVfs
from puller.rootfs.manner import Manner
from tests.rootfs.jobs import quiet
from tests.rootfs.layering import SMALL, file, folder, layer
from tests.rootfs.stacked import blob_of

STACK = (
    layer(folder("./", mode=0o555), folder("d", mtime=5), file("d/shadow", "secret", mode=0), file("b", "22")),
    layer(file("d/.wh.x"), file("d/c", "333")),
)
IDS = ("1" * 64, "2" * 64)
FOREIGN = "f" * 64  # perhaps made by somebody else before
UPON = "3" * 64


def opened(root: Path) -> GraphVfs:
    return GraphVfs(GraphShelf(root), InProcess(Manner(limits=SMALL)))


def make(root: Path) -> None:
    """Make both trees, and the images that they count for something by."""
    driver = opened(root)
    for archive, image_id, parent in zip(STACK, IDS, (None, IDS[0]), strict=True):
        image = root / "graph" / image_id
        if not image.exists():
            with blob_of(archive) as blob:
                driver.make(image_id, parent, blob, quiet)
            image.mkdir(0o700, parents=True)


def main(root: Path) -> dict[str, object]:
    """Make them, read them, and remove what was made last."""
    make(root)
    driver = opened(root)
    found: dict[str, object] = {"size": driver.size(IDS[1], IDS[0])}
    with os.fdopen(driver.content(IDS[1], b"d/shadow"), "rb") as content:
        found["content"] = content.read().decode()
    if driver.has(FOREIGN):
        with blob_of(STACK[1]) as blob:
            driver.make(UPON, FOREIGN, blob, quiet)
        found["mode"] = oct((root / "vfs/dir" / UPON).stat().st_mode)
        try:
            os.close(driver.content(FOREIGN, b"secret"))
        except PullerError as error:
            found["error"] = [type(error).__name__, error.hint]
        driver.remove(UPON)
        driver.remove(FOREIGN)
    driver.remove(IDS[1])
    found["left"] = sorted(path.name for path in (root / "vfs/dir").iterdir())
    found["work"] = [path.name for path in (root / "vfs/puller/staging").iterdir()]
    return found


if __name__ == "__main__":
    if len(sys.argv) > 2:
        make(Path(sys.argv[1]))
    else:
        print(json.dumps(main(Path(sys.argv[1]))))
