"""Corrections: what sidecars say of a tree, found again by path, so that a file looks as its layers say.

Only what is altered takes memory: in trees that root unpacked next to nothing, else a few hundred bytes a path.
"""

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from puller.errors import ContentCorrupt
from puller.model.alteration import Alteration, What
from puller.rootfs.finding import Finding, Identity
from puller.rootfs.name import shown
from puller.rootfs.openat2 import open_stepwise
from puller.rootfs.sidecar import read_sidecar
from puller.stream.tarentry import BLOCK_DEVICE, CHARACTER_DEVICE, DIRECTORY, NO_RECORDS, REGULAR

ThingTold: TypeAlias = tuple[What, str]  # and the name of an attribute

_ROOT: Final = 0


class Corrections:
    """The alterations of the tree at `fd`, by path; of two about one thing the later holds, sidecar by sidecar.

    Raises ContentCorrupt for a damaged sidecar, OSError for one that cannot be read.
    """

    def __init__(self, fd: int, sidecars: Sequence[Path | int]) -> None:
        self._fd = fd
        self._told: dict[bytes, list[Alteration]] = {}
        self._files: dict[Identity, list[Alteration]] | None = None
        self._unable: set[int] = set()  # users who wrote a sidecar, and cannot give files away
        for source in sidecars:
            writer = source.lstat().st_uid if isinstance(source, Path) else os.fstat(source).st_uid
            if writer != _ROOT:
                self._unable.add(writer)
            for alteration in read_sidecar(source):
                if alteration.what != "entry":  # what was left out is at no path
                    self._told.setdefault(alteration.path, []).append(alteration)

    def __bool__(self) -> bool:
        """Whether there is anything to correct."""
        return bool(self._told or self._unable)

    def corrected(self, finding: Finding) -> Finding:
        """What stands there as its layers have it. Raises ContentCorrupt for a line that cannot be meant."""
        if finding.uid in self._unable:
            finding = finding._replace(uid=_ROOT, gid=_ROOT)  # unless a line says whose it is
        last = {kind_of(alteration): alteration for alteration in self.told_of(finding)}
        for alteration in last.values():
            try:
                finding = _ALTERED[alteration.what](finding, alteration.value)
            except ValueError as error:
                what = f"a line of a sidecar with an impossible {alteration.what}"
                raise ContentCorrupt(what, where=shown(finding.path), got=alteration.value) from error
        return finding

    def told_of(self, finding: Finding) -> Iterable[Alteration]:
        """All lines about it; a file with more names than one may have been told of by any of them."""
        if finding.type == DIRECTORY or finding.names == 1 or not self._told:
            return self._told.get(finding.path, ())
        if self._files is None:
            self._files = self._by_file()
        return self._files.get(finding.identity, ())

    def _by_file(self) -> dict[Identity, list[Alteration]]:
        found: dict[Identity, list[Alteration]] = {}
        for path, told in self._told.items():
            parent, _, base = path.rpartition(b"/")
            with suppress(FileNotFoundError, NotADirectoryError):  # gone, or replaced by a later layer
                fd = open_stepwise(self._fd, parent)
                try:
                    state = os.stat(base or b".", dir_fd=fd, follow_symlinks=False)
                finally:
                    os.close(fd)
                found.setdefault((state.st_dev, state.st_ino), []).extend(told)
        return found


def kind_of(alteration: Alteration) -> ThingTold:
    """What the line is about: of two about one thing at one path the later holds."""
    if alteration.what != "xattr":
        return alteration.what, ""
    name, has_value, rest = alteration.value.rpartition("=")
    return alteration.what, name if has_value else rest


def _with_owner(finding: Finding, value: str) -> Finding:
    uid, _, gid = value.partition(":")
    return finding._replace(uid=int(uid), gid=int(gid))


def _with_mode(finding: Finding, value: str) -> Finding:
    return finding._replace(mode=stat.S_IMODE(int(value, 8)))


def _with_mtime(finding: Finding, value: str) -> Finding:
    return finding._replace(mtime=int(value))


def _with_attribute(finding: Finding, value: str) -> Finding:
    name, has_value, content = value.rpartition("=")
    others = {key: other for key, other in finding.xattrs.items() if key != os.fsencode(name or content)}
    return finding._replace(xattrs={**others, os.fsencode(name): bytes.fromhex(content)} if has_value else others)


def _as_device(finding: Finding, value: str) -> Finding:
    """The device that an empty file stands for; a file with content came later. A device has no attributes."""
    if finding.type != REGULAR or finding.size or not value:
        return finding
    kind, _, numbers = value.partition(" ")
    major, _, minor = numbers.partition(":")
    return finding._replace(
        type=BLOCK_DEVICE if kind == "b" else CHARACTER_DEVICE, device=(int(major), int(minor)), xattrs=NO_RECORDS
    )


def _left_out(finding: Finding, value: str) -> Finding:
    return finding


_ALTERED: Final[dict[What, Callable[[Finding, str], Finding]]] = {
    "owner": _with_owner,
    "mode": _with_mode,
    "mtime": _with_mtime,
    "xattr": _with_attribute,
    "device": _as_device,
    "entry": _left_out,
}
