"""GraphAufs: Docker's aufs driver, whose images can be read.

    DIR/aufs/diff/<id>/…       what an image's own layer holds, in the form of a layer: `.wh.` files and all
    DIR/aufs/layers/<id>       the images below it, a line each, the nearest first

A layer is packed from there as it is. What aufs notes for itself (`.wh..wh.aufs`, `.wh..wh.orph`, `.wh..wh.plnk` and
whatever else is called so) is left out; only `.wh..wh..opq` means something to others.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from puller.contracts.graph import OpenTree
from puller.errors import Unsupported
from puller.model.alteration import unreported
from puller.rootfs.failure import tree_error
from puller.rootfs.finding import Finding
from puller.rootfs.graphtree import IMAGE_ID, ReadOnlyTrees, gone, open_file, open_inside
from puller.rootfs.pack import in_chunks, member, opaque, whiteout
from puller.rootfs.survey import Stratum, Survey
from puller.rootfs.whiteout import OPAQUE, PREFIX, hidden_by
from puller.stream.tarentry import DIRECTORY

_HOME: Final = "aufs"
_NOTE: Final = b".wh..wh."
_READ: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST: Final = 128 * 65  # bytes of a file of `layers`: no image had more below it


class GraphAufs(ReadOnlyTrees):
    """A GraphDriver that only reads, below `root`, Docker's own directory."""

    name = _HOME
    shows_trees = False

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, image_id: str) -> bool:
        if not IMAGE_ID.fullmatch(image_id):
            return False
        fd = open_inside(self._root, f"{_HOME}/diff/{image_id}")
        if fd is not None:
            os.close(fd)
        return fd is not None

    def opened(self, image_id: str) -> AbstractContextManager[OpenTree]:
        """Raises Unsupported: layers lie apart here, in a form that nothing but aufs mounts."""
        raise Unsupported("aufs keeps no whole tree of an image", where=image_id)

    def content(self, image_id: str, path: bytes) -> int:
        with self._opened(image_id) as tree:
            return open_file(tree, path)

    def diff(self, image_id: str, parent: str | None) -> Iterator[bytes]:
        self._check(image_id, parent)
        with self._opened(image_id) as tree:
            yield from in_chunks(_packed(tree))

    def size(self, image_id: str, parent: str | None) -> int:
        self._check(image_id, parent)
        with self._opened(image_id) as tree:
            files = {finding.identity: finding.size for finding in _findings(tree) if not _is_mark(finding)}
        return sum(files.values())

    @contextmanager
    def _opened(self, image_id: str) -> Iterator[int]:
        fd = open_inside(self._root, f"{_HOME}/diff/{image_id}") if IMAGE_ID.fullmatch(image_id) else None
        if fd is None:
            raise gone(image_id)
        try:
            yield fd
        finally:
            os.close(fd)

    def _check(self, image_id: str, parent: str | None) -> None:
        """What an image holds is known against the image right below it alone."""
        below = self._below(image_id)
        if parent != below:
            what = "an aufs image can be told apart from the one right below it only"
            raise Unsupported(what, where=image_id, wanted=below or "no parent", got=parent or "no parent")

    def _below(self, image_id: str) -> str | None:
        folder = open_inside(self._root, f"{_HOME}/layers")
        if folder is None:
            raise gone(image_id)
        try:
            with os.fdopen(os.open(image_id, _FILE, dir_fd=folder), "rb") as file:
                nearest = file.read(_LONGEST).decode(errors="replace").partition("\n")[0].strip()
        except FileNotFoundError:
            raise gone(image_id) from None
        except OSError as error:
            raise tree_error(error, os.fsencode(image_id)) from error
        finally:
            os.close(folder)
        return nearest or None


def _findings(tree: int) -> Iterator[Finding]:
    """All that is in a layer's directory but what aufs keeps there for itself."""
    with Survey((Stratum(tree),)) as survey:
        for finding in survey:
            if _is_note(finding.path.rpartition(b"/")[2]):
                if finding.type == DIRECTORY:
                    survey.skip()
            else:
                yield finding


def _packed(tree: int) -> Iterator[bytes]:
    for finding in _findings(tree):
        if not _is_mark(finding):
            yield from member(finding, unreported)
        if finding.type == DIRECTORY:
            yield from _marks(finding)


def _is_note(name: bytes) -> bool:
    return name.startswith(_NOTE) and name != OPAQUE


def _is_mark(finding: Finding) -> bool:
    return finding.path.rpartition(b"/")[2].startswith(PREFIX)


def _marks(finding: Finding) -> Iterator[bytes]:
    """The whiteouts of one directory, which come first in it: readers of the time obeyed them where they stood."""
    try:
        fd = os.open(finding.name, _READ, dir_fd=finding.parent)
        try:
            with os.scandir(fd) as found:
                names = sorted(name for entry in found if (name := os.fsencode(entry.name)).startswith(PREFIX))
        finally:
            os.close(fd)
    except OSError as error:
        raise tree_error(error, finding.path) from error
    for name in names:
        if name == OPAQUE:
            yield opaque(finding.path)
        elif not _is_note(name):
            yield whiteout(finding.path, hidden_by(name) or b"")
