"""PlainVfs: the vfs driver in a few lines, for tests of what stands on it.

Trees are made by `tarfile`, not in a jail.
"""

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from puller.contracts.graph import Free, OpenTree, nobody_works
from puller.contracts.layers import LayerBlob, Told, Unpacked
from puller.errors import ContentCorrupt, InvalidArchive
from puller.model.alteration import Altered
from puller.model.digest import Digest

Step = Callable[[str], None]


def unhindered(_: str) -> None:
    """Every step succeeds."""


class PlainVfs:
    """A GraphDriver. `step` hears the name of each step before and after it is taken, and may raise."""

    name = "vfs"
    is_writable = True
    shows_trees = True

    def __init__(self, root: Path, step: Step = unhindered) -> None:
        self._dir = root / "vfs" / "dir"
        self.step = step
        self.made: list[str] = []

    def has(self, image_id: str) -> bool:
        return self._dir.joinpath(image_id).is_dir()

    def make(self, image_id: str, parent: str | None, blob: LayerBlob | None, told: Told) -> Unpacked:
        self.step("make")
        self.made.append(image_id)
        tree = self._dir / image_id
        shutil.rmtree(tree, ignore_errors=True)
        if parent is None:
            tree.mkdir(parents=True)
        else:
            shutil.copytree(self._dir / parent, tree, symlinks=True)
        if blob is not None:
            _apply(tree, _content(blob))
        told(0)
        self.step("made")
        return Unpacked(0, 0, ())

    def remove(self, image_id: str) -> None:
        self.step("remove")
        shutil.rmtree(self._dir / image_id, ignore_errors=True)

    @contextmanager
    def opened(self, image_id: str) -> Iterator[OpenTree]:
        fd = os.open(self._dir / image_id, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield [(fd, ())]
        finally:
            os.close(fd)

    def sweep(self, free: Free = nobody_works, *, dry_run: bool = False) -> list[str]:
        raise NotImplementedError

    def content(self, image_id: str, path: bytes) -> int:
        try:
            return os.open(self._dir / image_id / path.decode(), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            raise ContentCorrupt("no such file", got=str(error)) from error

    def diff(self, image_id: str, parent: str | None) -> Iterator[bytes]:
        """The whole tree: enough to see who was asked."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path in sorted(self._dir.joinpath(image_id).rglob("*")):
                tar.add(path, path.relative_to(self._dir / image_id).as_posix(), recursive=False)
        yield archive.getvalue()

    def diff_id(self, image_id: str) -> Digest | None:
        return None

    def altered(self, image_id: str) -> tuple[Altered, ...]:
        return ()

    def size(self, image_id: str, parent: str | None) -> int:
        own = _sizes(self._dir / image_id)
        below = {} if parent is None else _sizes(self._dir / parent)
        return sum(size for path, size in own.items() if path not in below)


def _sizes(tree: Path) -> dict[str, int]:
    return {p.relative_to(tree).as_posix(): p.stat().st_size for p in tree.rglob("*") if p.is_file()}


def _content(blob: LayerBlob) -> bytes:
    size = os.fstat(blob.fd).st_size - blob.start if blob.size is None else blob.size
    raw = os.pread(blob.fd, size, blob.start)
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


def _apply(tree: Path, raw: bytes) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            for info in archive:
                folder, name = os.path.split(info.name)
                if name.startswith(".wh."):
                    gone = tree / folder / name.removeprefix(".wh.")
                    shutil.rmtree(gone, ignore_errors=True)
                    gone.unlink(missing_ok=True)
                else:
                    archive.extract(info, tree, filter="fully_trusted")
    except tarfile.ReadError as error:
        raise InvalidArchive(str(error)) from error
