"""Sweep: what dead processes left on disk. Nothing is removed whose lock somebody holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from puller.model.digest import HEX_LENGTH, Digest
from puller.store.files import Files
from puller.store.layout import Layout, digest_named
from puller.store.locks import try_lock
from puller.store.part import remove_ingest


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed, or would be.

    Unfinished blobs and their bytes, facts without a blob, locks that nobody held, and damaged blobs that had been set
    aside, with their bytes.
    """

    ingests: int = 0
    size: int = 0
    facts: int = 0
    locks: int = 0
    quarantined: int = 0
    quarantined_size: int = 0


def sweep(files: Files, layout: Layout, before: float, *, dry_run: bool = False) -> Swept:
    """Remove what nobody uses, or with `dry_run` count it. Blocking.

    Unfinished blobs go when they were last touched `before` (seconds since the epoch), or when the blob is here all the
    same; damaged ones when they were set aside before it. Leases of the dead are not counted here: reading the leases
    removes them.
    """
    sweeper = _Sweeper(files, layout, before, dry_run=dry_run)
    gone = [size for name in files.names(layout.ingests) if (size := sweeper.ingest(name)) is not None]
    facts = [
        name
        for algorithm in HEX_LENGTH
        for name in files.names(layout.facts(algorithm))
        if sweeper.fact(algorithm, name)
    ]
    aside = [size for name in files.names(layout.quarantine) if (size := sweeper.quarantined(name)) is not None]
    # Last, since the steps above make lock files.
    locks = [name for name in files.names(layout.locks) if sweeper.lock(name)]
    return Swept(len(gone), sum(gone), len(facts), len(locks), len(aside), sum(aside))


class _Sweeper:
    def __init__(self, files: Files, layout: Layout, before: float, *, dry_run: bool) -> None:
        self._files = files
        self._layout = layout
        self._before = before
        self._dry_run = dry_run

    def ingest(self, name: str) -> int | None:
        """The bytes freed; None where it stays."""
        digest = digest_named(name)
        if digest is None:
            return self._scratch(name)
        with self._free(self._layout.lock(digest)) as free:
            return self._unfinished(digest) if free else None

    def _unfinished(self, digest: Digest) -> int | None:
        directory = self._layout.ingest(digest)
        paths = [directory, *(directory / name for name in self._files.names(directory))]
        states = [state for path in paths if (state := self._files.look(path)) is not None]
        if not self._has_blob(digest) and any(state.st_mtime >= self._before for state in states):
            return None
        if not self._dry_run:
            remove_ingest(self._files, self._layout, digest)
        return sum(state.st_size for state in states[1:])

    def _scratch(self, name: str) -> int | None:
        """A small file that was never renamed."""
        lock = self._layout.scratch_lock(name)
        return None if lock is None else self._aged(self._layout.ingests / name, lock)

    def quarantined(self, name: str) -> int | None:
        """The bytes of a damaged blob that was set aside long ago; None where it stays."""
        digest = digest_named(name)
        return None if digest is None else self._aged(self._layout.quarantined(digest), self._layout.lock(digest))

    def _aged(self, path: Path, lock: Path) -> int | None:
        with self._free(lock) as free:
            status = self._files.look(path)
            if not free or status is None or status.st_mtime >= self._before or self._files.is_directory(path):
                return None
            return status.st_size if self._remove(path) else None

    def _remove(self, path: Path) -> bool:
        return self._dry_run or self._files.remove(path)

    def fact(self, algorithm: str, name: str) -> bool:
        """Whether facts had no blob, and are gone."""
        digest = digest_named(f"{algorithm}-{name.removesuffix('.json')}")
        if digest is None or self._has_blob(digest):
            return False
        with self._free(self._layout.lock(digest)) as free:
            return free and not self._has_blob(digest) and self._remove(self._layout.fact(digest))

    def lock(self, name: str) -> bool:
        """Whether a lock file was free, and is gone: unlinked under its own lock, as locks.py asks for."""
        path = self._layout.locks / name
        if path == self._layout.probe:
            return False
        with self._free(path) as free:
            return free and self._remove(path)

    def _has_blob(self, digest: Digest) -> bool:
        return self._files.look(self._layout.blob(digest)) is not None

    @contextmanager
    def _free(self, lock: Path) -> Iterator[bool]:
        fd = try_lock(self._files, lock)
        try:
            yield fd is not None
        finally:
            if fd is not None:
                self._files.close(fd)
