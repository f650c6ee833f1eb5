"""Mounting of overlayfs: layers laid over each other, at a mount point or in nobody's sight.

By the interface of descriptors (Linux 5.2, fsopen(2); one layer at a time since 6.7), so that 127 layers with long
paths can be said; where that is not there, by mount(2), whose options are one page: then layers are called by numbers.
"""

import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from puller.errors import Unsupported
from puller.rootfs import libc

_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 429, 430, 431, 432
_CLOEXEC: Final = 1
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_EMPTY_PATH: Final = 4  # MOVE_MOUNT_F_EMPTY_PATH
_AT_FDCWD: Final = (1 << 64) - 100
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8  # MOUNT_ATTR_* and MS_* alike
_SHOWN: Final = _RDONLY | _NOSUID | _NODEV
_PRIVATE: Final = _RDONLY | _NOSUID | _NODEV | _NOEXEC
_NO_FOLLOW: Final = 8  # UMOUNT_NOFOLLOW
_LONGEST: Final = 255  # bytes of one parameter
_TOO_OLD: Final = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP)
_LOOK: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_PAGE: Final = 4096


def detached(lowers: Sequence[Path], *, userxattr: bool = False) -> int:
    """A descriptor of the tree that `lowers` make, the nearest first: mounted nowhere, read-only, gone when it closes.

    Nothing in it runs, no device in it works. Raises Unsupported where the kernel refuses, with its reason.
    """
    with _refused("the layers cannot be laid over each other here"), ExitStack() as stack:
        return _made(stack, _said(stack, lowers), userxattr, _PRIVATE)


def mount(lowers: Sequence[Path], target: Path, *, userxattr: bool = False) -> None:
    """Mount `lowers`, the nearest first, at the directory `target`, read-only; no setuid bit and no device in it works,
    for others than root may reach it (THREATS F8).

    Raises Unsupported where the kernel refuses, with its reason.
    """
    with _refused(f"the layers cannot be mounted at {target}"), ExitStack() as stack:
        said = _said(stack, lowers)
        try:
            fd = _made(stack, said, userxattr, _SHOWN)
        except OSError as error:
            if error.errno not in _TOO_OLD:
                raise
            _mount_by_options(said, target, userxattr)
            return
        try:
            with _bytes(b"") as nothing, _bytes(os.fsencode(target)) as path:
                libc.syscall(_MOVE_MOUNT, fd, nothing, _AT_FDCWD, path, _EMPTY_PATH)
        finally:
            os.close(fd)


def unmount(target: Path) -> None:
    """Take away what is mounted at `target`. Raises Unsupported where nothing is, or it is in use."""
    with _refused(f"{target} cannot be unmounted"):
        libc.umount2(os.fsencode(target), _NO_FOLLOW)


def _said(stack: ExitStack, lowers: Sequence[Path]) -> list[tuple[Path, bytes]]:
    """The layers, each with a short name for it."""
    given = [*lowers, _nothing(stack)] if len(lowers) == 1 else lowers  # overlayfs wants two
    said = []
    for path in given:
        fd = os.open(path, _LOOK)
        stack.callback(os.close, fd)
        said.append((path, b"/proc/self/fd/%d" % fd))
    return said


def _nothing(stack: ExitStack) -> Path:
    """An empty directory that nobody else has, and that is there as long as somebody mounts it."""
    with _bytes(b"tmpfs") as kind:
        context = libc.syscall(_FSOPEN, kind, _CLOEXEC)
    stack.callback(os.close, context)
    libc.syscall(_FSCONFIG, context, _CREATE)
    fd = libc.syscall(_FSMOUNT, context, _CLOEXEC, _PRIVATE)
    stack.callback(os.close, fd)
    return Path(f"/proc/self/fd/{fd}")


def _made(stack: ExitStack, said: list[tuple[Path, bytes]], userxattr: bool, flags: int) -> int:
    with _bytes(b"overlay") as kind:
        context = libc.syscall(_FSOPEN, kind, _CLOEXEC)
    stack.callback(os.close, context)
    for path, short in said:
        full = os.fsencode(path)
        value = full if len(full) <= _LONGEST and b"\\" not in full else short
        _configure(context, _SET_STRING, b"lowerdir+", value)
    if userxattr:
        _configure(context, _SET_FLAG, b"userxattr", None)
    with _complained(context):
        libc.syscall(_FSCONFIG, context, _CREATE)
    return libc.syscall(_FSMOUNT, context, _CLOEXEC, flags)


def _configure(context: int, command: int, key: bytes, value: bytes | None) -> None:
    with _complained(context), _bytes(key) as name:
        if value is None:
            libc.syscall(_FSCONFIG, context, command, name)
            return
        with _bytes(value) as text:
            libc.syscall(_FSCONFIG, context, command, name, text)


def _mount_by_options(said: list[tuple[Path, bytes]], target: Path, userxattr: bool) -> None:
    text = b"lowerdir=" + b":".join(short for _, short in said) + (b",userxattr" if userxattr else b"")
    if len(text) >= _PAGE:
        raise OSError(errno.E2BIG, "too many layers for this kernel")
    libc.mount(b"overlay", os.fsencode(target), b"overlay", _SHOWN, text)


@contextmanager
def _bytes(value: bytes) -> Iterator[int]:
    """The address of a string of C."""
    buffer = ctypes.create_string_buffer(value)
    yield ctypes.addressof(buffer)


@contextmanager
def _complained(context: int) -> Iterator[None]:
    """Add what the kernel has to say about it to an error."""
    try:
        yield
    except OSError as error:
        with suppress(OSError):
            error.strerror = f"{error.strerror}; {os.read(context, _PAGE).decode(errors='replace').strip()}"
        raise


@contextmanager
def _refused(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unsupported(what, got=error.strerror or str(error)) from error
