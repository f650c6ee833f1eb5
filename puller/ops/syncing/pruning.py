"""Pruning: tells which tags of a place go, and takes them away, so that undo can bring them back.

Only tags go that this state's syncs have brought from a repository that still stands in the configuration, with `prune`
in every entry that brings it there. What others have put at a place is not touched.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol, runtime_checkable

from puller.contracts.images import TagKeeper
from puller.errors import DigestMismatch, PullerError, Unauthorized, Unsupported
from puller.mirror.config import Prune
from puller.mirror.known import Known
from puller.mirror.pruning import judge, strictest
from puller.mirror.state import State
from puller.model.digest import Digest
from puller.model.reference import is_tag
from puller.model.referrer import is_companion
from puller.model.sync import Action, Item
from puller.ops.syncing.burying import Undertaker
from puller.ops.syncing.pairs import Lane, Pair
from puller.ops.syncing.places import Places
from puller.ops.tasks import abreast

WIDTH: Final = 8
COLLECTED_EVERY: Final = 86400.0  # seconds; it reads all manifests of a directory


def _unheard(text: str) -> None:
    """Nobody listens."""


@runtime_checkable
class Collecting(Protocol):
    """A place whose content stays when its tag goes, until it is collected."""

    async def collect(self) -> object:
        """Free what no tag needs and is not retained."""
        ...


def foresee(lane: Lane, wanted: frozenset[str], prune: Prune, *, whole: bool, state: State, now: float) -> list[Item]:
    """What is to become of each tag of a place that is not `wanted`. Nothing is changed, and nobody asked.

    `whole`: all that is wanted is known, and was brought. `prune` is the rule of the lane's own pairs.
    """
    pairs = (*lane.pairs, *lane.others)
    known = {one.name: one for one in state.known_at(lane.target) if is_tag(one.name)}
    if any(pair.mirror.referrers for pair in pairs):
        # Signatures and lists of referrers come with their images, whoever selects what. They are no selection, either.
        known = {name: one for name, one in known.items() if not is_companion(name)}
        wanted = frozenset(name for name in wanted if not is_companion(name))
    brought = {name: one for name, one in known.items() if any(pair.source == one.source for pair in pairs)}
    ours = [name for name, one in brought.items() if all(p.mirror.prune for p in pairs if p.source == one.source)]
    rule = strictest([prune, *(pair.mirror.prune for pair in lane.others if pair.mirror.prune is not None)])
    since = state.unwanted(lane.target)
    items = [
        _item(brought[fate.name], pairs, fate.action, fate.why)
        for fate in judge(ours, wanted, whole=whole, prune=rule, since=since, now=now)
    ]
    why = "not selected any more, but another entry brings from there without `prune`"
    others = sorted(brought.keys() - wanted - set(ours))
    return [*items, *(_item(brought[name], pairs, "kept", why) for name in others)]


class Pruning:
    """Takes tags away. Of one run; `now` gives seconds since the epoch, `warn` hears of what stops nothing."""

    def __init__(
        self,
        run: str,
        places: Places,
        state: State,
        now: Callable[[], float],
        warn: Callable[[str], None] = _unheard,
    ) -> None:
        self._places = places
        self._state = state
        self._now = now
        self._warn = warn
        self._undertaker = Undertaker(run, places, state, now)

    async def prune(self, lane: Lane, wanted: frozenset[str], prune: Prune, *, whole: bool) -> list[Item]:
        """As `foresee`, and do it; one that fails stops no other. Raises StoreError of the state."""
        items = foresee(lane, wanted, prune, whole=whole, state=self._state, now=self._now())
        # Of what is in doubt no time of grace begins, lest an outage uses it up.
        self._note(lane.target, wanted, items if whole and wanted else ())
        done = await self.remove_all(items)
        await self._collect(lane.target)
        return done

    async def remove_all(self, items: Sequence[Item]) -> list[Item]:
        """Take away those that are `pruned`; all of them with what became of it."""
        done = list(items)

        async def one(place: int) -> None:
            done[place] = await self.remove(items[place])

        await abreast((n for n, item in enumerate(items) if item.action == "pruned"), one, width=WIDTH)
        return done

    async def remove(self, item: Item) -> Item:
        """Take one tag away if it still names what it is said to, keeping that for undo; the item as it went."""
        try:
            return await self._removed(item, Digest.parse(item.there or ""))
        except PullerError as error:
            return replace(item, error=error.at(reference=f"{item.target}:{item.name}", phase="prune").facts())

    async def _removed(self, item: Item, expected: Digest) -> Item:
        keeper = await self._places.keeper(item.target)
        found = await keeper.named(item.name)
        if found is None:
            self._state.forget(item.target, item.name)
            return replace(item, why=f"{item.why}; it was gone already", there=None)
        if found != expected:
            return await self._finished(item, keeper, expected, found)
        tombstone = await self._undertaker.bury(item.target, item.name, expected, "pruned")
        try:
            await keeper.untag(item.name, expected)
        except (DigestMismatch, Unsupported, Unauthorized):
            self._state.exhume(tombstone)  # nothing has gone; of any other error that is not known
            raise
        self._state.forget(item.target, item.name)
        return item

    async def _finished(self, item: Item, keeper: TagKeeper, expected: Digest, found: Digest) -> Item:
        """A tag that names something else: left alone, unless a run before this was cut off while it took it away."""
        try:
            await keeper.untag(item.name, expected)
        except DigestMismatch:
            item = replace(item, action="kept", why=f"{item.why}, but somebody else has moved it", there=str(found))
        self._state.forget(item.target, item.name)  # whoever has put that there keeps it, too
        return item

    def _note(self, target: str, wanted: frozenset[str], unwanted: Sequence[Item]) -> None:
        now = self._now()
        for name in self._state.unwanted(target).keys() & wanted:
            self._state.wanted(target, name)
        for item in unwanted:
            self._state.unwanted_since(target, item.name, now)

    async def _collect(self, target: str) -> None:
        """Free what tombstones have stood for until undo did not reach back to them any more; once a day."""
        key, now = f"collect {target}", self._now()
        if not target.startswith("oci:"):
            return
        try:
            last = self._state.last(key)
            if last is not None and 0 <= now - last.started < COLLECTED_EVERY:
                return
            keeper = await self._places.keeper(target)
            if isinstance(keeper, Collecting):
                await keeper.collect()
                self._state.note_last(key, now, self._now(), True)
        except PullerError as error:  # what was taken away before has to stand in the report all the same
            self._warn(f"what is not needed any more may still be at {target}: {error}")


def _item(known: Known, pairs: Sequence[Pair], action: Action, why: str) -> Item:
    line = next((pair.mirror.line for pair in pairs if pair.source == known.source), 0)
    names = known.source, known.tag, known.target, known.name
    return Item(*names, action, why, known.digest, known.root, line=line)
