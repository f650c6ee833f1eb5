"""GraphOverlay: the first overlay driver of Docker, whose images can be read.

    DIR/overlay/<id>/root/                  the whole tree, its files hard links to those of the parent where the same
    DIR/overlay/<id>/{upper/, lower-id}     or what it has upon the `root` of another image, in overlayfs's form

The second kind is that of images that were registered without a layer, and of those upon them.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from puller.errors import ContentCorrupt, ContentMissing
from puller.rootfs.failure import translated
from puller.rootfs.graphtree import IMAGE_ID, ReadOnlyTrees, StratifiedTrees, gone, open_file, open_inside
from puller.rootfs.survey import Strata, Stratum

_HOME: Final = "overlay"
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class GraphOverlay(ReadOnlyTrees, StratifiedTrees):
    """A GraphDriver that only reads, below `root`, Docker's own directory."""

    name = _HOME

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, image_id: str) -> bool:
        try:
            with self._strata(image_id):
                return True
        except ContentMissing:
            return False

    def content(self, image_id: str, path: bytes) -> int:
        with self._strata(image_id) as strata:
            *uppers, lowest = strata
            for stratum in uppers:
                with suppress(ContentCorrupt):
                    return open_file(stratum.fd, path)
            return open_file(lowest.fd, path)

    @contextmanager
    def _strata(self, image_id: str | None) -> Iterator[Strata]:
        with ExitStack() as stack:
            found: list[Stratum] = []
            for path in () if image_id is None else self._paths(image_id):
                fd = open_inside(self._root, path)
                if fd is None:
                    raise gone(path.partition("/")[0])
                stack.callback(os.close, fd)
                found.append(Stratum(fd))
            yield found

    def _paths(self, image_id: str) -> list[str]:
        """The directories of a tree, the nearest first."""
        if not IMAGE_ID.fullmatch(image_id):
            raise gone(image_id)
        whole = f"{_HOME}/{image_id}/root"
        fd = open_inside(self._root, whole)
        if fd is not None:
            os.close(fd)
            return [whole]
        return [f"{_HOME}/{image_id}/upper", f"{_HOME}/{self._lower(image_id)}/root"]

    def _lower(self, image_id: str) -> str:
        """The image that this one's `upper` lies upon."""
        folder = open_inside(self._root, f"{_HOME}/{image_id}")
        if folder is None:
            raise gone(image_id)
        try:
            with translated(self._root), suppress(FileNotFoundError):
                with os.fdopen(os.open("lower-id", _FILE, dir_fd=folder), "rb") as file:
                    said = file.read(65).decode(errors="replace")
                if IMAGE_ID.fullmatch(said):
                    return said
        finally:
            os.close(folder)
        raise gone(image_id)
