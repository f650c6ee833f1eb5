"""Files: every touch of the disk by a store, one method each, so that a simulated disk can stand in for it.

No state and no policy. Plain methods block and run in a worker thread; the two coroutines read and replace whole small
files. OSError comes out as it is: `failure.py` gives it a meaning.
"""

import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import aiofiles
import aiofiles.os
from anyio import CancelScope

from puller.stream.sink import Chunk

T = TypeVar("T")

# A planted link is never followed nor a planted pipe waited for (THREATS H1), and no child process inherits a lock.
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Files:
    """The file system as a store uses it."""

    async def read(self, path: Path, *, limit: int) -> bytes | None:
        """At most `limit` + 1 bytes of a small file (so a longer one shows); None where there is none."""
        content = None
        with CancelScope(shield=True), suppress(FileNotFoundError):  # aiofiles would leave its thread working
            async with aiofiles.open(path, "rb", opener=self._opener()) as file:
                content = await file.read(limit + 1)
        return content

    async def replace(
        self, path: Path, content: bytes, *, scratch: Path, durable: bool = True, mode: int = 0o600
    ) -> None:
        """Put `content` under `path`: readers see the old or the new file, whole.

        `scratch` is where it is written first; whoever calls holds the lock that makes that name theirs. `durable`:
        after the return it survives a power loss (file synced before the rename, directory after it).
        """
        with CancelScope(shield=True):
            try:
                await self._write_new(scratch, content, durable=durable, mode=mode)
                await _in_thread(self.rename, scratch, path)
            except OSError:
                await _in_thread(self.remove, scratch)
                raise
            if durable:
                await _in_thread(self.sync_directory, path.parent)

    async def _write_new(self, path: Path, content: bytes, *, durable: bool, mode: int) -> None:
        await _in_thread(self.remove, path)  # left by a process that died here
        async with aiofiles.open(path, "xb", opener=self._opener(mode)) as file:
            await file.write(content)
            await file.flush()
            if durable:
                await _in_thread(self.sync, file.fileno())

    def _opener(self, mode: int = 0o600) -> Callable[[str, int], int]:
        return lambda path, flags: self.open(Path(path), flags, mode)

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        """A descriptor; never through a symbolic link in the last place."""
        return os.open(path, flags | _FLAGS, mode)

    def close(self, fd: int) -> None:
        os.close(fd)

    def contents(self, path: Path, *, limit: int) -> bytes | None:
        """As `read`, blocking."""
        try:
            file = open(path, "rb", opener=self._opener())  # noqa: SIM115  # of a directory it names the path
        except FileNotFoundError:
            return None
        with file:
            size = min(
                os.fstat(file.fileno()).st_size, limit
            )  # for `limit` bytes a buffer would be made, however short it is
            content = file.read(size + 1)
            return content if len(content) <= size else content + file.read(limit - size)

    def install(
        self, path: Path, content: bytes, *, scratch: Path, durable: bool = True, mode: int = 0o600
    ) -> os.stat_result:
        """As `replace`, blocking; the state of the new file."""
        self.remove(scratch)  # left by a process that died here
        try:
            fd = self.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            try:
                self.write_at(fd, content, 0)
                if durable:
                    self.sync(fd)
                self.rename(scratch, path)
                status = self.status(fd)  # after the rename, which is a change as well
            finally:
                self.close(fd)
        except OSError:
            self.remove(scratch)
            raise
        if durable:
            self.sync_directory(path.parent)
        return status

    def read_into(self, fd: int, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset`; how many bytes there were (0 at the end)."""
        return os.preadv(fd, [buffer], offset)

    def write_at(self, fd: int, chunk: Chunk, offset: int) -> None:
        """Write all of `chunk`."""
        rest = memoryview(chunk)
        while rest:
            written = os.pwrite(fd, rest, offset)
            rest, offset = rest[written:], offset + written

    def write_out(self, fd: int, offset: int, length: int) -> None:
        """Ask the kernel to start writing a range now, so that `sync` finds little left to do."""
        # DONTNEED on dirty pages starts their write-back and leaves them cached (mm/fadvise.c).
        os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)

    def allocate(self, fd: int, size: int) -> None:
        """Make a file take up `size` bytes of the disk."""
        os.posix_fallocate(fd, 0, size)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def status(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def seal(self, fd: int) -> None:
        """Make a file read-only."""
        os.fchmod(fd, 0o444)

    def touch(self, path: Path) -> None:
        """Let its age begin now."""
        os.utime(path, follow_symlinks=False)

    def unseal(self, path: Path) -> None:
        """Make a file writable for its owner again."""
        path.chmod(0o600)

    def sync(self, fd: int) -> None:
        """Content and size are on the disk when this returns. After an error nothing is known of them."""
        os.fsync(fd)

    def sync_directory(self, path: Path) -> None:
        """Names in a directory are on the disk when this returns."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, fd: int) -> bool:
        """Take an exclusive lock if nobody holds it. The kernel frees it when the descriptor closes or we die."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def look(self, path: Path) -> os.stat_result | None:
        """The state of a path itself, links not followed; None where there is nothing."""
        try:
            return path.lstat()
        except FileNotFoundError:
            return None

    def is_directory(self, path: Path) -> bool:
        """Whether a real directory stands there."""
        status = self.look(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def names(self, path: Path) -> list[str]:
        """What a directory holds, sorted; nothing where there is no directory."""
        try:
            return sorted(entry.name for entry in path.iterdir())
        except FileNotFoundError:
            return []

    def is_shared(self, path: Path) -> bool:
        """Whether others than the owner may write into a directory."""
        return bool(path.stat().st_mode & 0o022)

    def make_directory(self, path: Path, mode: int = 0o700) -> bool:
        """Whether it was made; False: it was there. Raises NotADirectoryError for a link or a file in its place."""
        try:
            path.mkdir(mode)
        except FileExistsError:
            if not self.is_directory(path):
                raise NotADirectoryError(20, "Not a directory", str(path)) from None
            return False
        return True

    def make_parents(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def remove(self, path: Path) -> bool:
        """Whether there was something to remove."""
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()

    def free(self, path: Path) -> int:
        """Bytes this user may still write there."""
        state = os.statvfs(path)
        return state.f_bavail * state.f_frsize


async def _in_thread(function: Callable[..., T], *args: object) -> T:
    result: T = await aiofiles.os.wrap(function)(*args)
    return result
