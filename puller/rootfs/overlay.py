"""OverlayDriver: each layer is what it alone holds, in the form of overlayfs: usable as `lowerdir` as it is."""

import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from puller.contracts.layers import LayerBlob, Staged, Told, Unpacked, Unseatable
from puller.errors import StoreError
from puller.model.change import Change
from puller.rootfs import covered
from puller.rootfs.failure import translated
from puller.rootfs.inside import Root
from puller.rootfs.job import Outcome, Unpacker
from puller.rootfs.mount import detached
from puller.rootfs.naive import NaiveDiffer
from puller.rootfs.name import shown
from puller.rootfs.powers import Powers
from puller.rootfs.removal import remove
from puller.rootfs.restated import inherited
from puller.rootfs.seating import MARKS, Mark, seat
from puller.rootfs.shelf import Shelf
from puller.rootfs.shelved import APART, Clock, Shelved, StagedLayer, own, record_of
from puller.rootfs.sidecar import SidecarWriter
from puller.rootfs.staging import SIDECAR
from puller.rootfs.survey import Strata, Stratum

DIFF: Final = APART


class OverlayDriver(Shelved):
    """A Driver on a Shelf whose content is called `diff`, and a Differ: what a layer changes is what it holds.

    `powers` decide about the marks of opaque directories: `trusted.…` where they may be set, else `user.…`, for which
    the mount option `userxattr` is needed.
    """

    def __init__(self, shelf: Shelf, unpacker: Unpacker, powers: Powers, *, clock: Clock = time.monotonic) -> None:
        super().__init__(shelf, unpacker, clock=clock)
        self.mark: Mark = MARKS[0] if powers.trusted else MARKS[1]

    def unusable_because(self) -> str | None:
        """What the marks of overlayfs need and this place does not give; None where it is usable."""
        try:
            scratch = self._shelf.scratch()
            with translated(scratch):
                trial = Path(tempfile.mkdtemp(prefix="trial-", dir=scratch))
                try:
                    return _missing(trial, self.mark)
                finally:
                    above = os.open(scratch, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                    try:
                        remove(above, os.fsencode(trial.name))
                    finally:
                        os.close(above)
        except StoreError as error:
            return error.what

    def commit(self, staged: Staged, parent: str | None, told: Told) -> Unpacked:
        layer = own(staged)
        try:
            if layer.outcome is None:
                raise Unseatable("a layer that refers to files of the layers below it")
            unseated = self._seat(layer, layer.outcome, parent)
            if unseated:
                raise Unseatable("a layer that unpacks through a link of a layer below it", where=shown(unseated[0]))
            return self._commit(layer, layer.outcome, record_of(layer.outcome, parent, mark=self.mark))
        except BaseException:
            self.discard(layer)
            raise

    def _seat(self, layer: StagedLayer, outcome: Outcome, parent: str | None) -> tuple[bytes, ...]:
        """Set it on what shows below it; the paths where it cannot sit."""
        with ExitStack() as stack, translated(layer.staging.path):
            names = self._showing(parent)
            lowers = [Root(stack.enter_context(self._shelf.opened(name))) for name in names]
            upper = stack.enter_context(layer.staging.opened(DIFF))
            sidecars = dict(zip(lowers, map(self.sidecar, names), strict=True))
            taken: dict[bytes, Path] = {}

            def took_over(path: bytes, lower: Root) -> None:
                taken[path] = sidecars[lower]

            unseated = seat(Root(upper), lowers, outcome.applied, self.mark, told=took_over)
            _inherit(layer, taken)
            return unseated

    def shown(self, layer: str) -> list[tuple[Path, list[Path]]]:
        return [(self.path(name), [self.sidecar(name)]) for name in self._showing(layer)]

    @contextmanager
    def mounted(self, layer: str) -> Iterator[Path]:
        """The tree has no place of its own: the path leads through a descriptor of this process, and is a link."""
        lowers = self.lower(layer)
        fd = detached(lowers, userxattr=self.needs_userxattr(layer))
        try:
            yield Path(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)

    def needs_userxattr(self, layer: str) -> bool:
        return any(record.mark == MARKS[1] for _, record in self._shelf.chain(layer))

    def changes(self, layer: str, parent: str | None) -> list[Change]:
        if parent != self.parent(layer):
            return NaiveDiffer(self).changes(layer, parent)
        with self._strata(layer) as strata, self._strata(parent) as below:
            return covered.changes(strata[0], below, is_root_opaque=self.record(layer).opaque)

    def diff(self, layer: str, parent: str | None) -> Iterator[bytes]:
        if parent != self.parent(layer):
            yield from NaiveDiffer(self).diff(layer, parent)
            return
        with self._strata(layer) as strata:
            yield from covered.pack(strata[0], is_root_opaque=self.record(layer).opaque)

    def apply(self, layer: str, parent: str | None, blob: LayerBlob, told: Told) -> Unpacked:
        return self.commit(self.unpack(layer, blob, told), parent, told)

    def size(self, layer: str, parent: str | None) -> int:
        if parent != self.parent(layer):
            return NaiveDiffer(self).size(layer, parent)
        with self._strata(layer) as strata, self._strata(parent) as below:
            return covered.size(strata[0], below, is_root_opaque=self.record(layer).opaque)

    def _showing(self, layer: str | None) -> list[str]:
        """The layer and those below it, down to one that hides all below itself."""
        found = []
        for name, record in [] if layer is None else self._shelf.chain(layer):
            found.append(name)
            if record.opaque:
                break
        return found

    def _opened(self, stack: ExitStack, layer: str | None) -> list[int]:
        return [stack.enter_context(self._shelf.opened(name)) for name in self._showing(layer)]

    @contextmanager
    def _strata(self, layer: str | None) -> Iterator[Strata]:
        with ExitStack() as stack:
            names = self._showing(layer)
            fds = self._opened(stack, layer)
            yield [Stratum(fd, [self.sidecar(name)]) for fd, name in zip(fds, names, strict=True)]


def _inherit(layer: StagedLayer, directories: Mapping[bytes, Path]) -> None:
    """What was said of directories that the layer took over from those below is said of them here, too."""
    lines = list(inherited(directories))
    if lines:
        with layer.staging.appending(SIDECAR) as own_sidecar:
            writer = SidecarWriter(own_sidecar)
            for line in lines:
                writer.add(line)
            writer.finish()


def _missing(trial: Path, mark: Mark) -> str | None:
    """Make one of each of what the driver makes, in an empty directory."""
    try:
        os.mknod(trial / "cover", stat.S_IFCHR, 0)
        if (trial / "cover").lstat().st_rdev:
            return "marks of whiteouts come out as something else"
    except OSError as error:
        return f"marks of whiteouts cannot be made ({error.strerror})"
    try:
        os.setxattr(trial, mark, b"y")
    except OSError as error:
        return f"the file system does not keep {mark} ({error.strerror})"
    try:
        (trial / "link").hardlink_to(trial / "cover")
    except OSError as error:
        return f"the file system has no hard links ({error.strerror})"
    return None
