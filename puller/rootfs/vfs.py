"""VfsDriver: each layer is the whole tree up to it, in a directory of its own. It works anywhere, and takes room."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from puller.contracts.layers import LayerBlob, Staged, Told, Unpacked
from puller.rootfs.copying import copy_tree
from puller.rootfs.failure import translated
from puller.rootfs.inside import Root
from puller.rootfs.job import Outcome
from puller.rootfs.merge import Unmergeable, merge
from puller.rootfs.restated import restated
from puller.rootfs.shelved import APART, Clock, Shelved, StagedLayer, own, record_of
from puller.rootfs.sidecar import SidecarWriter
from puller.rootfs.staging import SIDECAR, Staging

TREE: Final = "tree"
_EVERY: Final = 0.1  # seconds between two words to whoever waits


@dataclass(frozen=True, slots=True)
class Apart:
    """A layer that was unpacked apart, in a staging directory: its directory and sidecar there. `outcome` None: it
    cannot stand apart, and nothing is there yet.
    """

    name: str
    sidecar: str
    outcome: Outcome | None


class VfsDriver(Shelved):
    """A Driver on a Shelf whose content is called `tree`. How it differs from others is told by NaiveDiffer."""

    def commit(self, staged: Staged, parent: str | None, told: Told) -> Unpacked:
        layer = own(staged)
        try:
            outcome = self._placed(layer, parent, told)
            layer.staging.remove(APART)
            return self._commit(layer, outcome, record_of(outcome, parent))
        except BaseException:
            self.discard(layer)
            raise

    @contextmanager
    def mounted(self, layer: str) -> Iterator[Path]:
        yield self.path(layer)

    def _placed(self, layer: StagedLayer, parent: str | None, told: Told) -> Outcome:
        """The whole tree in the staging directory, whichever way it can be had."""
        staging = layer.staging
        if parent is None and layer.outcome is not None:
            staging.rename(APART, TREE)
            return layer.outcome
        staging.make(TREE)
        with staging.opened(TREE) as tree:
            if parent is None:
                found_root(tree, staging.path)
            else:
                with self._shelf.opened(parent) as source, translated(staging.path):
                    copy_tree(Root(source), Root(tree), _ticking(told, layer.blob, self._clock))
            below = [] if parent is None else self.sidecars(parent)
            return merged(staging, Apart(APART, SIDECAR, layer.outcome), tree, below, lambda: self._again(layer, told))

    def _again(self, layer: StagedLayer, told: Told) -> Outcome:
        return layer.staging.unpack(self._unpacker, layer.blob, told, into=TREE, alone=False)


def merged(
    staging: Staging,
    apart: Apart,
    tree: int,
    below: Sequence[Path],
    again: Callable[[], Outcome],
) -> Outcome:
    """Move what was unpacked apart onto the open `tree`; where that cannot be, unpack it there: `again`.

    `below` are the sidecars of what `tree` holds, the lowest first: what they say of files that are replaced is
    unsaid in the sidecar of this layer.
    """
    outcome = apart.outcome
    if outcome is None:
        return again()
    try:
        with staging.opened(apart.name) as upper, staging.appending(apart.sidecar) as own, translated(staging.path):
            lines = list(restated(upper, [own], below, outcome.applied.without_entry))
            merge(Root(tree), Root(upper), outcome.applied)
            writer = SidecarWriter(own)
            for line in lines:
                writer.add(line)
            writer.finish()
    except Unmergeable:
        return again()
    return outcome


def found_root(tree: int, where: Path) -> None:
    """Let an empty directory look like a root that no layer speaks of."""
    with translated(where):
        os.fchmod(tree, 0o755)
        os.utime(tree, ns=(0, 0))


def _ticking(told: Told, blob: LayerBlob, clock: Clock) -> Callable[[], None]:
    """Tells, now and then, that all of the blob was read."""
    size = os.fstat(blob.fd).st_size - blob.start if blob.size is None else blob.size
    silent_until = 0.0

    def tick() -> None:
        nonlocal silent_until
        now = clock()
        if now >= silent_until:
            silent_until = now + _EVERY
            told(size)

    return tick
