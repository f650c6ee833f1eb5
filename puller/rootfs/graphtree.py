"""What the drivers of old Docker do alike: a file of a tree by its name, and trees that can only be read."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

from puller.contracts.graph import Free, OpenTree, nobody_works
from puller.contracts.layers import LayerBlob, Told, Unpacked
from puller.errors import ContentCorrupt, ContentMissing, LayerError, StoreUnusable, Unsupported
from puller.model.alteration import Altered
from puller.model.digest import Digest
from puller.rootfs.changes import compare, size
from puller.rootfs.failure import translated, tree_error
from puller.rootfs.inside import Root
from puller.rootfs.name import components, shown
from puller.rootfs.openat2 import STEP, open_stepwise
from puller.rootfs.pack import pack_changes
from puller.rootfs.survey import Strata

IMAGE_ID: Final = re.compile(r"[0-9a-f]{64}")
WAY_OUT: Final = "Have that Docker write the image with `docker save`, and read it here with `puller load`."
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNREADABLE: Final = "Only root can read this file: run puller as root."


def open_file(tree: int, path: bytes) -> int:
    """The regular file that an entry called `path` is in the open directory `tree`, for reading.

    Links on the way are followed inside the tree, as they were when the entry was unpacked; the file itself is none.
    Raises ContentCorrupt where there is no such file, StoreUnusable where it cannot be read.
    """
    try:
        return _open_file(tree, path)
    except LayerError as error:
        raise ContentCorrupt("a file that no layer can have made", where=shown(path), got=error.what) from error
    except PermissionError as error:
        raise StoreUnusable("a file cannot be read", where=shown(path), got=error.strerror, hint=_UNREADABLE) from error
    except OSError as error:
        raise tree_error(error, path) from error


def _open_file(tree: int, path: bytes) -> int:
    parts = components(path)
    with Root(tree) as root:
        directory = root.find(parts[:-1]) if parts else None
        if directory is None:
            raise _gone(path)
        if directory is not root.top:
            root.keep(b"/".join(parts[:-1]), directory)
        try:
            # Before anything is opened, for opening a device may do something.
            if not stat.S_ISREG(os.stat(parts[-1], dir_fd=directory.fd, follow_symlinks=False).st_mode):
                raise _gone(path)
            fd = os.open(parts[-1], _FILE, dir_fd=directory.fd)
        except FileNotFoundError:
            raise _gone(path) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _gone(path)
    return fd


def gone(image_id: str) -> ContentMissing:
    """The error for a tree that is not here."""
    return ContentMissing("the tree of an image is not here", got=image_id)


def _gone(path: bytes) -> ContentCorrupt:
    return ContentCorrupt("a file of an image is not in its tree", where=shown(path))


def open_inside(root: Path, path: str) -> int | None:
    """The directory `path` below `root`, for reading; None where there is none. No link is followed below `root`.

    Raises StoreError for the disk.
    """
    with translated(root), suppress(FileNotFoundError, NotADirectoryError):
        top = os.open(root, STEP)
        try:
            return open_stepwise(top, os.fsencode(path), os.O_RDONLY)
        finally:
            os.close(top)
    return None


class StratifiedTrees:
    """The part of a GraphDriver that shows trees and tells them apart, by the directories that each is made of."""

    shows_trees = True

    @contextmanager
    def opened(self, image_id: str) -> Iterator[OpenTree]:
        """As GraphDriver.opened."""
        with self._strata(image_id) as strata:
            yield [(stratum.fd, stratum.sidecars) for stratum in strata]

    def diff(self, image_id: str, parent: str | None) -> Iterator[bytes]:
        """As GraphDriver.diff. Both trees stay open until it ends."""
        with self._strata(image_id) as new, self._strata(parent) as old:
            yield from pack_changes(new, compare(old or None, new, directory_times=True))

    def size(self, image_id: str, parent: str | None) -> int:
        """As GraphDriver.size."""
        with self._strata(image_id) as new, self._strata(parent) as old:
            return size(new, compare(old or None, new))

    def _strata(self, image_id: str | None) -> AbstractContextManager[Strata]:
        """The tree of an image, open; of None, no directory at all. Raises ContentMissing."""
        raise NotImplementedError


class ReadOnlyTrees:
    """The part of a GraphDriver that refuses to write."""

    name = ""
    is_writable = False

    def make(self, image_id: str, parent: str | None, blob: LayerBlob | None, told: Told) -> Unpacked:
        """Raises Unsupported."""
        self._refuse()

    def remove(self, image_id: str) -> None:
        """Raises Unsupported."""
        self._refuse()

    def sweep(self, free: Free = nobody_works, *, dry_run: bool = False) -> list[str]:
        """Nobody left anything here."""
        return []

    def diff_id(self, image_id: str) -> Digest | None:
        """Docker kept none."""
        return None

    def altered(self, image_id: str) -> tuple[Altered, ...]:
        """Docker noted nothing of the kind."""
        return ()

    def _refuse(self) -> NoReturn:
        raise Unsupported(f"images of Docker's {self.name} driver can only be read", hint=WAY_OUT)
