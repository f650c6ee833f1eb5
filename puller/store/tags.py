"""Tags: `index.json`, the names of a store, moved by replacing the whole file under a lock.

A name is the full canonical reference in `org.opencontainers.image.ref.name` (image-layout.md, "index.json File").
Entries and keys that other tools wrote are kept as they are.

Names that are set at the same time are written together: whoever has the lock first writes for all who wait for it, and
each of them goes on when the file that has its name is on the disk.
"""

import os
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import anyio
from anyio import CancelScope

from puller.errors import ContentCorrupt, InvalidManifest, PullerError, StoreBusy
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.store.files import Files
from puller.store.layout import Layout
from puller.store.listing import LIMIT, Document, Listing
from puller.store.locks import Locks
from puller.store.worker import Worker

_HINT = (
    "The blobs are not touched. Put index.json back from a copy, "
    "or replace it by an empty one and pull again: nothing that is here is fetched twice."
)
# A file that has changed within so many seconds may change again without looking different: clocks of file systems tick
# every few milliseconds, on old ones every two seconds.
_TICK: Final = 2.5

_Change: TypeAlias = Callable[[Listing], object]  # whether there is something to write
_Stamp: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the file held last, as bytes and taken apart. `stamp`: how it looked, if it would look different after any
    change; `is_ours`: it was written by us a moment ago, and may not be different in looks after what others do.
    """

    raw: bytes
    listing: Listing
    stamp: _Stamp | None
    is_ours: bool = False


@dataclass(slots=True, eq=False)
class _Asked:
    """A change that somebody waits for; `finished` when it is on the disk, or has failed with `error`."""

    change: _Change
    error: PullerError | None = None
    finished: anyio.Event = field(default_factory=anyio.Event)


class Tags:
    """The names of one store. Every reader sees the old or the new index, whole. `clock`: seconds since the epoch."""

    def __init__(
        self,
        files: Files,
        layout: Layout,
        locks: Locks,
        worker: Worker,
        *,
        durable: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files = files
        self._layout = layout
        self._locks = locks
        self._worker = worker
        self._durable = durable
        self._clock = clock
        self._known: _Known | None = None
        self._newest: tuple[bytes, Listing] | None = None  # what we have written last, or are about to
        self._reading = anyio.Lock(fast_acquire=True)  # what others have changed is taken apart once
        self._turn = anyio.Lock()
        self._asked: list[_Asked] = []

    async def entries(self) -> tuple[Descriptor, ...]:
        """Every entry that can be read, nameless ones included. Raises ContentCorrupt for an index that cannot."""
        return (await self.all())[0]

    async def all(self) -> tuple[tuple[Descriptor, ...], tuple[Document, ...]]:
        """As `entries`, and those that cannot be read (another tool's digest algorithm, say), as they are."""
        return await self._worker.run((await self._load()).all)

    async def about(self, names: Sequence[str], digest: Digest | None = None) -> tuple[Descriptor, ...]:
        """Of the entries those that have one of `names`, or `digest`: a look at a table."""
        return (await self._load()).about(names, digest)

    async def named(self, name: str) -> Descriptor | None:
        """The entry that has this name; of several the first."""
        return (await self._load()).named(name)

    async def put(self, entry: Descriptor) -> None:
        """Add `entry`, which bears its name, in the place of all others of that name."""
        await self._change(lambda listing: listing.put(entry))

    async def list(self, entry: Descriptor) -> None:
        """Add `entry`, which bears no name, unless its content is listed already."""
        await self._change(lambda listing: listing.list(entry))

    async def take(self, names: Sequence[str]) -> Descriptor:
        """Remove the first of `names` that is there; what it named. Raises ContentMissing."""
        found: dict[str, Descriptor] = {}

        def change(listing: Listing) -> bool:
            found["it"] = listing.take(names)
            return True

        await self._change(change)
        return found["it"]

    async def drop(self, name: str, expected: Digest) -> None:
        """Remove `name` and nothing else; it is no error if it is gone. Raises DigestMismatch for another content."""
        await self._change(lambda listing: listing.drop(name, expected))

    # --- inside: writing ---

    async def _change(self, change: _Change) -> None:
        asked = _Asked(change)
        self._asked.append(asked)
        try:
            async with self._turn:
                if not asked.finished.is_set():
                    await self._write_together()
        finally:
            if asked in self._asked:
                self._asked.remove(asked)  # nobody has begun with it
            else:
                # Whoever is cancelled goes when this is over: until then his lease keeps what is being named.
                with CancelScope(shield=True):
                    await asked.finished.wait()
        if asked.error is not None:
            raise asked.error

    async def _write_together(self) -> None:
        """Make all changes that are asked for by now; what fails fails for each of them."""
        async with self._locks.held(self._layout.locks / "index"):
            with CancelScope(shield=True):
                batch, self._asked = self._asked, []
                try:
                    await self._worker.run(self._write, batch)
                except PullerError as error:
                    for asked in batch:
                        asked.error = asked.error or _own(error)
                except BaseException:
                    interrupted = StoreBusy("whoever wrote the names of all was interrupted", hint="Try again.")
                    for asked in batch:
                        asked.error = asked.error or _own(interrupted)
                    raise
                finally:
                    for asked in batch:
                        asked.finished.set()

    def _write(self, batch: Sequence[_Asked]) -> None:
        listing = self._current(sure=True).copy()
        is_new = False
        for asked in batch:
            try:
                is_new = bool(asked.change(listing)) or is_new
            except PullerError as error:
                asked.error = error
        if not is_new:
            return
        content = listing.encode()
        self._newest = content, listing  # readers may see the file before we are done with it
        status = self._files.install(
            self._layout.index,
            content,
            scratch=self._layout.scratch("index.json"),
            durable=self._durable,
            mode=0o644,
        )
        self._known = _Known(content, listing, _stamp(status), is_ours=True)

    # --- inside: reading ---

    async def _load(self) -> Listing:
        """The file as it is now. Nobody changes what this gives."""
        async with self._reading:
            return await self._worker.run(self._current)

    def _current(self, *, sure: bool = False) -> Listing:
        """The file as it is now, read only if it may have changed. `sure`: what is written next is built on it, and no
        name of anybody must get lost.
        """
        known, now = self._known, self._clock()
        status = self._files.look(self._layout.index)
        if status is None:
            raise ContentCorrupt("the store's index.json is gone", where=self._layout.index, hint=_HINT)
        stamp, is_settled = _stamp(status), now - status.st_ctime - _TICK >= 0
        is_known = known is not None and known.stamp == stamp
        if known is not None and is_known and (not known.is_ours or not (sure or is_settled)):
            return known.listing
        raw = self._files.contents(self._layout.index, limit=LIMIT)
        if raw is None:
            raise ContentCorrupt("the store's index.json is gone", where=self._layout.index, hint=_HINT)
        newest = self._newest
        if known is not None and known.raw == raw:
            listing = known.listing
        elif newest is not None and newest[0] == raw:
            (raw, listing), is_known = newest, False
        else:
            listing, is_known = self._read(raw), False
        # Ours still, and as fresh as it was.
        is_ours = is_known and not is_settled
        self._known = _Known(raw, listing, stamp if is_settled or is_ours else None, is_ours=is_ours)
        return listing

    def _read(self, raw: bytes) -> Listing:
        try:
            return Listing.read(raw)
        except InvalidManifest as error:
            raise ContentCorrupt(
                "the store's index.json is damaged", where=self._layout.index, got=str(error), hint=_HINT
            ) from error


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _own(error: PullerError) -> PullerError:
    """The same error for one more task: each adds to it what it knows."""
    own = copy(error)
    own.__cause__ = error
    return own
