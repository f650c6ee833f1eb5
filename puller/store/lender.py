"""StoreLender: an OCI image layout in a directory, a store of this program or of another, as a place to borrow from.

It belongs to somebody else, who may be writing to it, and may be somebody we should not trust: no lock is taken, no
file is made, no link is followed, and nothing but a regular file is opened to the end.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from puller.contracts.lending import Window
from puller.errors import ContentCorrupt, InvalidConfig, InvalidManifest
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import load_document
from puller.model.text import printable
from puller.store.failure import translated
from puller.store.founding import VERSION

_MARK = "oci-layout"
_MARK_LIMIT = 4096
# A pipe in a file's place is not waited for; a terminal there does not become ours.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = _FLAGS | os.O_DIRECTORY


class StoreLender:
    """A Lender. `root` is a descriptor of the directory, closed by `close`."""

    def __init__(self, name: str, root: int) -> None:
        self.name = name
        self._root = root

    @classmethod
    def open(cls, path: Path, name: str) -> Self:
        """The layout at `path`. Raises InvalidConfig for what is none, or cannot be read."""
        try:
            root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise InvalidConfig("the place cannot be read", where=name, got=error.strerror) from error
        try:
            _check(root, name)
        except BaseException:
            os.close(root)
            raise
        return cls(name, root)

    def close(self) -> None:
        """Nothing more is borrowed."""
        os.close(self._root)

    @contextmanager
    def lent(self, wanted: Descriptor) -> Iterator[Window | None]:
        """See Lender."""
        with translated():
            fd = self._opened(wanted.digest)
        if fd is None:
            yield None
            return
        try:
            yield Window(fd, 0, _size(fd, wanted))
        finally:
            os.close(fd)

    def _opened(self, digest: Digest) -> int | None:
        """The descriptor of what has the blob's name, whatever it is; None for nothing."""
        with ExitStack() as folders:
            place = self._root
            try:
                for name in ("blobs", digest.algorithm):
                    place = os.open(name, _FOLDER, dir_fd=place)
                    folders.callback(os.close, place)
                return os.open(digest.hex, _FLAGS, dir_fd=place)
            except FileNotFoundError:
                return None


def _size(fd: int, wanted: Descriptor) -> int:
    """The size of a blob's file. Another one than promised may be that of a blob which is just being written."""
    with translated():
        status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise ContentCorrupt("not a regular file", digest=wanted.digest)
    if wanted.size not in (None, status.st_size):
        raise ContentCorrupt("of another size", wanted=wanted.size, got=status.st_size, digest=wanted.digest)
    return status.st_size


def _check(root: int, name: str) -> None:
    """Raise InvalidConfig unless the directory says of itself that it is an image layout (image-layout.md)."""
    hint = "Name a directory with oci-layout and blobs/ in it, or an archive of images."
    try:
        raw = _read_mark(root)
        os.close(os.open("blobs", _FOLDER, dir_fd=root))
    except OSError as error:
        raise InvalidConfig("no OCI image layout there", where=name, got=error.strerror, hint=hint) from error
    try:
        version = load_document(raw, what=_MARK, limit=_MARK_LIMIT).get("imageLayoutVersion")
    except InvalidManifest as error:
        raise InvalidConfig("no OCI image layout there", where=name, got=error.what, hint=hint) from error
    if version != VERSION:
        got = printable(repr(version), limit=40)
        raise InvalidConfig("an OCI image layout of another version", where=name, wanted=VERSION, got=got)


def _read_mark(root: int) -> bytes:
    fd = os.open(_MARK, _FLAGS, dir_fd=root)
    try:
        return os.read(fd, _MARK_LIMIT + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)
