"""Owner, mode, times and attributes, set on open files. What may not be set is told, never silently lost.

The order is that of the kernel's own side effects: a change of owner clears setuid and file capabilities, so it comes
first; the mode opens the file to others, so it comes late; anything changes times, so they come last.
"""

import errno
import os
import stat
from collections.abc import Mapping
from typing import Final

from puller.errors import LimitExceeded
from puller.model.alteration import Alteration, Report, What, unreported
from puller.rootfs.idmap import SAME, IdMap
from puller.rootfs.limits import Limits
from puller.rootfs.name import joined, shown
from puller.rootfs.powers import Powers
from puller.rootfs.xattr import refusal
from puller.stream.tarentry import Entry

# What ext4 can hold, in nanoseconds since 1970 (1901 to 2446). Other file systems hold more, but then the same layer
# would give different trees, and few programs can show such times (THREATS E12).
EARLIEST: Final = -(2**31) * 10**9
LATEST: Final = (2**34 - 2**31 - 1) * 10**9

_MODE: Final = 0o7777
_SETID: Final = stat.S_ISUID | stat.S_ISGID
_UNMAPPED: Final = (errno.EINVAL, errno.EOVERFLOW)
_NO_ROOM_OR_KIND: Final = (errno.ENOTSUP, errno.EPERM, errno.ENOSPC, errno.E2BIG, errno.ERANGE)


class Metadata:
    """Sets what entries say of files, as far as `powers` go; the rest goes to `report`.

    `keep_setuid` None: kept where owners are, for a setuid file of the wrong owner would be a trap. Methods raise
    OSError, LimitExceeded for attributes, Unsupported for owners outside the maps.
    """

    def __init__(
        self,
        powers: Powers,
        *,
        uids: IdMap = SAME,
        gids: IdMap = SAME,
        keep_setuid: bool | None = None,
        limits: Limits | None = None,
        report: Report = unreported,
    ) -> None:
        self.powers = powers
        self._owners = powers.owners
        self._uids = uids
        self._gids = gids
        self._keep_setuid = powers.owners if keep_setuid is None else keep_setuid
        self._limits = limits or Limits()
        self._report = report

    def file(self, fd: int, entry: Entry, parent: bytes, base: bytes) -> None:
        """A regular file that was just made and is open at `fd`. Without owners its own user can read it."""
        if self._owners:
            try:
                os.fchown(fd, self._uids[entry.uid], self._gids[entry.gid])
            except OSError as error:
                self._unowned(error, entry, joined(parent, base))
        elif entry.uid or entry.gid:
            self._unowned(None, entry, joined(parent, base))
        if entry.xattrs:
            self._attributes(fd, entry.xattrs, joined(parent, base))
        mode = entry.mode & _MODE
        if mode & _SETID:
            mode = self.mode(entry, joined(parent, base))
        if not self._owners and not mode & stat.S_IRUSR:
            self.tell(joined(parent, base), "mode", f"{entry.mode & _MODE:#o}", "its user must be able to read it")
            mode |= stat.S_IRUSR
        os.fchmod(fd, mode)
        mtime = entry.mtime
        if not EARLIEST <= mtime <= LATEST:
            mtime = self._clamped(mtime, joined(parent, base))
        os.utime(fd, ns=(mtime, mtime))

    def node(self, directory: int, entry: Entry, parent: bytes, base: bytes) -> None:
        """A symbolic link, or a node that must not be opened, by its name in the open `directory`; but for its mode."""
        path = joined(parent, base)
        if self._owners:
            try:
                uid, gid = self._uids[entry.uid], self._gids[entry.gid]
                os.chown(base, uid, gid, dir_fd=directory, follow_symlinks=False)
            except OSError as error:
                self._unowned(error, entry, path)
        elif entry.uid or entry.gid:
            self._unowned(None, entry, path)
        for name, value in entry.xattrs.items():
            self._left_out(path, name, value, "only files and directories have attributes")
        mtime = self._clamped(entry.mtime, path)
        os.utime(base, ns=(mtime, mtime), dir_fd=directory, follow_symlinks=False)

    def directory(self, fd: int, entry: Entry, path: bytes) -> None:
        """A directory open for reading at `fd`. Without owners its own user keeps access, or nobody could remove it."""
        if self._owners:
            try:
                os.fchown(fd, self._uids[entry.uid], self._gids[entry.gid])
            except OSError as error:
                self._unowned(error, entry, path)
        elif entry.uid or entry.gid:
            self._unowned(None, entry, path)
        self._attributes(fd, entry.xattrs, path)
        mode = entry.mode & _MODE
        if not self._owners and mode & stat.S_IRWXU != stat.S_IRWXU:
            self.tell(path, "mode", f"{mode:#o}", "its user must be able to remove it")
            mode |= stat.S_IRWXU
        os.fchmod(fd, mode)
        mtime = self._clamped(entry.mtime, path)
        os.utime(fd, ns=(mtime, mtime))

    def mode(self, entry: Entry, path: bytes) -> int:
        """The mode that the entry of a file or node gets."""
        mode = entry.mode & _MODE
        if mode & _SETID and not self._keep_setuid:
            self.tell(path, "mode", f"{mode:#o}", "setuid is not kept without owners")
            mode &= ~_SETID
        return mode

    def _attributes(self, fd: int, xattrs: Mapping[bytes, bytes], path: bytes) -> None:
        """Set those that may be set."""
        if len(xattrs) > self._limits.xattrs:
            raise LimitExceeded("too many extended attributes", where=shown(path), wanted=self._limits.xattrs)
        for name, value in xattrs.items():
            if len(value) > self._limits.xattr_size:
                raise LimitExceeded("extended attribute too large", where=shown(path), got=len(value))
            reason = refusal(name, self.powers)
            if reason is None:
                try:
                    os.setxattr(fd, name, value)
                    continue
                except OSError as error:
                    # Disks have little room for attributes; one that is truly full fails the next write.
                    if error.errno not in _NO_ROOM_OR_KIND:
                        raise
                    reason = f"the file system refuses it ({error.strerror})"
            self._left_out(path, name, value, reason)

    def clear_attributes(self, fd: int) -> None:
        """Remove what an earlier layer set, so that the entry of this one is the whole truth."""
        for name in os.listxattr(fd):
            if refusal(os.fsencode(name), self.powers) is None:
                os.removexattr(fd, name)

    def tell(self, path: bytes, what: What, value: str, reason: str) -> None:
        """Report what is not as the layer says."""
        self._report(Alteration(path, what, value, reason))

    def _left_out(self, path: bytes, name: bytes, value: bytes, reason: str) -> None:
        self.tell(path, "xattr", f"{name.decode(errors='surrogateescape')}={value.hex()}", reason)

    def _unowned(self, error: OSError | None, entry: Entry, path: bytes) -> None:
        if error is not None and error.errno not in _UNMAPPED:
            raise error
        reason = "needs the right to give files away" if error is None else "no such owner in this user namespace"
        self.tell(path, "owner", f"{entry.uid}:{entry.gid}", reason)

    def _clamped(self, mtime: int, path: bytes) -> int:
        if EARLIEST <= mtime <= LATEST:
            return mtime
        self.tell(path, "mtime", str(mtime), "file systems do not hold such a time")
        return min(max(mtime, EARLIEST), LATEST)
