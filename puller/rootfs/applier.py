"""LayerApplier: the entries of one layer done to a tree, one method for each type of entry.

It is safe by itself against any layer and against others who change the tree meanwhile; the process around it, with its
jail, is a second wall. What a name means is in `inside` and `tree`, whiteouts in `whiteout` and `erasing`.
"""

import errno
import os
import stat
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from puller.errors import InvalidArchive, PullerError, UnsafePath
from puller.rootfs.applied import Applied
from puller.rootfs.directories import Directories
from puller.rootfs.erasing import Erasing, Whiteouts
from puller.rootfs.failure import tree_error
from puller.rootfs.gathering import NeedsLower
from puller.rootfs.inside import Directory, Root
from puller.rootfs.limits import Budget, Limits
from puller.rootfs.metadata import Metadata
from puller.rootfs.name import components, joined, shown
from puller.rootfs.node import check_device, make_node
from puller.rootfs.tree import Tree
from puller.rootfs.whiteout import PREFIX, hidden_by, is_aufs
from puller.stream.sink import Chunk
from puller.stream.tarentry import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    CONTIGUOUS,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    OLD_REGULAR,
    REGULAR,
    SYMLINK,
    Entry,
    TarListener,
)

_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
_NEW_FILE: Final = 0o600  # until it is complete
_REGULAR: Final = frozenset((REGULAR, OLD_REGULAR, CONTIGUOUS))
_NO_BASE: Final = frozenset((b"", b".", b".."))


class LayerApplier(TarListener):
    """Hears the entries of one layer (in the SANE dialect) and does them to `root`; `finish` ends it.

    `devices`: make device nodes where the powers suffice, else put empty files in their place and tell. Raises
    UnsafePath, InvalidArchive, LimitExceeded, Unsupported for what the layer says; NoSpace, StoreBusy, StoreUnusable
    for the disk. After an error the tree is good for nothing but removal. Close it, or use it as a context manager.

    `whiteouts` None: Erasing, and an empty root is that of a first layer; with an Erasing of the caller's it is what
    lower layers left of theirs, and keeps its looks.
    """

    def __init__(
        self,
        root: Root,
        metadata: Metadata,
        *,
        whiteouts: Whiteouts | None = None,
        limits: Limits | None = None,
        devices: bool = False,
    ) -> None:
        limits = limits or Limits()
        self._root = root
        self._metadata = metadata
        self._whiteouts = whiteouts or Erasing()
        self._budget = Budget(limits, root.fd)
        self._devices = devices and metadata.powers.devices
        self._directories = Directories(limits.directories)
        is_empty = _is_empty(root)
        if not is_empty and self._whiteouts.alone:
            raise ValueError("a layer that is unpacked apart needs a directory of its own")
        self._tree = Tree(root, self._directories, self._whiteouts, depth=limits.depth, empty=is_empty)
        if is_empty and (whiteouts is None or whiteouts.alone):
            self._directories.implied(b"")
        else:
            self._directories.touched(b"", root.fd)
        self._file = -1  # the regular file whose content is coming
        self._entry: Entry | None = None
        self._parent = self._base = b""
        self._others: dict[bytes, Callable[[Entry, Directory, bytes], None]] = {
            DIRECTORY: self._directory,
            SYMLINK: self._symlink,
            HARD_LINK: self._hard_link,
            FIFO: self._fifo,
            CHARACTER_DEVICE: self._device,
            BLOCK_DEVICE: self._device,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open, except the root itself."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._root.close()

    def finish(self) -> Applied:
        """The layer is whole: give all directories their due."""
        applied = Applied(self._budget.entries, self._budget.size, self._directories.without_entry)
        try:
            applied = self._whiteouts.finish(self._tree, applied)
            self._directories.settle(self._root, self._metadata)
        except OSError as error:
            raise tree_error(error, b"") from error
        return applied

    def entry(self, entry: Entry, /) -> None:
        try:
            self._apply(entry)
        except OSError as error:
            raise tree_error(error, entry.name) from error
        except PullerError as error:
            error.where = error.where or shown(entry.name)
            raise

    def data(self, chunk: Chunk, /) -> None:
        file = self._file
        if file < 0:
            return
        try:
            written = os.write(file, chunk)
            while written < len(chunk):
                written += os.write(file, memoryview(chunk)[written:])
        except OSError as error:
            raise tree_error(error, joined(self._parent, self._base)) from error

    def hole(self, size: int, /) -> None:
        if self._file >= 0:
            os.lseek(self._file, size, os.SEEK_CUR)

    def end(self) -> None:
        file, entry = self._file, self._entry
        if file < 0 or entry is None:
            return
        try:
            if entry.sparse:
                os.ftruncate(file, entry.size)
            self._metadata.file(file, entry, self._parent, self._base)
        except OSError as error:
            raise tree_error(error, entry.name) from error
        finally:
            self._file = -1
            os.close(file)

    def _apply(self, entry: Entry) -> None:
        self._budget.spend(entry.size)
        head, _, base = entry.name.rpartition(b"/")
        if base in _NO_BASE or b"\0" in base:
            parts = components(entry.name)
            if not parts:
                self._top(entry)
                return
            head, base = b"/".join(parts[:-1]), parts[-1]
        directory = self._root.cached(head)
        if directory is None or base.startswith(PREFIX):
            self._root.settle()
            directory = self._parent_of(entry, head, base)
            if directory is None:
                return
        if entry.type in _REGULAR:
            self._regular(entry, directory, base)
        else:
            self._other(entry, directory, base)
        self._tree.made(directory, base)

    def _parent_of(self, entry: Entry, head: bytes, base: bytes) -> Directory | None:
        """Where to make `base`; None where there is nothing to make, for it was a whiteout."""
        if is_aufs((*components(head), base)):
            self._metadata.tell(entry.name, "entry", shown(entry.type), "a note of aufs to itself")
            return None
        if not base.startswith(PREFIX):
            return self._tree.reach(head)
        hidden = hidden_by(base)
        if entry.type not in _REGULAR:
            raise InvalidArchive("a whiteout that is no regular file", got=shown(entry.type))
        if hidden is None:
            self._whiteouts.hide_all(self._tree, head)
        else:
            self._whiteouts.hide(self._tree, head, hidden)
        return None

    def _top(self, entry: Entry) -> None:
        if entry.type != DIRECTORY:
            raise UnsafePath("an entry that would replace the root", got=shown(entry.type))
        self._directories.named(b"", entry, new=not self._tree.has_lower)

    def _regular(self, entry: Entry, directory: Directory, base: bytes) -> None:
        try:
            self._file = os.open(base, _CREATE, _NEW_FILE, dir_fd=directory.fd)
        except FileExistsError:
            self._tree.clear(directory, base)
            self._file = os.open(base, _CREATE, _NEW_FILE, dir_fd=directory.fd)
        self._entry = entry
        self._parent = directory.path
        self._base = base

    def _other(self, entry: Entry, directory: Directory, base: bytes) -> None:
        method = self._others.get(entry.type)
        if method is None:
            raise InvalidArchive("an entry of an unknown type", got=shown(entry.type))
        method(entry, directory, base)

    def _directory(self, entry: Entry, directory: Directory, base: bytes) -> None:
        new = self._tree.make_directory(directory, base)
        self._directories.named(joined(directory.path, base), entry, new=new)

    def _symlink(self, entry: Entry, directory: Directory, base: bytes) -> None:
        target = entry.linkname
        if not target or b"\0" in target:
            raise InvalidArchive("a symbolic link to nothing", got=shown(target))
        try:
            os.symlink(target, base, dir_fd=directory.fd)
        except FileExistsError:
            self._tree.clear(directory, base)
            os.symlink(target, base, dir_fd=directory.fd)
        self._metadata.node(directory.fd, entry, directory.path, base)

    def _hard_link(self, entry: Entry, directory: Directory, base: bytes) -> None:
        """A second name for a file of this layer or one below; what the entry says of owner and mode is not heard."""
        parts = components(entry.linkname)
        source = self._tree.find(b"/".join(parts[:-1])) if parts else None
        state = None if source is None else _state(source, parts[-1])
        # With the layers below it, the names of a layer that is unpacked apart may lead elsewhere.
        wrong = NeedsLower if self._whiteouts.alone else InvalidArchive
        if source is None or state is None:
            raise wrong("a hard link to what is not there", got=shown(entry.linkname))
        if stat.S_ISDIR(state.st_mode):
            raise wrong("a hard link to a directory", got=shown(entry.linkname))
        old = _state(directory, base)
        if old is not None:
            if (old.st_dev, old.st_ino) == (state.st_dev, state.st_ino):
                return
            if (source.path + b"/").startswith(joined(directory.path, base) + b"/"):
                raise wrong("a hard link in place of the directory it leads to", got=shown(entry.linkname))
            self._tree.clear(directory, base)
        # Without follow_symlinks=False a link to a symbolic link would become one to its target, wherever it is.
        os.link(parts[-1], base, src_dir_fd=source.fd, dst_dir_fd=directory.fd, follow_symlinks=False)

    def _fifo(self, entry: Entry, directory: Directory, base: bytes) -> None:
        if _state(directory, base) is not None:
            self._tree.clear(directory, base)
        make_node(directory, base, entry, self._metadata)

    def _device(self, entry: Entry, directory: Directory, base: bytes) -> None:
        check_device(entry)
        reason = "device nodes were not asked for, or may not be made"
        if self._devices:
            try:
                self._fifo(entry, directory, base)
                return
            except PermissionError:
                reason = "device nodes may not be made in this user namespace"
        self._regular(entry, directory, base)
        kind = "c" if entry.type == CHARACTER_DEVICE else "b"
        value = f"{kind} {entry.devmajor}:{entry.devminor}"
        self._metadata.tell(joined(directory.path, base), "device", value, reason)


def _state(directory: Directory, base: bytes) -> os.stat_result | None:
    try:
        return os.stat(base, dir_fd=directory.fd, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return None


def _is_empty(root: Root) -> bool:
    fd = root.open(b"", os.O_RDONLY)
    try:
        with os.scandir(fd) as found:
            return next(found, None) is None
    finally:
        os.close(fd)
