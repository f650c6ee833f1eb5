"""Applying: does what stands in a plan, as far as it still fits what is there."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from puller.errors import InvalidConfig, PullerError
from puller.mirror.known import manner_text
from puller.mirror.state import State
from puller.model.sync import Item, Transfer
from puller.ops.syncing.bringing import Bringing
from puller.ops.syncing.ledger import Ledger
from puller.ops.syncing.places import Places
from puller.ops.tasks import abreast

WIDTH = 64
# Takes a tag away as a run does it: with a tombstone, and only if it names what it is said to name.
Remove = Callable[[Item], Awaitable[Item]]


class Applying:
    """Of one run. First everything is brought, then pruned; where something failed, nothing is."""

    def __init__(self, bringing: Bringing, remove: Remove, places: Places, state: State, ledger: Ledger) -> None:
        self._bringing = bringing
        self._remove = remove
        self._places = places
        self._state = state
        self._ledger = ledger
        self._broken: set[str] = set()

    async def run(self, items: Sequence[Item]) -> None:
        """Do all of it; tags of which nothing was to become are left as they are."""
        await self._each([item for item in items if item.action in ("new", "changed")], self._bring)
        await self._each([item for item in items if item.action == "pruned"], self._prune)

    async def _each(self, items: Sequence[Item], work: Callable[[Item], Awaitable[Item]]) -> None:
        slots = self._ledger.room("", len(items))

        async def one(entry: tuple[int, Item]) -> None:
            position, item = entry
            try:
                done = await work(item)
            except PullerError as error:
                done = replace(item, error=error.facts())
            if done.error is not None and done.action != "pruned":
                self._broken.add(done.target)
            slots[position] = done
            self._ledger.tell(done)

        await abreast(enumerate(items), one, width=WIDTH)

    async def _bring(self, item: Item) -> Item:
        transfer = item.transfer
        assert transfer is not None  # the reader of plans sees to it
        if transfer.tag is not None:
            target = await self._places.target(transfer.target)
            found = await target.named(transfer.tag)
            there = None if found is None else str(found)
            if there is not None and there == self._brought(transfer, transfer.tag):
                return replace(item, action="unchanged", why="applied before", there=there, transfer=None)
            if there != transfer.replaces:
                raise _outdated(item, transfer.replaces, there)
        return await self._bringing.bring(item, reserve=0)

    def _brought(self, transfer: Transfer, name: str) -> str | None:
        """What the tag names if this very transfer was done before."""
        known = self._state.known(transfer.target, name)
        is_same = known is not None and (known.digest, known.source) == (transfer.digest, transfer.source)
        return known.root if known is not None and is_same and known.manner == manner_text(transfer.manner) else None

    async def _prune(self, item: Item) -> Item:
        if item.target in self._broken:
            return replace(item, action="kept", why="something of this place was not brought")
        known = self._state.known(item.target, item.name)
        if (known is None or known.root != item.there) and await self._is_named(item):
            # Brought back by undo, taken over by others, or of another state than that of the plan.
            return replace(item, action="kept", why="it is not of a sync's bringing any more")
        return await self._remove(item)

    async def _is_named(self, item: Item) -> bool:
        """Whether the target still has a tag of that name."""
        return await (await self._places.target(item.target)).named(item.name) is not None


def _outdated(item: Item, wanted: str | None, got: str | None) -> InvalidConfig:
    return InvalidConfig(  # of the plan: nothing was served that is not what it says
        "the plan does not fit any more: the tag was moved since",
        wanted=wanted or "no such tag",
        got=got or "no such tag",
        reference=f"{item.target}:{item.name}",
        hint="Make a new plan.",
    )
