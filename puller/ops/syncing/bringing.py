"""Bringing: has the images of a sync carried to where they belong, and remembers what is there now."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import anyio

from puller.errors import (
    ContentCorrupt,
    ContentMissing,
    DigestMismatch,
    InvalidConfig,
    NotFound,
    PullerError,
    RateLimited,
    VerificationError,
)
from puller.mirror.known import Known, Tombstone, manner_text
from puller.mirror.state import State
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.sync import Carried, Item, Manner, Transfer
from puller.ops.syncing.burying import Undertaker
from puller.ops.syncing.carrier import Carrier
from puller.ops.syncing.pairs import Pair
from puller.ops.syncing.places import Places

# How many pulls a source (`host/repository`) still grants, as it has told; None: it has not.
Left: TypeAlias = Callable[[str], int | None]
AT_A_TIME = 3  # of the images of one registry whose pulls are counted: so many may not know of each other's


def untold(source: str) -> int | None:
    """Nobody knows how many pulls are left."""
    return None


@dataclass(slots=True)
class _Turn:
    """Whose turn it is to bring one digest to one place; `wanted` by so many."""

    lock: anyio.Lock
    wanted: int = 0


class Bringing:
    """Of one run. `now` gives seconds since the epoch."""

    def __init__(
        self,
        run: str,
        places: Places,
        carrier: Carrier,
        state: State,
        *,
        now: Callable[[], float],
        left: Left = untold,
    ) -> None:
        self._undertaker = Undertaker(run, places, state, now)
        self._places = places
        self._carrier = carrier
        self._state = state
        self._now = now
        self._left = left
        self._turns: dict[tuple[str, str], _Turn] = {}
        self._counted: dict[str, anyio.CapacityLimiter] = {}

    async def bring(self, item: Item, *, reserve: int) -> Item:
        """Have an image brought, and remember it; the item with what became of it, also where it failed."""
        transfer = item.transfer
        assert transfer is not None
        try:
            async with self._turn(transfer), self._granted(transfer, reserve):
                carried = await self._carried(transfer)
            item = replace(item, carried=carried)
            self._remember(item, carried.root, transfer.media_type, transfer.size, transfer.manner)
            self._state.release(item.target, item.name)
        except PullerError as error:
            return replace(item, error=error.facts())
        return _found(item)

    async def _carried(self, transfer: Transfer) -> Carried:
        self._check_backup(transfer)
        buried, warnings = await self._bury(transfer)
        try:
            carried = await self._carrier.carry(transfer)
        except DigestMismatch:
            there = await self._taken(transfer)
            if there is None:
                raise
            carried = await self._carried(replace(transfer, replaces=there))
            warnings = (*warnings, f"{transfer.tag} was free when it was asked after, and named {there} after that")
        if buried is not None and carried.root == buried.root:
            self._state.exhume(buried)  # the same was made of an index again
        return replace(carried, warnings=(*carried.warnings, *warnings))

    async def _taken(self, transfer: Transfer) -> str | None:
        """What a tag names that was said to name nothing; None where it is as it was said."""
        if transfer.replaces is not None or transfer.tag is None:
            return None
        target = await self._places.target(transfer.target)
        found = await target.named(transfer.tag)
        return None if found is None or str(found) == transfer.digest else str(found)

    def adopt(self, item: Item, descriptor: Descriptor, manner: Manner) -> None:
        """Remember what was there before anybody remembered it."""
        self._remember(item, item.there or str(descriptor.digest), descriptor.media_type, descriptor.size, manner)

    def looked(self, pair: Pair) -> None:
        """Remember when all tags of a pair were found to be there."""
        self._state.note_looked(pair.target, pair.selection, self._now())

    def _remember(self, item: Item, root: str, media_type: str, size: int | None, manner: Manner) -> None:
        names = item.target, item.name, item.source, item.tag, item.digest or root
        self._state.remember(Known(*names, media_type, size, root, manner_text(manner), self._now()))

    @asynccontextmanager
    async def _turn(self, transfer: Transfer) -> AsyncIterator[None]:
        """One after the other where several tags name one digest: what the first has brought is there for the next."""
        key = transfer.target, transfer.digest
        turn = self._turns.setdefault(key, _Turn(anyio.Lock()))
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                self._turns.pop(key, None)

    @asynccontextmanager
    async def _granted(self, transfer: Transfer, reserve: int) -> AsyncIterator[None]:
        """Begin only if the source grants more pulls than are to be left. Raises RateLimited."""
        if not reserve:
            yield
            return
        host = transfer.source.partition("/")[0]
        limiter = self._counted.setdefault(host, anyio.CapacityLimiter(AT_A_TIME))
        async with limiter:
            left = self._left(transfer.source)
            # Those that were just begun have not asked yet.
            if left is not None and left - (limiter.borrowed_tokens - 1) < max(reserve, 1):
                what = "left for a later run: fewer pulls are granted than are to be left"
                raise RateLimited(what, wanted=f"{reserve} in reserve", got=f"{left} left", host=host)
            yield

    def _check_backup(self, transfer: Transfer) -> None:
        """A tag that syncs bring is none to keep others under. Raises InvalidConfig."""
        backup = transfer.backup
        if (
            backup is not None
            and transfer.replaces is not None
            and self._state.known(transfer.target, backup) is not None
        ):
            what = "the backup of a tag would overwrite one that syncs bring"
            raise InvalidConfig(what, got=backup, reference=f"{transfer.target}:{transfer.tag}")

    async def _bury(self, transfer: Transfer) -> tuple[Tombstone | None, tuple[str, ...]]:
        """Keep what a tag names before something else does; a warning where that cannot be had any more."""
        root, name = transfer.replaces, transfer.tag
        # Of an index something else may be made, which its digest does not tell.
        stays = root == transfer.digest and not (transfer.manner.platforms and transfer.manner.index != "sparse")
        if root is None or name is None or stays:
            return None, ()
        try:
            return await self._undertaker.bury(transfer.target, name, Digest.parse(root), "overwritten"), ()
        except (NotFound, ContentMissing, ContentCorrupt, VerificationError) as error:
            return None, (f"what {name} named before cannot be brought back: {error.what}",)


def _found(item: Item) -> Item:
    """One that was brought again and is as it was, with all that refers to it, is unchanged."""
    carried = item.carried
    if carried is None or carried.brought or carried.mounted or carried.root != item.there:
        return item
    return replace(item, action="unchanged", why="as it was brought")
