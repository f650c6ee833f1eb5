"""Flat: layers unpacked into one plain directory, which exists when all of them are in it, and not before.

    PARENT/.NAME.puller-XXXXXXXX/{tree, layer-1, layer-1.jsonl, …}   in the making: mode 0700, under flock
    PARENT/NAME                                                      the tree
    PARENT/NAME.altered.jsonl                                        what it holds otherwise than its layers say, if any

The sidecar gets its name just before the tree does: a tree in sight is never without it. Should this process die in
between, the next one for the same directory removes it.
"""

import errno
import os
import secrets
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from puller.contracts.layers import LayerBlob, Staged, Told, Unpacked
from puller.errors import ContentCorrupt, InvalidConfig, StoreUnusable
from puller.rootfs.failure import translated
from puller.rootfs.gathering import NeedsLower
from puller.rootfs.job import Outcome, Unpacker
from puller.rootfs.libc import syncfs
from puller.rootfs.sibling import TREE, Target, look, same
from puller.rootfs.staging import SIDECAR, Staging
from puller.rootfs.vfs import Apart, found_root, merged

_SHOWN: Final = "shown.jsonl"
_BEFORE: Final = "before.jsonl"
_CHUNK: Final = 1 << 20


def _token() -> str:
    return secrets.token_hex(4)


@dataclass(frozen=True, slots=True)
class _Part(Staged):
    """One layer in its own directory `name`; `outcome` None: it cannot be unpacked apart."""

    name: str
    outcome: Outcome | None


class Flat:
    """A context manager that makes the directory `target`; leaving it without `commit` leaves nothing behind.

    `target` must not exist, or be an empty directory, which stays if all else fails; its parent must be there.
    `durable` False: nothing is synced. Entering raises InvalidConfig for a place that cannot be used.
    """

    def __init__(
        self, target: Path, unpacker: Unpacker, *, durable: bool = True, token: Callable[[], str] = _token
    ) -> None:
        self._path = target
        self._unpacker = unpacker
        self._durable = durable
        self._token = token
        self._lock = threading.Lock()
        self._count = 0
        self._merged: list[str] = []
        self._is_spoiled = False

    def __enter__(self) -> Self:
        self._target = Target(self._path)
        try:
            self._target.sweep()
            self._staging: Staging = self._target.make_sibling(self._token)
        except BaseException:
            self._target.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._target.remove_sibling(self._staging)
        finally:
            self._target.close()

    def unpack(self, layer: str, blob: LayerBlob, told: Told) -> Staged:
        """Unpack one layer where nobody sees it; several threads may do so at once. Raises as Unpacker does."""
        with self._lock:
            self._count += 1
            name = f"layer-{self._count}"
        try:
            self._staging.make(name)
            outcome = self._unpack(blob, told, into=name, part=name, alone=True)
        except NeedsLower:
            return _Part(layer, blob, name, None)
        except BaseException:
            self._remove(name)
            raise
        return _Part(layer, blob, name, outcome)

    def merge(self, staged: Staged, told: Told) -> Unpacked:
        """Put it onto what is there so far; `staged` is used up. Layers come in their order, the base first."""
        part = _own(staged)
        if self._is_spoiled:
            raise ContentCorrupt("a layer went bad while it was unpacked", hint="Try again.")
        self._is_spoiled = True
        outcome = self._placed(part, told)
        self._staging.remove(part.name)
        self._merged.append(part.name)
        self._is_spoiled = False
        return Unpacked(outcome.applied.entries, outcome.applied.size, outcome.altered, outcome.missing)

    def discard(self, staged: Staged) -> None:
        """Remove one that is not wanted. It is no error if it is gone already."""
        part = _own(staged)
        if part.name not in self._merged:
            self._remove(part.name)

    def commit(self) -> None:
        """Make the whole exist, in one rename. Raises StoreError, and then it does not."""
        if self._is_spoiled:
            raise ContentCorrupt("a layer went bad while it was unpacked", hint="Try again.")
        if not self._merged:
            self._staging.make(TREE)
            with self._staging.opened(TREE) as tree:
                found_root(tree, self._staging.path)
        is_altered = self._gather_sidecars()
        with translated(self._path):
            if self._durable:
                syncfs(self._staging.fd)
            self._show(is_altered)
            if self._durable:
                os.fsync(self._target.above)

    def _placed(self, part: _Part, told: Told) -> Outcome:
        if not self._merged and part.outcome is not None:
            self._staging.rename(part.name, TREE)
            return part.outcome
        if not self._merged:
            self._staging.make(TREE)
        with self._staging.opened(TREE) as tree:
            if not self._merged:
                found_root(tree, self._staging.path)
            return merged(
                self._staging, Apart(part.name, f"{part.name}.jsonl", part.outcome), tree,
                [self._staging.path / f"{name}.jsonl" for name in self._merged],
                lambda: self._unpack(part.blob, told, into=TREE, part=part.name, alone=False),
            )  # fmt: skip

    def _unpack(self, blob: LayerBlob, told: Told, *, into: str, part: str, alone: bool) -> Outcome:
        return self._staging.unpack(self._unpacker, blob, told, into=into, sidecar=f"{part}.jsonl", alone=alone)

    def _remove(self, name: str) -> None:
        self._staging.remove(name)
        self._staging.remove(f"{name}.jsonl")

    def _gather_sidecars(self) -> bool:
        """All sidecars as one, in order: what is said later wins. Whether anything is said."""
        with translated(self._staging.path):
            flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
            with os.fdopen(os.open(SIDECAR, flags, 0o600, dir_fd=self._staging.fd), "wb") as whole:
                for name in self._merged:
                    part = os.open(f"{name}.jsonl", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._staging.fd)
                    with os.fdopen(part, "rb") as lines:
                        while chunk := lines.read(_CHUNK):
                            whole.write(chunk)
                return whole.tell() > 0

    def _show(self, is_altered: bool) -> None:
        here, above, sidecar = self._staging.fd, self._target.above, self._target.sidecar
        try:
            self._target.check()
        except InvalidConfig as error:  # somebody was faster: the sidecar there is that of his tree
            raise StoreUnusable(error.what, where=error.where, hint="It was not so at first.") from error
        before = self._set_aside()
        try:
            if is_altered:
                # The other name stays behind: by it the next process knows whose sidecar it was (see sibling).
                os.link(SIDECAR, _SHOWN, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)
                os.rename(_SHOWN, sidecar, src_dir_fd=here, dst_dir_fd=above)
            # What it replaces can only be an empty directory: rename(2) refuses all else.
            os.rename(TREE, self._target.name, src_dir_fd=here, dst_dir_fd=above)
        except BaseException:
            if is_altered and same(look(above, sidecar), look(here, SIDECAR)):
                os.unlink(sidecar, dir_fd=above)
            if before and look(above, sidecar) is None:
                os.rename(_BEFORE, sidecar, src_dir_fd=here, dst_dir_fd=above)
            raise

    def _set_aside(self) -> bool:
        """Take away the sidecar of a tree that was here before; whether there was one."""
        here, above, sidecar = self._staging.fd, self._target.above, self._target.sidecar
        found = look(above, sidecar)
        if found is None:
            return False
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), sidecar)
        os.rename(sidecar, _BEFORE, src_dir_fd=above, dst_dir_fd=here)
        return True


def _own(staged: Staged) -> _Part:
    if not isinstance(staged, _Part):
        raise TypeError("this was not staged here")
    return staged
