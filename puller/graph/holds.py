"""Holds: which images are in use, told across tasks and processes by shared locks that the kernel frees when we die."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from puller.graph import files
from puller.graph.scratch import HELD


class Holds:
    """Lock files `held-<id>` in a folder; `place` gives it, made if missing. Raises OSError."""

    def __init__(self, place: Callable[[], Path]) -> None:
        self._place = place

    @contextmanager
    def held(self, image_ids: Sequence[str]) -> Iterator[None]:
        """For the block nobody can have any of them for themselves."""
        taken: list[tuple[int, Path]] = []
        try:
            for image_id in sorted(set(image_ids)):
                held = self._shared(image_id)
                if held is None:
                    break
                taken.append(held)
            yield
        finally:
            for fd, path in taken:
                _release(fd, path)

    @contextmanager
    def alone(self, image_id: str) -> Iterator[bool]:
        """Whether nobody holds it, which for the block nobody then can."""
        fd, path = self._opened(image_id)
        try:
            while (is_alone := files.locked(fd)) and not files.is_at(fd, path):
                os.close(fd)  # somebody let go of it in this moment
                fd, path = self._opened(image_id)
            yield is_alone
            if is_alone:
                with suppress(OSError):  # then it stays, in nobody's way
                    path.unlink()  # whoever waits for it finds it gone, and takes a new one
        finally:
            os.close(fd)

    def _opened(self, image_id: str) -> tuple[int, Path]:
        path = self._place() / f"{HELD}{image_id}"
        return files.lock_file(path), path

    def _shared(self, image_id: str) -> tuple[int, Path] | None:
        """A shared lock; None on a file system that is read-only, where nobody can remove anything."""
        while True:
            try:
                fd, path = self._opened(image_id)
            except OSError as error:
                if error.errno != errno.EROFS:
                    raise
                return None
            files.locked(fd, shared=True, wait=True)
            if files.is_at(fd, path):
                return fd, path
            os.close(fd)


def _release(fd: int, path: Path) -> None:
    """Let go, and remove the file if nobody else has it; one that cannot be removed is in nobody's way."""
    with suppress(OSError):
        if files.locked(fd) and files.is_at(fd, path):
            path.unlink()
    os.close(fd)
