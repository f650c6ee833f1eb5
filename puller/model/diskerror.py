"""What the errno of a disk means, wherever it comes up. Each room adds what only it knows, at its own door."""

import errno
from collections.abc import Mapping
from typing import Final, TypeAlias

from puller.errors import NoSpace, PullerError, StoreBusy, StoreUnusable

# The kind of error, what has happened, and what the reader can do about it.
Meaning: TypeAlias = tuple[type[PullerError], str, str]

HANDLES: Final = "Raise the limit of open files (ulimit -n), or run fewer jobs at once."
DISK: Final = "The disk reports an error: see the kernel log."
SPACE: Final = "Free some space, or choose another directory."

_MEANING: Final[Mapping[int, Meaning]] = {
    errno.ENOSPC: (NoSpace, "no space left on the disk", SPACE),
    errno.EDQUOT: (NoSpace, "the disk quota is used up", SPACE),
    errno.EFBIG: (NoSpace, "the file system cannot hold a file of this size", SPACE),
    errno.EMFILE: (StoreBusy, "too many open files in this process", HANDLES),
    errno.ENFILE: (StoreBusy, "too many open files on this machine", HANDLES),
    errno.ENOMEM: (StoreBusy, "the machine is out of memory", "Run fewer jobs at once."),
    errno.EIO: (StoreUnusable, "the disk failed", DISK),
    errno.EROFS: (StoreUnusable, "the file system is read-only", ""),
    errno.EACCES: (StoreUnusable, "permission denied", ""),
    errno.EPERM: (StoreUnusable, "operation not permitted", ""),
    errno.ENOENT: (StoreUnusable, "a directory has vanished", "Somebody removed it while it was in use."),
    errno.ENOLCK: (StoreUnusable, "the file system has no locks", "Choose a local file system."),
}
_RIGHTS: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


def disk_error(
    error: OSError, *, where: object, own: Mapping[int, Meaning] | None = None, rights: str = ""
) -> PullerError:
    """The typed error for `error`, which came up at `where`.

    `own` are the meanings that a room has for itself; `rights` its advice where a permission is lacking.
    """
    code = error.errno or 0
    default: Meaning = (StoreUnusable, error.strerror or "the disk failed", "")
    kind, what, hint = (own or {}).get(code) or _MEANING.get(code, default)
    hint = hint or (rights if code in _RIGHTS else "")
    return kind(what, where=where, got=errno.errorcode.get(code), hint=hint)
