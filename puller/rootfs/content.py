"""The content of files that a survey found: read by the directory they were found in, or not at all."""

import os
import stat
from collections.abc import Generator
from contextlib import closing
from typing import Final

from puller.errors import StoreUnusable
from puller.rootfs.failure import tree_error
from puller.rootfs.finding import Finding
from puller.rootfs.name import shown

_CHUNK: Final = 1 << 20
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # were it a FIFO now, nothing would block
_HINT: Final = "Somebody writes to the tree: nothing may, while it is read."


def content(finding: Finding) -> Generator[bytes]:
    """The bytes of a regular file, `finding.size` of them, in chunks of up to 1 MiB; before the walk takes a step.

    Raises StoreUnusable where it is another file by now, or longer or shorter, and as tree_error does.
    """
    try:
        fd = os.open(finding.name, _OPEN, dir_fd=finding.parent)
        try:
            yield from _read(fd, finding)
        finally:
            os.close(fd)
    except OSError as error:
        raise tree_error(error, finding.path) from error


def _read(fd: int, finding: Finding) -> Generator[bytes]:
    state = os.fstat(fd)
    if (state.st_dev, state.st_ino) != finding.identity or not stat.S_ISREG(state.st_mode):
        raise StoreUnusable("a file was replaced while its tree was read", where=shown(finding.path), hint=_HINT)
    left = finding.size
    while left:
        chunk = os.read(fd, min(left, _CHUNK))
        if not chunk:
            break
        left -= len(chunk)
        yield chunk
    if left or os.read(fd, 1):
        what = "a file became shorter while it was read" if left else "a file became longer while it was read"
        raise StoreUnusable(what, where=shown(finding.path), wanted=f"{finding.size} bytes", hint=_HINT)


def same_content(one: Finding, other: Finding) -> bool:
    """Whether two regular files of one size hold the same bytes."""
    if one.identity == other.identity:
        return True
    with closing(content(one)) as lefts, closing(content(other)) as rights:
        return all(left == right for left, right in zip(lefts, rights, strict=True))
