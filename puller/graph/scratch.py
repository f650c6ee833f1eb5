"""Scratch: the directory `graph/_tmp`, where images are made and taken apart out of sight, and locks lie.

A folder of an image is there under the image's own ID, locked while somebody works on it. What is found unlocked is a
dead process's, and whoever finds it knows whose tree may have been left as well.
"""

import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from puller.errors import PullerError
from puller.graph import files

logger = logging.getLogger(__name__)

_ID = re.compile(r"[a-f0-9]{64}", re.ASCII)
MADE: Final = "image-"  # begins the name of the lock of whoever makes or changes an image
HELD: Final = "held-"  # and of those who hold one


@dataclass(frozen=True, slots=True)
class Staged:
    """A folder in the scratch directory: open, empty and locked."""

    path: Path
    fd: int


class Scratch:
    """`graph/_tmp` of one graph. Raises OSError."""

    def __init__(self, graph: Path, *, durable: bool) -> None:
        self._graph = graph
        self._path = graph / "_tmp"
        self._durable = durable

    @property
    def locks(self) -> Path:
        """Where lock files lie; made if missing."""
        path = self._path / "locks"
        self._found(path)
        return path

    @contextmanager
    def staged(self, image_id: str) -> Iterator[Staged]:
        """An empty folder for an image; what another process left under this ID is removed, its work is waited for.

        At the end it is only unlocked: by then it has been moved, or removed.
        """
        path = self._path / image_id
        self._found(self._path)
        while True:
            with suppress(FileExistsError):
                path.mkdir(0o700)
            with self._locked(path) as fd:
                if fd is None:
                    continue
                if not files.is_empty(fd):
                    shutil.rmtree(path)  # and once more, for its name leads elsewhere now
                    continue
                yield Staged(path, fd)
                return

    @contextmanager
    def withdrawn(self, image_id: str) -> Iterator[None]:
        """Take the folder of an image out of the graph; for the block it is locked, then it is removed."""
        with files.directory(self._graph / image_id) as fd:
            files.locked(fd, wait=True)
            with self.staged(image_id) as staged:
                (self._graph / image_id).rename(staged.path)  # an empty directory may be replaced
                self._sync()
                yield
                shutil.rmtree(staged.path)

    def publish(self, staged: Staged) -> None:
        """Make a folder the image's, in one rename; one that is in its place (but no image) makes room."""
        target = self._graph / staged.path.name
        if self._durable:
            os.fsync(staged.fd)
        if files.is_directory(target):
            old = self._path / secrets.token_hex(32)
            target.rename(old)
            staged.path.rename(target)
            shutil.rmtree(old)
        else:
            staged.path.rename(target)
        self._sync()

    def discard(self, staged: Staged) -> None:
        """Remove a folder that is not wanted."""
        shutil.rmtree(staged.path)

    def replace(self, image_id: str, name: str, content: bytes) -> None:
        """Put a file into the folder of an image: readers see the old or the new one, whole."""
        self._found(self._path)
        while True:
            scratch = self._path / secrets.token_hex(32)
            with files.directory(self._path) as folder:
                fd = files.created(folder, scratch.name)
            with os.fdopen(fd, "wb") as file:
                if not files.locked(fd) or not files.is_at(fd, scratch):
                    continue  # it was taken for a dead process's
                try:
                    file.write(content)
                    file.flush()
                    if self._durable:
                        os.fsync(fd)
                    with files.directory(self._graph / image_id) as folder:
                        os.rename(scratch, name, dst_dir_fd=folder)
                        if self._durable:
                            os.fsync(folder)
                except BaseException:
                    scratch.unlink(missing_ok=True)
                    raise
                return

    def sweep(self, forget: Callable[[str], None]) -> None:
        """Remove what dead processes left. `forget` is asked to remove the tree of an image that was left half-made."""
        for place in (self._graph, self._path, self._path / "locks"):
            files.refuse_link(place)
        for path in self._entries(self._path):
            if _ID.fullmatch(path.name):
                try:
                    self._sweep(path, forget)
                except (OSError, PullerError) as error:
                    logger.warning("what a process left that died stays: %s", error)
        for path in self._entries(self._path / "locks"):
            # One that holds an image which is here stays, lest whoever removes the image finds it locked by us.
            if path.name.startswith(MADE) or (path.name.startswith(HELD) and not self._has(path.name)):
                with suppress(OSError):
                    self._sweep_file(path)

    def _sweep(self, path: Path, forget: Callable[[str], None]) -> None:
        if not files.is_directory(path):
            self._sweep_file(path)
            return
        with self._locked(path, wait=False) as fd:
            if fd is not None:
                if not files.is_directory(self._graph / path.name):
                    forget(path.name)
                shutil.rmtree(path)

    def _has(self, lock: str) -> bool:
        return files.is_directory(self._graph / lock.removeprefix(HELD))

    def _sweep_file(self, path: Path) -> None:
        """Remove a file that nobody has locked: whoever waits for its lock looks whether it is still there."""
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if files.locked(fd) and files.is_at(fd, path):
                path.unlink()
        finally:
            os.close(fd)

    @contextmanager
    def _locked(self, path: Path, *, wait: bool = True) -> Iterator[int | None]:
        """A folder, open and locked; None where it is gone, or somebody else's for now."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        try:
            yield fd if files.locked(fd, wait=wait) and files.is_at(fd, path) else None
        finally:
            os.close(fd)

    def _found(self, path: Path) -> None:
        self._graph.parent.mkdir(parents=True, exist_ok=True)
        for place in (self._graph, self._path, path):
            files.make_directory(place)

    def _sync(self) -> None:
        if self._durable:
            files.sync_directory(self._graph)
            files.sync_directory(self._path)

    def _entries(self, folder: Path) -> list[Path]:
        try:
            return sorted(folder.iterdir())
        except FileNotFoundError:
            return []
