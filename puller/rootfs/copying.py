"""Copying a tree on one machine, by descriptors: contents shared where the file system can (reflink), links kept."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from puller.rootfs.inside import Root
from puller.rootfs.name import joined
from puller.rootfs.seating import look_alike

_FICLONE: Final = 0x40049409  # <linux/fs.h>
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
_PIECE: Final = 8 << 20
_CANNOT: Final = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS)
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_tree(source: Root, target: Root, tick: Callable[[], None]) -> None:
    """Copy all in `source`, and what its root looks like, into the empty directory `target`.

    Types, contents, owners, modes, times, attributes and hard links are the same; `tick` is called for every few MiB or
    few files. Nobody may change `source` meanwhile. Raises OSError, and what `tick` raises.
    """
    _Copying(source, target, tick).run()


class _Copying:
    def __init__(self, source: Root, target: Root, tick: Callable[[], None]) -> None:
        self._source = source
        self._target = target
        self._tick = tick
        self._shares = True  # until the file system says no
        self._linked: dict[tuple[int, int], bytes] = {}
        self._pending: list[bytes] = [b""]
        self._entered: list[bytes] = []

    def run(self) -> None:
        while self._pending:
            self._enter(self._pending.pop())
        # A directory's times change with what is made in it; below ones come after those above.
        for path in reversed(self._entered):
            self._settle(path)

    def _enter(self, path: bytes) -> None:
        self._entered.append(path)
        source = self._source.open(path, os.O_RDONLY)
        try:
            target = self._target.open(path, os.O_RDONLY)
            try:
                with os.scandir(source) as found:
                    names = [os.fsencode(entry.name) for entry in found]
                for name in names:
                    self._copy(source, target, name, joined(path, name))
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _copy(self, source: int, target: int, name: bytes, path: bytes) -> None:
        self._tick()
        state = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(state.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            self._pending.append(path)
            return
        if state.st_nlink > 1 and self._link(state, target, name, path):
            return
        if stat.S_ISREG(state.st_mode):
            self._file(source, target, name)
            return
        if stat.S_ISLNK(state.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        else:
            os.mknod(name, state.st_mode, state.st_rdev, dir_fd=target)
        self._node(state, target, name)

    def _link(self, state: os.stat_result, target: int, name: bytes, path: bytes) -> bool:
        """Make it a second name of what was copied before; whether it is one."""
        first = self._linked.setdefault((state.st_dev, state.st_ino), path)
        if first is path:
            return False
        head, _, base = first.rpartition(b"/")
        folder = self._target.open(head)
        try:
            os.link(base, name, src_dir_fd=folder, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(folder)
        return True

    def _file(self, source: int, target: int, name: bytes) -> None:
        content = _opened(source, name)
        try:
            copy = os.open(name, _CREATE, 0o600, dir_fd=target)
            try:
                self._fill(content, copy)
                look_alike(content, copy)
            finally:
                os.close(copy)
        finally:
            os.close(content)

    def _fill(self, content: int, copy: int) -> None:
        size = os.fstat(content).st_size
        if not size or (self._shares and self._share(content, copy)):
            return
        done = 0
        while done < size:
            moved = _moved(content, copy, size - done, done)
            if not moved:
                raise OSError(errno.EIO, "a file became shorter while it was copied")
            done += moved
            self._tick()

    def _share(self, content: int, copy: int) -> bool:
        try:
            fcntl.ioctl(copy, _FICLONE, content)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self._shares = False
        return self._shares

    def _node(self, state: os.stat_result, target: int, name: bytes) -> None:
        if (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(name, state.st_uid, state.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(state.st_mode):
            handle = os.open(name, _LOOK, dir_fd=target)
            try:
                # By way of /proc, for fchmod takes no O_PATH descriptor and chmod by name would follow a link.
                Path(f"/proc/self/fd/{handle}").chmod(stat.S_IMODE(state.st_mode))
            finally:
                os.close(handle)
        os.utime(name, ns=(state.st_atime_ns, state.st_mtime_ns), dir_fd=target, follow_symlinks=False)

    def _settle(self, path: bytes) -> None:
        source = self._source.open(path, os.O_RDONLY)
        try:
            target = self._target.open(path, os.O_RDONLY)
            try:
                look_alike(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)


def _moved(content: int, copy: int, size: int, offset: int) -> int:
    """Copy a piece, in the kernel where it can; how many bytes it was."""
    try:
        return os.copy_file_range(content, copy, min(size, _PIECE), offset, offset)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    return os.pwrite(copy, os.pread(content, min(size, _PIECE), offset), offset)


def _opened(folder: int, name: bytes) -> int:
    """The file `name`, open for reading also where its mode does not let its own user; the mode stays."""
    try:
        return os.open(name, _READ, dir_fd=folder)
    except PermissionError:
        handle = os.open(name, _LOOK, dir_fd=folder)
        way = Path(f"/proc/self/fd/{handle}")
        try:
            mode = stat.S_IMODE(os.fstat(handle).st_mode)
            way.chmod(mode | stat.S_IRUSR)
            try:
                return os.open(way, _READ & ~os.O_NOFOLLOW)
            finally:
                way.chmod(mode)
        finally:
            os.close(handle)
