"""Kept: what stays in a store until a date though no name needs it, a file under `kept/` each.

It stands in the store itself, so whoever collects there keeps it, and knows nothing else of who wants it. A file is
named by the digest and holds the date, in whole seconds since the epoch. It is there, whole and on the disk, before the
name goes for whose sake it was written; who dies in between has kept what is named, which harms nobody.
"""

import math
from pathlib import Path
from typing import Final

from puller.model.digest import Digest
from puller.store.files import Files
from puller.store.layout import Layout, digest_named
from puller.store.locks import Locks
from puller.store.worker import Worker

_LONGEST: Final = 32  # bytes
_DOUBT: Final = 30 * 86_400  # seconds for which a file stays whose date is damaged, from when it was written


class Kept:
    """What is kept in one store."""

    def __init__(self, files: Files, layout: Layout, locks: Locks, worker: Worker, *, durable: bool) -> None:
        self._files = files
        self._layout = layout
        self._locks = locks
        self._worker = worker
        self._durable = durable

    async def keep(self, digest: Digest, until: float) -> None:
        """Keep `digest`, with all that it needs, until then; of two dates the later one counts."""
        async with self._locks.held(self._lock):
            await self._worker.run(self._keep, self._layout.keep(digest), math.ceil(until))

    async def digests(self) -> tuple[Digest, ...]:
        """All that is kept."""
        return await self._worker.run(self._digests)

    async def expire(self, now: float) -> None:
        """Keep no longer what was to be kept until before `now`."""
        async with self._locks.held(self._lock):
            await self._worker.run(self._expire, now)

    @property
    def _lock(self) -> Path:
        return self._layout.locks / "kept"

    def _keep(self, path: Path, until: int) -> None:
        known = self._until(path)
        content = b"%d\n" % (until if known is None else max(until, known))
        self._files.install(path, content, scratch=self._layout.scratch("kept"), durable=self._durable)

    def _digests(self) -> tuple[Digest, ...]:
        found = map(digest_named, self._files.names(self._layout.kept))
        return tuple(digest for digest in found if digest is not None)

    def _expire(self, now: float) -> None:
        for digest in self._digests():
            path = self._layout.keep(digest)
            until = self._until(path)
            if until is not None and until < now:
                self._files.remove(path)

    def _until(self, path: Path) -> int | None:
        """The date in a file; None where there is none."""
        status = self._files.look(path)
        text = None if status is None else self._files.contents(path, limit=_LONGEST)
        if status is None or text is None:
            return None
        is_date = len(text) < _LONGEST and text.strip().isdigit()
        return int(text) if is_date else math.ceil(status.st_mtime) + _DOUBT
