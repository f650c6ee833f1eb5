"""Part: an unfinished blob on disk, `ingest/<algorithm>-<hex>/data`. Blocking; used under the lock of its digest."""

import os
from contextlib import suppress

from puller.model.digest import Digest
from puller.store.files import Files
from puller.store.layout import Layout
from puller.stream.sink import Chunk

# After a crash the last blocks of a file may be zeros or missing, so an unclean part is cut back to a border.
BLOCK = 64 * 1024
# Large enough to be one good write to any disk, small enough that little is left for the final sync.
WRITE_OUT = 8 << 20


class Part:
    """One unfinished blob. `size` is its length in bytes."""

    def __init__(self, files: Files, layout: Layout, digest: Digest) -> None:
        self._files = files
        self._layout = layout
        self._digest = digest
        self._directory = layout.ingest(digest)
        self._data = self._directory / "data"
        self._clean = self._directory / "clean"
        self._fd: int | None = None
        self._written_out = 0
        self.size = 0

    def open(self, limit: int | None) -> None:
        """Open it, made if missing. What exceeds `limit` or follows an unclean stop is cut off."""
        self._files.make_directory(self._directory)
        fd = self._fd = self._open_data()
        size = self._files.status(fd).st_size
        held = size if size == self._clean_size() else size - size % BLOCK
        if limit is not None and held > limit:
            held = 0
        if held != size:
            self._files.truncate(fd, held)
        self._files.remove(self._clean)
        self.size = self._written_out = held

    def _open_data(self) -> int:
        flags = os.O_RDWR | os.O_CREAT
        try:
            return self._files.open(self._data, flags)
        except PermissionError:
            # Sealed, then killed before the rename: whole, and read-only for its owner as well.
            self._files.unseal(self._data)
            return self._files.open(self._data, flags)

    def _clean_size(self) -> int | None:
        text = self._files.contents(self._clean, limit=32) or b""
        return int(text) if text.isdigit() else None

    def append(self, chunk: Chunk) -> None:
        """Write at the end."""
        fd = self._opened()
        self._files.write_at(fd, chunk, self.size)
        self.size += len(chunk)
        if self.size - self._written_out >= WRITE_OUT:
            self._files.write_out(fd, self._written_out, self.size - self._written_out)
            self._written_out = self.size

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset`; how many bytes there were."""
        return self._files.read_into(self._opened(), buffer, offset)

    def free(self) -> int:
        """Bytes the disk can still take."""
        return self._files.free(self._directory)

    def commit(self, *, durable: bool) -> None:
        """Let it exist: content first, then its name, each on the disk before the next (RELIABILITY §3, step 7).

        The bytes have been verified by whoever calls. A blob that is there already is replaced by the same bytes.
        """
        fd, blob = self._opened(), self._layout.blob(self._digest)
        if durable:
            self._files.sync(fd)
        self._files.seal(fd)
        self._files.rename(self._data, blob)
        if durable:
            try:
                self._files.sync_directory(blob.parent)
            except OSError:
                # Whether the name survives is unknown now; a tag must not be built on it.
                self._files.remove(blob)
                raise
        self._close()
        with suppress(OSError):
            self._files.remove_directory(self._directory)

    def settle(self, *, durable: bool) -> None:
        """End what a process killed in its commit left: the blob is here, its name perhaps not on the disk yet.

        The ingest goes last in a commit, so as long as it stands the name may still be lost with the power, and a tag
        must not be built on it.
        """
        if self._files.look(self._directory) is not None:
            if durable:
                self._files.sync_directory(self._layout.blobs(self._digest.algorithm))
            remove_ingest(self._files, self._layout, self._digest)

    def keep(self) -> None:
        """Leave it for the next try, marked as whole up to its size; of nothing, nothing is left."""
        is_open = self._fd is not None
        self._close()
        if not is_open or not self.size:
            self._remove_empty()
            return
        with suppress(OSError):
            self._write_clean()

    def _remove_empty(self) -> None:
        with suppress(OSError):
            status = self._files.look(self._data)
            if status is not None and not status.st_size:
                self._files.remove(self._data)
            self._files.remove_directory(self._directory)

    def _write_clean(self) -> None:
        fd = self._files.open(self._clean, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            self._files.write_at(fd, str(self.size).encode(), 0)
        finally:
            self._files.close(fd)

    def discard(self) -> None:
        """Delete it and free its space."""
        self._close()
        remove_ingest(self._files, self._layout, self._digest)

    def _opened(self) -> int:
        if self._fd is None:
            raise ValueError("this ingest is closed")
        return self._fd

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):
                self._files.close(fd)


def remove_ingest(files: Files, layout: Layout, digest: Digest) -> None:
    """Remove the directory of an unfinished blob and all it holds; the caller holds the lock of `digest`."""
    directory = layout.ingest(digest)
    with suppress(OSError):
        for name in files.names(directory):
            files.remove(directory / name)
        files.remove_directory(directory)
