"""NaiveDiffer: tells any driver's layers apart by comparing whole trees, as moby's NaiveDiffDriver does."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from puller.contracts.layers import Differ, Driver, LayerBlob, Told, Unpacked
from puller.model.change import Change
from puller.rootfs.changes import compare, size
from puller.rootfs.failure import tree_error
from puller.rootfs.pack import pack_changes
from puller.rootfs.survey import Strata, Stratum


class NaiveDiffer:
    """A Differ over any Driver, by the directories that its trees are made of, so that nothing need be mounted.

    Raises what the driver raises, and as Survey does.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def changes(self, layer: str, parent: str | None) -> list[Change]:
        """What `layer` makes different; directories of which only the time differs are left out."""
        with self._shown(layer) as new, self._shown(parent) as old:
            return compare(old or None, new)

    def diff(self, layer: str, parent: str | None) -> Iterator[bytes]:
        """The same as a layer, the times of directories included. Both trees stay open until it ends."""
        with self._shown(layer) as new, self._shown(parent) as old:
            yield from pack_changes(new, compare(old or None, new, directory_times=True))

    def apply(self, layer: str, parent: str | None, blob: LayerBlob, told: Told) -> Unpacked:
        """Make `layer` from `parent` and a blob."""
        return self._driver.commit(self._driver.unpack(layer, blob, told), parent, told)

    def size(self, layer: str, parent: str | None) -> int:
        """Bytes of content in the files that are new or changed."""
        with self._shown(layer) as new, self._shown(parent) as old:
            return size(new, compare(old or None, new))

    @contextmanager
    def _shown(self, layer: str | None) -> Iterator[Strata]:
        """The tree of a layer, open; of None, no directory at all."""
        with ExitStack() as stack:
            strata = []
            for path, sidecars in [] if layer is None else self._driver.shown(layer):
                fd = _opened(path)
                stack.callback(os.close, fd)
                strata.append(Stratum(fd, sidecars))
            yield strata


def differ_for(driver: Driver) -> Differ:
    """The driver itself if it can tell its layers apart, else a naive differ around it: the one place to ask."""
    return driver if isinstance(driver, Differ) else NaiveDiffer(driver)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise tree_error(error, os.fsencode(path)) from error
