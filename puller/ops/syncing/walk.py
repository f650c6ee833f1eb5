"""Walk: one way through all that a configuration names; whoever walks it brings, or only tells."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from puller.contracts.images import ImageSource
from puller.errors import InvalidConfig, PullerError
from puller.mirror.config import Prune
from puller.mirror.pruning import strictest
from puller.mirror.selection import Verdict
from puller.mirror.state import State
from puller.model.descriptor import Descriptor
from puller.model.sync import Item, Manner
from puller.ops.syncing.deciding import Decider, blank, failed
from puller.ops.syncing.ledger import Ledger
from puller.ops.syncing.looking import Seen, look
from puller.ops.syncing.pairs import Lane, Pair
from puller.ops.syncing.places import Places
from puller.ops.syncing.rollcall import roll_call
from puller.ops.tasks import abreast

# Of a hundred thousand tags so many are asked for at a time; the client's connections are what bounds requests.
LANES, TAGS = 8, 16


class Hands(Protocol):
    """What is done on the way."""

    async def bring(self, item: Item, *, reserve: int) -> Item:
        """Do with an image that is new or has changed what is to be done; its item after that."""
        ...

    def adopt(self, item: Item, descriptor: Descriptor, manner: Manner) -> None:
        """An image was there as it is wanted, and nobody remembers it."""
        ...

    def looked(self, pair: Pair) -> None:
        """Each tag of a pair was asked after at its target, and all of it is as it should be."""
        ...

    async def prune(self, lane: Lane, wanted: frozenset[str], prune: Prune, *, whole: bool) -> Sequence[Item]:
        """Do with what is at a place and not `wanted` what is to be done. `whole`: all that is wanted is known.

        Raises any PullerError.
        """
        ...


@runtime_checkable
class Sparing(Protocol):
    """A source that knows of images of its that must not go, whatever they are called."""

    def spares(self, digest: str) -> bool:
        """Whether this is one of them."""
        ...


class Walk:
    """Of one run, at the time `now`. `tells_out`: with an item for each tag that is not wanted."""

    def __init__(
        self, places: Places, state: State, hands: Hands, ledger: Ledger, *, now: datetime, tells_out: bool = False
    ) -> None:
        self._places = places
        self._state = state
        self._hands = hands
        self._ledger = ledger
        self._now = now
        self._tells_out = tells_out

    async def run(self, lanes: Sequence[Lane]) -> None:
        """Go through all of it, several lanes at a time."""
        self._ledger.expect(pair for lane in lanes for pair in lane.pairs)
        self._ledger.close_empty()
        await abreast(lanes, self._lane, width=LANES)

    async def _lane(self, lane: Lane) -> None:
        """The pairs of one place one after the other: each name is of the first that wants it."""
        names = _Names()
        whole = lane.is_sure
        for pair in lane.pairs:
            whole = await self._pair(pair, names) and whole
        pruning = [pair.mirror.prune for pair in lane.pairs if pair.mirror.prune is not None]
        if pruning:
            for other in lane.others:
                whole = await self._select(other, names) and whole
            await self._prune(lane, names, strictest(pruning), whole=whole)
        self._ledger.done(lane.pairs)

    async def _pair(self, pair: Pair, names: "_Names") -> bool:
        """Whether all of it went well, and all that is wanted is known."""
        try:
            source = await self._places.source(pair.source)
            decider = await self._decider(pair, source)
            seen = await look(pair, source, decider, self._state, now=self._now, width=TAGS)
        except PullerError as error:
            self._ledger.trouble(pair.mirror, error, pair.source)
            names.unknown.add(pair.source)
            return False
        for text in seen.warnings:
            self._ledger.warn(text, pair.source)
        self._ledger.matched(pair, seen.unmatched)
        todo = [verdict for verdict in seen.verdicts if self._tells_out or verdict.chosen]
        todo, clashing = names.taken(pair, todo)
        slots = self._ledger.room(pair.target, len(todo))
        wanted = sum(verdict.chosen for verdict in todo)
        decider.roll = await roll_call(pair, wanted, self._places, self._state, now=self._now.timestamp())
        whole = seen.is_whole

        async def settle(entry: tuple[int, Verdict]) -> None:
            nonlocal whole
            position, verdict = entry
            if verdict.tag in clashing:
                item = failed(pair, verdict, clashing[verdict.tag])
            else:
                item = await self._tag(pair, decider, verdict, seen) if verdict.chosen else blank(pair, verdict)
            slots[position] = item
            whole = whole and item.error is None
            self._ledger.settle(pair, item)

        await abreast(enumerate(todo), settle, width=TAGS)
        if whole and not decider.roll.tags:
            self._hands.looked(pair)
        return whole

    async def _decider(self, pair: Pair, source: ImageSource) -> Decider:
        target = await self._places.target(pair.target)
        return Decider(pair, source, target, self._state, now=self._now.timestamp())

    async def _tag(self, pair: Pair, decider: Decider, verdict: Verdict, seen: Seen) -> Item:
        resolved = seen.resolved.get(verdict.tag)
        try:
            if isinstance(resolved, PullerError):
                raise resolved
            decision = await decider.decide(verdict, resolved)
            if decision.adopted is not None:
                self._hands.adopt(decision.item, decision.adopted, pair.manner)
        except PullerError as error:
            return failed(pair, verdict, error)
        if decision.item.transfer is None:
            return decision.item
        return await self._hands.bring(decision.item, reserve=pair.mirror.reserve)

    async def _select(self, pair: Pair, names: "_Names") -> bool:
        """What another mirror wants at the same place, without bringing it; whether that is known."""
        try:
            source = await self._places.source(pair.source)
            decider = await self._decider(pair, source)
            seen = await look(pair, source, decider, self._state, now=self._now, width=TAGS)
        except PullerError as error:
            self._ledger.warn(f"nothing is pruned at {pair.target}: {error}", pair.source)
            names.unknown.add(pair.source)
            return False
        names.taken(pair, [verdict for verdict in seen.verdicts if verdict.chosen])
        return seen.is_whole

    async def _prune(self, lane: Lane, names: "_Names", prune: Prune, *, whole: bool) -> None:
        pair = next(pair for pair in lane.pairs if pair.mirror.prune is not None)
        try:
            wanted = names.all() | await self._spared(lane)
            items = await self._hands.prune(lane, wanted, prune, whole=whole)
        except PullerError as error:
            self._ledger.trouble(pair.mirror, error.at(phase="prune"), lane.target)
            return
        items = [item for item in items if item.source not in names.unknown]
        slots = self._ledger.room(lane.target, len(items))
        brought = {one.source: one for one in reversed(lane.pairs)}
        for position, item in enumerate(items):
            slots[position] = item
            self._ledger.settle(brought.get(item.source, pair), item)

    async def _spared(self, lane: Lane) -> frozenset[str]:
        """The names at a place of images that their sources spare."""
        spared: set[str] = set()
        for place in {pair.source for pair in (*lane.pairs, *lane.others)}:
            source = await self._places.source(place)
            if isinstance(source, Sparing):
                known = self._state.known_at(lane.target)
                spared.update(one.name for one in known if one.source == place and source.spares(one.digest))
        return frozenset(spared)


class _Names:
    """Who brings which name to one place. Of `unknown` sources nobody knows what is wanted: nothing is said of it."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self._owners: dict[str, tuple[Pair, str]] = {}

    def all(self) -> frozenset[str]:
        """All names."""
        return frozenset(self._owners)

    def taken(self, pair: Pair, verdicts: Sequence[Verdict]) -> tuple[list[Verdict], dict[str, PullerError]]:
        """The verdicts that are `pair`'s to see to, and why it cannot for some of them, by tag.

        What another one brings from the same tag in the same manner is seen to; anything else would make the name
        change from one to the other.
        """
        todo: list[Verdict] = []
        clashing: dict[str, PullerError] = {}
        for verdict in verdicts:
            if not verdict.chosen:
                todo.append(verdict)
                continue
            owner, tag = self._owners.setdefault(pair.name_of(verdict.tag), (pair, verdict.tag))
            if owner is pair and tag == verdict.tag:
                todo.append(verdict)
            elif (owner.source, owner.manner, tag) != (pair.source, pair.manner, verdict.tag):
                todo.append(verdict)
                clashing[verdict.tag] = _clash(owner, pair, verdict.tag)
        return todo, clashing


def _clash(owner: Pair, pair: Pair, tag: str) -> InvalidConfig:
    if owner.source == pair.source:
        what = "two mirrors bring one tag in two manners"
    else:
        what = "two mirrors bring other images under one name"
    where = f"lines {owner.mirror.line} and {pair.mirror.line}"
    return InvalidConfig(what, where=where, wanted=owner.source, got=pair.source, reference=f"{pair.target}:{tag}")
